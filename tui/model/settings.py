"""The settings that decide whether two servers may be compared, each declared once.

Doctor's table, the warning above the verdict and `dragstrip launch` read these: the name in our words, what a
difference does to the result, and each engine's flag for it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["incomparable", "note"]
Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Flag:
    """How one engine is told a setting: by `value` with {} or {blocks} in it, or by `on` and `off`.

    `before` is the flag of versions below `since`. A text that begins with `env:` or `file:` is no flag, but a
    variable or a key of the engine's configuration file.
    """

    value: str = ""
    on: str = ""
    off: str = ""
    least: int = 0  # it takes no smaller value
    since: tuple[int, ...] = ()
    before: "Flag | None" = None

    def of(self, version: str) -> "Flag":
        """The flag of that version; an unknown version is taken as new."""
        numbers = version_numbers(version)
        return self.before if self.before is not None and numbers and numbers < self.since else self

    def text(self, value: Value, block: int = 16) -> str:
        """The flag that sets `value`, empty when the engine has none."""
        if isinstance(value, bool):
            return self.on if value else self.off
        if isinstance(value, int) and value < self.least:
            return ""
        blocks = math.ceil(value / block) if "{blocks}" in self.value and isinstance(value, int | float) else 0
        return self.value.replace("{blocks}", str(blocks)).replace("{}", str(value))


def version_numbers(version: str) -> tuple[int, ...]:
    """`0.5.20.post1` as (0, 5, 20); empty when it does not begin with numbers."""
    numbers: list[int] = []
    for part in version.removeprefix("v").split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


@dataclass(frozen=True, slots=True)
class EngineSetting:
    """One setting. `tolerance` is the relative difference that does not count; `per_stream`: it only matters
    to a load of more streams than the smaller of both values."""

    key: str
    label: str
    severity: Severity
    effect: str  # of a difference on the result
    tolerance: float = 0.0
    per_stream: bool = False
    flags: Mapping[str, Flag] = field(default_factory=dict)  # by engine kind


ENGINE_SETTINGS: tuple[EngineSetting, ...] = (
    EngineSetting("model", "model", "incomparable", "they do different work"),
    EngineSetting(
        "quantisation", "quantisation", "incomparable", "weights of other size and kernels of other speed",
        flags={"vllm": Flag("--quantization {}"), "sglang": Flag("--quantization {}"),
               "trtllm": Flag("file:quant_config"), "lmdeploy": Flag("--model-format {}"),
               "tgi": Flag("--quantize {}")},
    ),
    EngineSetting(
        "dtype", "data type", "incomparable", "arithmetic of another width",
        flags={"vllm": Flag("--dtype {}"), "sglang": Flag("--dtype {}"), "trtllm": Flag("file:dtype {}"),
               "lmdeploy": Flag("--dtype {}"), "tgi": Flag("--dtype {}")},
    ),
    EngineSetting(
        "tensor_parallel", "tensor parallel", "incomparable", "they use a different number of GPUs",
        flags={"vllm": Flag("--tensor-parallel-size {}"), "sglang": Flag("--tp-size {}"),
               "trtllm": Flag("--tp_size {}"), "lmdeploy": Flag("--tp {}"), "tgi": Flag("--num-shard {}")},
    ),
    EngineSetting(
        "max_model_len", "context", "incomparable", "a request that fits one is cut or refused by the other",
        flags={"vllm": Flag("--max-model-len {}"), "sglang": Flag("--context-length {}"),
               "trtllm": Flag("--max_seq_len {}"), "lmdeploy": Flag("--session-len {}"), "llamacpp": Flag("-c {}"),
               "ollama": Flag("env:OLLAMA_CONTEXT_LENGTH={}"), "tgi": Flag("--max-total-tokens {}")},
    ),
    EngineSetting(
        "kv_tokens", "KV tokens", "incomparable", "the smaller pool queues and preempts first", tolerance=0.02,
        flags={"vllm": Flag("--num-gpu-blocks-override {blocks}"), "sglang": Flag("--max-total-tokens {}"),
               "trtllm": Flag("file:kv_cache_config.max_tokens {}"), "lmdeploy": Flag("--num-gpu-blocks {blocks}"),
               "tgi": Flag("--max-batch-total-tokens {}")},
    ),
    EngineSetting(
        "max_running", "batch limit", "incomparable", "above the lower limit its requests wait", per_stream=True,
        flags={"vllm": Flag("--max-num-seqs {}"), "sglang": Flag("--max-running-requests {}"),
               "trtllm": Flag("--max_batch_size {}"), "lmdeploy": Flag("--max-batch-size {}"),
               "llamacpp": Flag("-np {}"), "ollama": Flag("env:OLLAMA_NUM_PARALLEL={}"),
               "tgi": Flag("--max-batch-size {}")},
    ),
    EngineSetting(
        "prefix_cache", "prefix cache", "incomparable", "prompts that share a beginning cost one of them nothing",
        flags={"vllm": Flag(on="--enable-prefix-caching", off="--no-enable-prefix-caching"),
               "sglang": Flag(off="--disable-radix-cache"),
               "trtllm": Flag(on="file:kv_cache_config.enable_block_reuse true",
                              off="file:kv_cache_config.enable_block_reuse false"),
               "lmdeploy": Flag(on="--enable-prefix-caching"), "llamacpp": Flag(off="--no-cache-prompt")},
    ),
    EngineSetting(
        "speculative", "speculative decoding", "incomparable", "one of them guesses several tokens a step",
        flags={"vllm": Flag("--speculative-config {}"), "sglang": Flag("--speculative-algorithm {}"),
               "trtllm": Flag("file:speculative_config"), "lmdeploy": Flag("--speculative-algorithm {}")},
    ),
    EngineSetting(
        "cuda_graphs", "CUDA graphs", "incomparable", "the one without pays a launch for every kernel of every step",
        flags={"vllm": Flag(off="--enforce-eager"),
               "sglang": Flag(off="--cuda-graph-backend-decode=disabled --cuda-graph-backend-prefill=disabled",
                              since=(0, 5, 15), before=Flag(off="--disable-cuda-graph")),
               "trtllm": Flag(off="file:cuda_graph_config null"), "lmdeploy": Flag(off="--eager-mode")},
    ),
    EngineSetting(
        "kv_dtype", "KV data type", "incomparable", "a narrower cache holds more and is read faster",
        flags={"vllm": Flag("--kv-cache-dtype {}"), "sglang": Flag("--kv-cache-dtype {}"),
               "trtllm": Flag("file:kv_cache_config.dtype {}"), "lmdeploy": Flag("--quant-policy {}"),
               "llamacpp": Flag("-ctk {} -ctv {}"), "ollama": Flag("env:OLLAMA_KV_CACHE_TYPE={}"),
               "tgi": Flag("--kv-cache-dtype {}")},
    ),
    EngineSetting(
        "cuda_graph_max", "CUDA graph batch", "note", "larger batches than this run without a graph, so slower",
        flags={"vllm": Flag("--max-cudagraph-capture-size {}", since=(0, 11, 1),
                            before=Flag("--cuda-graph-sizes {}")),
               "sglang": Flag("--cuda-graph-max-bs-decode {}", since=(0, 5, 15),
                              before=Flag("--cuda-graph-max-bs {}")),
               "trtllm": Flag("file:cuda_graph_config.max_batch_size {}"),
               "lmdeploy": Flag("--cudagraph-capture-batch-sizes {}"), "tgi": Flag("--cuda-graphs {}")},
    ),
    EngineSetting(
        "prefill_budget", "prefill a step", "note",
        "a larger one answers long prompts sooner and stalls decoding longer",
        flags={"vllm": Flag("--max-num-batched-tokens {}"), "sglang": Flag("--chunked-prefill-size {}"),
               "trtllm": Flag("--max_num_tokens {}"), "lmdeploy": Flag("--max-prefill-token-num {}"),
               "llamacpp": Flag("-b {}"), "tgi": Flag("--max-batch-prefill-tokens {}")},
    ),
    EngineSetting(
        "chunked_prefill", "chunked prefill", "note", "without it one long prompt stalls every stream",
        flags={"vllm": Flag(on="--enable-chunked-prefill", off="--no-enable-chunked-prefill"),
               "sglang": Flag(off="--chunked-prefill-size -1"), "trtllm": Flag(on="--enable_chunked_prefill")},
    ),
    EngineSetting(
        "mixed_prefill", "prefill with decode", "note",
        "where they do not share a step, new prompts stop running streams",
        flags={"sglang": Flag(on="--enable-mixed-chunk")},
    ),
    EngineSetting(
        "kv_block", "KV block", "note", "only whole blocks are shared as a prefix and given out",
        flags={"vllm": Flag("--block-size {}", least=16), "sglang": Flag("--page-size {}"),
               "trtllm": Flag("file:kv_cache_config.tokens_per_block {}"),
               "lmdeploy": Flag("--cache-block-seq-len {}")},
    ),
    EngineSetting(
        "sampling_defaults", "sampling defaults", "note",
        "dragstrip sends every sampling field, but an application that does not gets other answers",
        flags={"vllm": Flag("--generation-config {}"), "sglang": Flag("--sampling-defaults {}")},
    ),
    EngineSetting(
        "overlap", "overlapped scheduling", "note", "without it the GPU waits for the scheduler at each step",
        flags={"vllm": Flag(on="--async-scheduling", off="--no-async-scheduling"),
               "sglang": Flag(off="--disable-overlap-schedule"),
               "trtllm": Flag(off="file:disable_overlap_scheduler true")},
    ),
    EngineSetting(
        "stream_interval", "tokens a chunk", "note", "text arrives in other steps, which ITL and TTFT show",
        flags={"vllm": Flag("--stream-interval {}"), "sglang": Flag("--stream-interval {}"),
               "trtllm": Flag("file:stream_interval {}")},
    ),
    EngineSetting(
        "seed", "seed", "note", "random sampling draws other tokens",
        flags={"vllm": Flag("--seed {}"), "sglang": Flag("--random-seed {}"), "llamacpp": Flag("--seed {}")},
    ),
    EngineSetting("endpoint", "endpoint", "note", "the server's front end does other work for each token"),
    EngineSetting(
        "prompt_tokens", "token count", "incomparable", "one prompt is not the same number of tokens to both"
    ),
    EngineSetting("gpus", "GPUs", "incomparable", "they run on different hardware"),
    EngineSetting("shared_gpu", "shared GPU", "incomparable", "each slows the other down"),
)  # fmt: skip
ENGINE_SETTING: dict[str, EngineSetting] = {term.key: term for term in ENGINE_SETTINGS}
