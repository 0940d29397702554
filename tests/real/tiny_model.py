"""A tiny Llama with random weights as a GGUF file, so that a real llama.cpp server can serve without a download.

Two layers of width 64 over a byte-level vocabulary: the text is noise, the server is the real one.
"""

import string
from pathlib import Path

import gguf
import numpy as np

WIDTH, LAYERS, HEADS, FEED_FORWARD, CONTEXT = 64, 2, 4, 128, 8192
WORDS = ("the", "a", "stream", "token", "server", "model", "time", "rate", "of", "to", "in", "and")


def write_tiny_model(path: Path, seed: int = 0) -> Path:
    """Write the model; the same seed gives the same file."""
    tokens, merges = _vocabulary()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("dragstrip tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (len(tokens) - 1))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)
    for name, shape in _tensors(len(tokens)):
        writer.add_tensor(name, _weights(name, shape, seed))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _vocabulary() -> tuple[list[str], list[str]]:
    """Every printable byte as a token, and words with the space before them (Ġ) built up by merges."""
    tokens = ["<|end|>", "Ġ", "Ċ", *(c for c in string.printable if c.isprintable() and c != " ")]
    merges: list[str] = []
    for word in WORDS:
        built = "Ġ"
        for letter in word:
            merge = f"{built} {letter}"
            built += letter
            if merge not in merges:
                merges.append(merge)
                tokens.append(built)
    return tokens, merges


def _tensors(vocabulary: int) -> list[tuple[str, tuple[int, ...]]]:
    shapes: list[tuple[str, tuple[int, ...]]] = [
        ("token_embd.weight", (vocabulary, WIDTH)),
        ("output_norm.weight", (WIDTH,)),
        ("output.weight", (vocabulary, WIDTH)),
    ]
    for layer in range(LAYERS):
        square = (WIDTH, WIDTH)
        shapes += [(f"blk.{layer}.attn_{part}.weight", square) for part in ("q", "k", "v", "output")]
        shapes += [(f"blk.{layer}.{part}_norm.weight", (WIDTH,)) for part in ("attn", "ffn")]
        shapes += [(f"blk.{layer}.ffn_{part}.weight", (FEED_FORWARD, WIDTH)) for part in ("gate", "up")]
        shapes.append((f"blk.{layer}.ffn_down.weight", (WIDTH, FEED_FORWARD)))
    return shapes


def _weights(name: str, shape: tuple[int, ...], seed: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    if len(shape) == 1:
        return np.ones(shape, dtype=np.float32)
    random = np.random.default_rng([seed, *name.encode()])
    return np.asarray(random.standard_normal(shape) / np.sqrt(shape[-1]), dtype=np.float32)
