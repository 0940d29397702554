"""Requests: how a body is read or refused, and how far a request is served.

Refusals have the status each engine gives, in our words. Accepted and ignored, as is every unknown field: `stop`,
`logprobs`, `top_p` and the other sampling fields, since there is no distribution to sample from. One prompt and one
choice a request.

The tokenizer has no model: a token is a made-up word of three syllables; N such words are N tokens.

How a simulated server writes: the events of a stream, whole answers, and Prometheus pages.

Fields, their order and the order of the events are those captured from vLLM 0.32.0 and SGLang 0.5.23.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
import zlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tui.model.profile import Endpoint
from tui.simulator.scheduler import MODEL, Preset, Stream

VOCABULARY = 32_000
_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"
_SYLLABLES = [c + v for c in _CONSONANTS for v in _VOWELS]  # 70: three of them give 343,000 words
_SYLLABLE_NUMBER = {syllable: number for number, syllable in enumerate(_SYLLABLES)}
_PIECES = re.compile(r"\s*(\w+|[^\w\s])")
CHAT_TEMPLATE = tuple(range(VOCABULARY - 7, VOCABULARY))  # what a chat template writes around one message
LETTERS_A_TOKEN = 6  # of a word that is not in the vocabulary
MEAN_OUTPUT_TOKENS = 256  # where an answer that may stop does so, on average: geometric, as with real end tokens


def word(token: int) -> str:
    """The word of a token id: lower-case letters after a space, so that JSON needs no escapes."""
    base = len(_SYLLABLES)
    return f" {_SYLLABLES[token // base**2 % base]}{_SYLLABLES[token // base % base]}{_SYLLABLES[token % base]}"


# How many of 100 tokens of English text hold so many bytes, from 1 on, under vocabularies of 100,000 and more: 4.7 on
# average, and a standard deviation of 0.58 of that. Answers of LMDeploy have 5.0 and 0.61.
BYTES_OF_A_TOKEN = (13.0, 10.0, 13.0, 18.0, 14.0, 10.0, 7.0, 5.0, 4.0, 2.5, 1.5, 1.0, 0.6, 0.4)


def token_lengths(source: random.Random) -> Iterator[int]:
    """Bytes of text of token after token, as real text has them, without end."""
    while True:
        yield from source.choices(range(1, len(BYTES_OF_A_TOKEN) + 1), BYTES_OF_A_TOKEN, k=256)


def answer_words(seed: int) -> Iterator[str]:
    """The words of an answer, without end; the same seed gives the same ones."""
    source = random.Random(seed)
    while True:
        yield word(int(source.random() * VOCABULARY))


def tokenize(text: str) -> list[int]:
    """Token ids of a text: one for a word of the vocabulary, one for every six letters of any other."""
    tokens: list[int] = []
    for piece in _PIECES.findall(text):
        token = _vocabulary_token(piece)
        if token is not None:
            tokens.append(token)
        else:
            parts = range(0, len(piece), LETTERS_A_TOKEN)
            tokens += [zlib.crc32(piece[i : i + LETTERS_A_TOKEN].encode()) % VOCABULARY for i in parts]
    return tokens


def _vocabulary_token(piece: str) -> int | None:
    if len(piece) != 6:
        return None
    try:
        first, second, third = (_SYLLABLE_NUMBER[piece[start : start + 2]] for start in (0, 2, 4))
    except KeyError:
        return None
    token = (first * len(_SYLLABLES) + second) * len(_SYLLABLES) + third
    return token if token < VOCABULARY else None


class RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message

    def body(self, engine: str) -> dict[str, Any]:
        """The error as that engine writes it: vLLM's under `error`, SGLang's flat."""
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
class ParsedRequest:
    """What a client asked for."""

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
        return self.endpoint == "chat"


@dataclass(slots=True, eq=False)
class ServedRequest:
    """A request in the engine and the tokens it has. Times are a monotonic clock's, in s."""

    request: ParsedRequest
    stream: Stream
    t_arrived_s: float
    t_admitted_s: float = 0.0
    t_first_s: float = 0.0
    t_last_s: float = 0.0
    tokens: int = 0  # delivered; the stream itself is one step ahead while that step is slept through
    delivered: asyncio.Event = field(default_factory=asyncio.Event)  # set at each step that brought a token

    async def new_tokens(self) -> AsyncGenerator[tuple[int, int]]:
        """First and last number, from 1, of the tokens that came since the previous ones."""
        seen = 0
        while seen < self.stream.output_tokens:
            await self.delivered.wait()
            self.delivered.clear()
            if self.tokens > seen:
                yield seen + 1, self.tokens
                seen = self.tokens

    @property
    def queue_s(self) -> float:
        return max(0.0, self.t_admitted_s - self.t_arrived_s)

    @property
    def ttft_s(self) -> float:
        return self.t_first_s - self.t_arrived_s

    @property
    def e2e_s(self) -> float:
        return self.t_last_s - self.t_arrived_s

    @property
    def tpot_s(self) -> float:
        """Time per output token after the first; 0 when there is none after it."""
        return (self.t_last_s - self.t_first_s) / (self.tokens - 1) if self.tokens > 1 else 0.0


def parse_request(raw: bytes, preset: Preset, endpoint: Endpoint, *, number: int) -> ParsedRequest:
    """Read a body. `number` seeds the words of a sampled answer that has no seed. Raises RefusedError."""
    with refusing_malformed():
        return _parse(json.loads(raw), preset, endpoint, number)


def _parse(body: dict[str, Any], preset: Preset, endpoint: Endpoint, number: int) -> ParsedRequest:
    if endpoint == "generate":
        body = _as_completion(body)
    chat = endpoint == "chat"
    model = str(body.get("model") or MODEL)
    if model != MODEL and preset.engine == "vllm":  # SGLang serves what it has under any name
        raise RefusedError(404, f"there is no model {model} here, only {MODEL}")
    options = body.get("stream_options") or {}
    prompt = _chat_tokens(body) if chat else _prompt(body)
    seed = _seed(body, prompt, number)
    output_tokens, finish_reason = _output(body, preset, len(prompt), seed, chat=chat)
    usage = bool(options.get("include_usage"))
    # vLLM heeds `continuous_usage_stats` only together with `include_usage`.
    usage_always = bool(options.get("continuous_usage_stats")) and (usage or preset.engine == "sglang")
    stream = bool(body.get("stream"))
    return ParsedRequest(endpoint, model, prompt, output_tokens, finish_reason, stream, usage, usage_always, seed)


def _as_completion(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of a request for `generate` as a completion names them."""
    sampling = body.get("sampling_params") or {}
    prompt = body.get("input_ids") or body.get("text")
    return body | sampling | {"prompt": prompt, "max_tokens": sampling.get("max_new_tokens", 128)}


def _chat_tokens(body: dict[str, Any]) -> list[int]:
    """A chat as token ids, with what its template puts around each message."""
    tokens: list[int] = []
    for message in body["messages"]:
        content = message.get("content")
        if isinstance(content, list):  # in parts
            content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        tokens += [*CHAT_TEMPLATE, *tokenize(str(content or ""))]
    if not tokens:
        raise RefusedError(400, "there is no message")
    return tokens


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
    """Seed of the answer's words. A greedy answer follows from its prompt, as a model's does; a sampled one not."""
    given, temperature = body.get("seed"), body.get("temperature")
    chance = 0 if temperature == 0 else number if given is None else int(given)
    return hash((*prompt, chance))


def _output(body: dict[str, Any], preset: Preset, prompt_tokens: int, seed: int, *, chat: bool) -> tuple[int, str]:
    """How many tokens will come, and the finish reason."""
    limit = _output_limit(body, preset, prompt_tokens, chat=chat)
    if body.get("ignore_eos"):
        return limit, "length"
    drawn = int(random.Random(seed).expovariate(1 / MEAN_OUTPUT_TOKENS)) + 1
    ends = max(drawn, int(body.get("min_tokens") or 0))
    return (ends, "stop") if ends < limit else (limit, "length")


def _output_limit(body: dict[str, Any], preset: Preset, prompt_tokens: int, *, chat: bool) -> int:
    """The most tokens that may come. vLLM cuts down what does not fit the context; SGLang refuses it."""
    context, vllm = preset.max_model_len, preset.engine == "vllm"
    room = context - prompt_tokens
    max_tokens = body.get("max_completion_tokens") if chat else None
    max_tokens = body.get("max_tokens") if max_tokens is None else max_tokens
    asked = int(max_tokens) if max_tokens is not None else room if chat else min(16, room)
    if room <= 0 or asked > (context if vllm else room):
        raise RefusedError(
            400, f"{prompt_tokens} prompt and {asked} output tokens do not fit the context length of {context} tokens"
        )
    if asked < (1 if vllm else 0):
        raise RefusedError(400, f"{asked} output tokens are too few")
    return min(asked, room)


DONE = b"data: [DONE]\n\n"
Json = dict[str, Any]


_TEXT = "\N{OBJECT REPLACEMENT CHARACTER}"  # where a token's text goes


def event_bytes(fields: Json) -> bytes:
    return b"data: " + msgspec.json.encode(fields) + b"\n\n"


class OpenAIAnswer:
    """What the engines' answers have in common. `number` counts output tokens from 1."""

    def __init__(self, request: ParsedRequest, request_id: str) -> None:
        self.request = request
        self._object = "chat.completion" if request.chat else "text_completion"
        self._head = {
            "id": request_id,
            "object": "chat.completion.chunk" if request.chat else self._object,
            "created": int(time.time()),
            "model": request.model,
        }
        self._around_text: list[bytes] = []

    def token(self, text: str, number: int, *, last: bool) -> bytes:
        """The event of a token. Most differ in their text alone: only the first of those is encoded as JSON."""
        if last or self.request.usage_always:
            return self.token_event(text, number, last=last)
        if not self._around_text:
            self._around_text = self.token_event(_TEXT, number, last=False).split(_TEXT.encode())
        return text.encode().join(self._around_text)

    def token_event(self, text: str, number: int, *, last: bool) -> bytes:
        """The event of a token, as the engine writes it."""
        raise NotImplementedError

    def event(self, *choices: Json, **fields: object) -> bytes:
        """One event; `fields` follow its choices."""
        return event_bytes({**self._head, "choices": choices, **fields})

    def body(self, choice: Json, **fields: object) -> Json:
        """The answer to a request that asked for no stream."""
        return {**self._head, "object": self._object, "choices": [choice], **fields}

    def usage(self, number: int, **details: object) -> Json:
        """Token counts after `number` output tokens."""
        prompt_tokens = len(self.request.prompt)
        counts = {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens + number, "completion_tokens": number}
        return {**counts, **details}


class Page:
    """A Prometheus page. Series are made at first use; counters are named without `_total`.

    `labels` are on every series, before those that a call gives. `buckets` has the upper edges of each histogram.
    """

    def __init__(
        self,
        prefix: str,
        labels: Mapping[str, str],
        buckets: Mapping[str, Sequence[float]] | None = None,
        *,
        created: bool = True,  # whether counters and histograms have `_created` samples
    ) -> None:
        self._prefix, self._labels, self._buckets, self._created = prefix, labels, buckets or {}, created
        self._registry = CollectorRegistry()
        self._families: dict[str, Any] = {}
        self._series: dict[tuple[str, ...], Any] = {}  # saves building the labels again

    def set(self, labels: Mapping[str, str] | None = None, /, **values: float) -> None:
        for name, value in values.items():
            self._one(Gauge, name, labels or {}).set(value)

    def add(self, labels: Mapping[str, str] | None = None, /, **amounts: float) -> None:
        for name, amount in amounts.items():
            self._one(Counter, name, labels or {}).inc(amount)

    def observe(self, labels: Mapping[str, str] | None = None, /, **values: float) -> None:
        """Add one value to each histogram."""
        for name, value in values.items():
            self._one(Histogram, name, labels or {}, buckets=self._buckets[name]).observe(value)

    def text(self) -> bytes:
        page = generate_latest(self._registry)
        if self._created:
            return page
        return b"\n".join(line for line in page.split(b"\n") if b"_created" not in line)

    def _one(self, kind: Any, name: str, labels: Mapping[str, str], **options: Any) -> Any:
        key = (name, *labels.values())
        series = self._series.get(key)
        if series is None:
            full = self._prefix + name
            all_labels = {**self._labels, **labels}
            if name not in self._families:
                self._families[name] = kind(full, full, list(all_labels), registry=self._registry, **options)
            series = self._series[key] = self._families[name].labels(**all_labels)
        return series
