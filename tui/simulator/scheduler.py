"""Continuous batching in simulated time: a token budget a step, a KV pool with a prefix cache, and preemption.

Nothing here sleeps or reads a clock: `step` returns how long the step takes and which tokens it produced.

The two presets: costs of each engine, chosen so that the published study's figures come out.

| | 1 stream, 50-token prompt | 1 stream, 500 | 10 streams | 100 streams |
|---|---|---|---|---|
| vLLM | 0.45 s, 35 TPS | 0.65 s, 35 TPS | 0.65 s, 22 TPS | 1.25 s, 16 TPS |
| SGLang | 0.57 s, 38 TPS | 0.62 s, 38 TPS | 0.62 s, 30 TPS | 0.65 s, 31 TPS |

The single streams ask one request after the other for 500 tokens. 10 and 100 streams are read as closed loops of that
many, started every 61.25 ms, whose prompts of 250 tokens have 200 in common: the study gives the stagger and that
there is a shared prefix, the lengths are ours. Each figure comes out within 15 %, which a test holds.

The figures fix the parameters: the step from 50 to 500 prompt tokens gives the prefill's cost a token, one stream's
TPS the lone decode step, 10 and 100 streams how that step grows with the batch, and the TTFT at 100 streams what the
front end costs a stream that is already running.

What the study does not fix follows an 8B model with FP8 KV on a GPU of 40 GB: 64 KiB of KV a token (32 layers, 8 KV
heads of 128, keys and values), read at 1.55 TB/s, is 4.2e-5 ms for each token of context in each decode step; a pool
of 8 GiB holds 131,072 tokens; token budget and batch limit are the engines' own defaults for a GPU of that size.
"""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MODEL = "simulated-8b"
GIB = 1 << 30
KV_BYTES_A_TOKEN = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """How one engine schedules and what that costs. Times in ms of the simulated engine."""

    engine: str
    version: str
    front_ms: float  # from the request's arrival until the scheduler has it: network, HTTP, tokenizer
    front_ms_per_stream: float  # the front end also writes every running stream, in the same process
    step_ms: float  # of every step, decode or prefill: launches, weights read once
    batch_ms: float  # what decoding a full batch adds
    batch_half: float  # the batch at which half of that is reached: kernels fill the GPU, then it is bandwidth
    stream_ms: float  # what every further stream costs all the same: sampling, bookkeeping
    context_ms_per_token: float = 4.2e-5  # attention reads every cached token of every stream
    prefill_ms_per_token: float
    jitter: float = 0.03  # standard deviation of a step's time, as a share of it
    prefill_first: bool  # SGLang: a step prefills or decodes; vLLM mixes both within one token budget
    token_budget: int  # tokens a step may compute
    max_running: int
    page_tokens: int  # of the KV pool and of the prefix cache
    kv_tokens: int = 131_072
    max_model_len: int = 32_768
    gpu_memory_gib: float = 40.0
    gpu_used_gib: float  # weights, the preallocated pool, graphs and work space: flat by design
    weights_gib: float = 15.0
    idle_w: float
    busy_w: float


VLLM = Preset(
    engine="vllm",
    version="0.32.0",
    front_ms=400.0,
    front_ms_per_stream=6.8,
    step_ms=25.1,
    batch_ms=36.5,
    batch_half=10.0,
    stream_ms=0.02,
    prefill_ms_per_token=0.44,
    prefill_first=False,
    token_budget=2048,
    max_running=256,
    page_tokens=16,
    gpu_used_gib=26.0,
    idle_w=56.0,
    busy_w=392.0,
)

SGLANG = Preset(
    engine="sglang",
    version="0.5.23",
    front_ms=560.0,
    front_ms_per_stream=0.35,
    step_ms=8.0,
    batch_ms=22.0,
    batch_half=0.2,
    stream_ms=0.01,
    prefill_ms_per_token=0.11,
    prefill_first=True,
    token_budget=4096,
    max_running=2048,
    page_tokens=1,
    gpu_used_gib=25.1,
    idle_w=55.0,
    busy_w=378.0,
)

PRESETS: dict[str, Preset] = {preset.engine: preset for preset in (VLLM, SGLANG)}


def page_keys(tokens: Sequence[int], page_tokens: int) -> list[int]:
    """One key for each whole page of a prompt; it identifies the page together with everything before it."""
    keys: list[int] = []
    key = 0
    for start in range(0, len(tokens) - page_tokens + 1, page_tokens):
        key = hash((key, *tokens[start : start + page_tokens]))
        keys.append(key)
    return keys


@dataclass(slots=True)
class KvPool:
    """Counts pages: private to one stream, shared by several, or cached, which is held by nobody and still a hit."""

    pages: int
    private: int = 0
    _shared: dict[int, int] = field(default_factory=dict)  # key → streams that hold it
    _cached: OrderedDict[int, None] = field(default_factory=OrderedDict)  # held by nobody, oldest first

    @property
    def held(self) -> int:
        """Pages that running streams need."""
        return self.private + len(self._shared)

    @property
    def cached(self) -> int:
        """Pages that nobody holds and that may still be hit."""
        return len(self._cached)

    @property
    def usage(self) -> float:
        """Share of the pool that running streams hold; both engines count cached pages as free."""
        return self.held / self.pages

    def match(self, keys: Sequence[int]) -> int:
        """How many leading pages are in the cache."""
        for number, key in enumerate(keys):
            if key not in self._shared and key not in self._cached:
                return number
        return len(keys)

    def take(self, pages: int) -> bool:
        """Make `pages` private, evicting the oldest cached ones. False when running streams leave no room."""
        if self.held + pages > self.pages:
            return False
        self.private += pages
        while self.held + len(self._cached) > self.pages:
            self._cached.popitem(last=False)
        return True

    def free(self, pages: int) -> None:
        self.private -= pages

    def hold(self, keys: Iterable[int]) -> None:
        """A stream uses these cached or shared pages."""
        for key in keys:
            self._cached.pop(key, None)
            self._shared[key] = self._shared.get(key, 0) + 1

    def share(self, keys: Iterable[int]) -> list[int]:
        """Turn private pages that were just computed into shared ones; returns the keys that are new."""
        fresh = [key for key in keys if key not in self._shared and key not in self._cached]
        self.private -= len(fresh)
        self.hold(fresh)
        return fresh

    def release(self, keys: Sequence[int]) -> None:
        """A stream no longer uses these pages; those that nobody holds stay in the cache until room is needed.

        The last page of a prompt is evicted first: a page is only hit together with all before it.
        """
        for key in reversed(keys):
            self._shared[key] -= 1
            if self._shared[key] == 0:
                del self._shared[key]
                self._cached[key] = None

    def reset_cache(self) -> bool:
        """Empty the prefix cache; False while streams hold pages."""
        if self._shared or self.private:
            return False
        self._cached.clear()
        return True


@dataclass(slots=True, eq=False)
class Stream:
    """One request inside the engine."""

    prompt: list[int]
    output_tokens: int  # it ends after so many
    generated: int = 0
    computed: int = 0  # tokens of prompt and output whose KV is there
    cached: int = 0  # prompt tokens that the prefix cache had, at the first admission
    admitted: bool = False
    private_pages: int = 0
    keys: list[int] = field(default_factory=list)  # of the prompt's pages, in the prefix cache
    held_keys: list[int] = field(default_factory=list)

    @property
    def to_compute(self) -> int:
        """Tokens to compute before the next output token; after preemption that includes the output so far."""
        return len(self.prompt) + self.generated

    @property
    def prefilling(self) -> bool:
        """Whether more than the last token is to be computed."""
        return self.computed < self.to_compute - (1 if self.generated else 0)


@dataclass(slots=True)
class Step:
    """What one step did. Each of `emitted` has one more token; `finished` are those of them that are done."""

    duration_ms: float
    emitted: list[Stream]
    finished: list[Stream]
    admitted: list[Stream]  # for the first time
    decoded: int  # of the emitted tokens: the others came out of a prefill
    prefill_tokens: int
    cached_tokens: int
    preempted: int


class Scheduler:
    def __init__(self, preset: Preset, seed: int = 0) -> None:
        self.preset = preset
        self.pool = KvPool(preset.kv_tokens // preset.page_tokens)
        self.waiting: deque[Stream] = deque()
        self.running: dict[Stream, None] = {}  # in the order of admission
        self._random = random.Random(seed)

    def add(self, stream: Stream) -> None:
        stream.keys = page_keys(stream.prompt, self.preset.page_tokens)
        self.waiting.append(stream)

    def abort(self, stream: Stream) -> None:
        """Drop a running or waiting stream; nothing when it has ended."""
        if stream in self.running:
            del self.running[stream]
            self._release(stream)
        elif stream in self.waiting:
            self.waiting.remove(stream)

    @property
    def busy(self) -> bool:
        return bool(self.running or self.waiting)

    def step(self) -> Step:
        preempted = self._make_room()
        admitted = self._admit()
        prefills = self._plan_prefills()
        decoding = [] if self.preset.prefill_first and prefills else [s for s in self.running if not s.prefilling]
        duration_ms = self._duration_ms(decoding, prefills)
        emitted = list(decoding)
        for stream, tokens in prefills.items():
            stream.computed += tokens
            if not stream.prefilling:
                self._share_prompt(stream)
                emitted.append(stream)
        for stream in emitted:
            stream.generated += 1
            stream.computed = stream.to_compute - 1
        finished = [stream for stream in emitted if stream.generated >= stream.output_tokens]
        for stream in finished:
            del self.running[stream]
            self._release(stream)
        cached = sum(stream.cached for stream in admitted)
        return Step(
            duration_ms, emitted, finished, admitted, len(decoding), sum(prefills.values()), cached, preempted
        )

    def _duration_ms(self, decoding: list[Stream], prefills: dict[Stream, int]) -> float:
        p = self.preset
        batch = len(decoding)
        context = sum(stream.computed for stream in (*decoding, *prefills))
        decode_ms = p.batch_ms * batch / (batch + p.batch_half) + p.stream_ms * batch
        prefill_ms = p.prefill_ms_per_token * sum(prefills.values())
        mean_ms = p.step_ms + decode_ms + prefill_ms + p.context_ms_per_token * context
        return mean_ms * max(0.2, self._random.gauss(1.0, p.jitter))

    def _admit(self) -> list[Stream]:
        """Admit waiting streams while batch and pool have room; returns those admitted for the first time."""
        admitted: list[Stream] = []
        budget = self.preset.token_budget - len(self.running)
        while self.waiting and len(self.running) < self.preset.max_running and budget > 0:
            stream = self.waiting[0]
            # The last token is always computed, for its logits.
            max_pages = (stream.to_compute - 1) // self.preset.page_tokens
            matched = stream.keys[: min(self.pool.match(stream.keys), max_pages)]
            cached = len(matched) * self.preset.page_tokens
            pages = -(-(stream.to_compute - cached) // self.preset.page_tokens)
            self.pool.hold(matched)
            if not self.pool.take(pages):
                self.pool.release(matched)
                break
            self.waiting.popleft()
            stream.held_keys, stream.private_pages, stream.computed = list(matched), pages, cached
            if not stream.admitted:
                stream.admitted, stream.cached = True, cached
                admitted.append(stream)
            budget -= stream.to_compute - cached
            self.running[stream] = None
        return admitted

    def _plan_prefills(self) -> dict[Stream, int]:
        """Tokens each stream prefills in this step; decoding streams first take one token of the budget each."""
        prefilling = [stream for stream in self.running if stream.prefilling]
        budget = self.preset.token_budget - (0 if self.preset.prefill_first else len(self.running) - len(prefilling))
        plan: dict[Stream, int] = {}
        for stream in prefilling:
            if budget <= 0:
                break
            plan[stream] = min(budget, stream.to_compute - stream.computed)
            budget -= plan[stream]
        return plan

    def _make_room(self) -> int:
        """Take a page for every stream whose next token needs one; if none is free, preempt the newest stream."""
        preempted = 0
        for stream in list(self.running):
            if stream not in self.running or stream.prefilling:
                continue
            capacity = (len(stream.held_keys) + stream.private_pages) * self.preset.page_tokens
            while stream.to_compute + 1 > capacity and not self.pool.take(1):
                self._preempt(next(reversed(self.running)))
                preempted += 1
                if stream not in self.running:
                    break
            else:
                if stream.to_compute + 1 > capacity:
                    stream.private_pages += 1
        return preempted

    def _preempt(self, stream: Stream) -> None:
        """Release a stream's memory and requeue it first, to compute everything again, as both engines do."""
        del self.running[stream]
        self._release(stream)
        stream.computed = 0
        self.waiting.appendleft(stream)

    def _share_prompt(self, stream: Stream) -> None:
        """The prompt's whole pages are computed: let other streams use them."""
        fresh = self.pool.share(stream.keys[len(stream.held_keys) :])
        stream.private_pages -= len(fresh)
        stream.held_keys += fresh

    def _release(self, stream: Stream) -> None:
        self.pool.free(stream.private_pages)
        self.pool.release(stream.held_keys)
        stream.private_pages, stream.held_keys = 0, []
