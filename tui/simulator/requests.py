"""What a client asked for, and what of it is refused: by status, as each engine does, but in few words of our own.

Known and ignored, as is every unknown field: `stop`, `logprobs`, `top_p` and the other sampling fields, since there
is no distribution to sample from. One prompt and one choice a request.

A tokeniser without a model: a token is a made-up word of three syllables; N such words are N tokens.
"""

from __future__ import annotations

import json
import random
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from tui.model.profile import Endpoint
from tui.simulator.model import Preset

VOCABULARY = 32_000
_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"
_SYLLABLES = [c + v for c in _CONSONANTS for v in _VOWELS]  # 70 of them: three give 343,000 words
_PLACE = {syllable: place for place, syllable in enumerate(_SYLLABLES)}
_PIECES = re.compile(r"\s*(\w+|[^\w\s])")
CHAT_TEMPLATE = tuple(range(VOCABULARY - 7, VOCABULARY))  # what a chat template writes around one message
LETTERS_A_TOKEN = 6  # of a word that is not in the vocabulary


class Words:
    """The words of one answer; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def next(self) -> str:
        """One token's text: lower-case letters after a space, so that JSON needs no escapes."""
        return word(int(self._random.random() * VOCABULARY))


def word(token: int) -> str:
    """The word of a token id, with the space before it."""
    base = len(_SYLLABLES)
    return f" {_SYLLABLES[token // base**2 % base]}{_SYLLABLES[token // base % base]}{_SYLLABLES[token % base]}"


def tokenize(text: str) -> list[int]:
    """Token ids of a text: one for a word of the vocabulary, one for every six letters of any other."""
    tokens: list[int] = []
    for piece in _PIECES.findall(text):
        token = _known(piece)
        if token is not None:
            tokens.append(token)
        else:
            parts = range(0, len(piece), LETTERS_A_TOKEN)
            tokens += [zlib.crc32(piece[i : i + LETTERS_A_TOKEN].encode()) % VOCABULARY for i in parts]
    return tokens


def _known(piece: str) -> int | None:
    if len(piece) != 6:
        return None
    token = 0
    for start in (0, 2, 4):
        place = _PLACE.get(piece[start : start + 2])
        if place is None:
            return None
        token = token * len(_SYLLABLES) + place
    return token if token < VOCABULARY else None


MEAN_OUTPUT_TOKENS = 256  # where an answer that may stop does so, on average: geometric, as with real end tokens


class RefusedError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message

    def body(self, engine: str) -> dict[str, Any]:
        """The error in the shape of that engine: vLLM's under `error`, SGLang's flat."""
        kind = HTTPStatus(self.status).phrase
        error = {"message": self.message, "type": kind, "param": None, "code": self.status}
        return {"error": error} if engine == "vllm" else {"object": "error", **error}


@contextmanager
def refusing_malformed() -> Iterator[None]:
    """Refuse a body that cannot be read as what it should be."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RefusedError(400, f"the request is malformed: {error!r}") from error


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, understood."""

    endpoint: Endpoint
    model: str
    prompt: list[int]
    output_tokens: int
    finish_reason: str
    stream: bool
    usage: bool  # at the end
    usage_always: bool  # on every chunk
    seed: int  # of the words that answer it

    @property
    def chat(self) -> bool:
        """Whether it is answered as a chat."""
        return self.endpoint == "chat"


def understand(raw: bytes, preset: Preset, model: str, endpoint: Endpoint, *, number: int) -> Asked:
    """The request in `raw`; `number` tells requests apart that leave their words to chance. Raises RefusedError."""
    with refusing_malformed():
        return _understand(json.loads(raw), preset, model, endpoint, number)


def _understand(body: dict[str, Any], preset: Preset, model: str, endpoint: Endpoint, number: int) -> Asked:
    if endpoint == "generate":
        body = _as_completion(body)
    chat = endpoint == "chat"
    asked_model = str(body.get("model") or model)
    if asked_model != model and preset.engine == "vllm":  # SGLang serves what it has under any name
        raise RefusedError(404, f"there is no model {asked_model} here, only {model}")
    options = body.get("stream_options") or {}
    prompt = _chat_tokens(body) if chat else _prompt(body)
    seed = _seed(body, prompt, number)
    output_tokens, finish_reason = _output(body, preset, len(prompt), seed, chat=chat)
    usage = bool(options.get("include_usage"))
    # vLLM heeds `continuous_usage_stats` only together with `include_usage`.
    usage_always = bool(options.get("continuous_usage_stats")) and (usage or preset.engine == "sglang")
    stream = bool(body.get("stream"))
    return Asked(endpoint, asked_model, prompt, output_tokens, finish_reason, stream, usage, usage_always, seed)


def _as_completion(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of a request for `generate` as a completion names them."""
    sampling = body.get("sampling_params") or {}
    prompt = body.get("input_ids") or body.get("text")
    return body | sampling | {"prompt": prompt, "max_tokens": sampling.get("max_new_tokens", 128)}


def _chat_tokens(body: dict[str, Any]) -> list[int]:
    """A chat as token ids, with what its template puts around each message."""
    tokens: list[int] = []
    for message in body["messages"]:
        tokens += [*CHAT_TEMPLATE, *tokenize(_content(message.get("content")))]
    if not tokens:
        raise RefusedError(400, "there is no message")
    return tokens


def _content(content: Any) -> str:
    """A message's text, which may come in parts."""
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def _prompt(body: dict[str, Any]) -> list[int]:
    prompt = body.get("prompt")
    if not prompt:
        raise RefusedError(400, "there is no prompt")
    if isinstance(prompt, str):
        return tokenize(prompt) or [0]
    if not all(0 <= token < VOCABULARY for token in prompt):
        raise RefusedError(400, "the prompt holds ids that are not in the vocabulary")
    return list(prompt)


def _seed(body: dict[str, Any], prompt: list[int], number: int) -> int:
    """Of the answer's words. A greedy answer follows from its prompt, as a model's does; a sampled one does not."""
    given, temperature = body.get("seed"), body.get("temperature")
    chance = 0 if temperature == 0 else number if given is None else int(given)
    return hash((*prompt, chance))


def _output(body: dict[str, Any], preset: Preset, prompt_tokens: int, seed: int, *, chat: bool) -> tuple[int, str]:
    """How many tokens will come and why they end."""
    most = _most(body, preset, prompt_tokens, chat=chat)
    if body.get("ignore_eos"):
        return most, "length"
    drawn = int(random.Random(seed).expovariate(1 / MEAN_OUTPUT_TOKENS)) + 1
    ends = max(drawn, int(body.get("min_tokens") or 0))
    return (ends, "stop") if ends < most else (most, "length")


def _most(body: dict[str, Any], preset: Preset, prompt_tokens: int, *, chat: bool) -> int:
    """The most tokens that may come. vLLM cuts down what does not fit the context; SGLang refuses it."""
    limit, vllm = preset.max_model_len, preset.engine == "vllm"
    room = limit - prompt_tokens
    asked = body.get("max_completion_tokens") if chat else None
    asked = body.get("max_tokens") if asked is None else asked
    wanted = int(asked) if asked is not None else room if chat else min(16, room)
    if room <= 0 or wanted > (limit if vllm else room):
        raise RefusedError(
            400, f"{prompt_tokens} prompt and {wanted} output tokens do not fit the context length of {limit} tokens"
        )
    if wanted < (1 if vllm else 0):
        raise RefusedError(400, f"{wanted} output tokens are too few")
    return min(wanted, room)
