"""Streams of a simulated engine in virtual time, whose chunks hold several tokens that are counted at the end."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import count, islice
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tui.judge.live_counts import LiveCounts
from tui.judge.token_counts import Bools, EndCounts, Ints, RecordedChunks
from tui.model.rows import Chunks, Frame, RequestRow
from tui.simulator.requests import token_lengths

# About LMDeploy on an H200: 6, 10 and 25 ms a token at 16, 64 and 256 streams, with prompts of 512 tokens.
STEP_MS, STREAM_MS, PREFILL_MS_A_TOKEN = 5.0, 0.06, 0.01
PROMPT_TOKENS, OUTPUT_TOKENS = 512, 256
FRAME_NS = 100_000_000
KINDS = ("<i8", "<i8", "<i4", "<i4")
Joined = Literal["late", "cycle", "speculation", "interval"]


@dataclass(frozen=True, slots=True)
class Made:
    """What came, by time, and what nobody but the simulator knows: the tokens of each chunk."""

    request: Ints
    t_ns: Ints
    tokens: Ints
    text_bytes: Ints
    rows: list[RequestRow]  # of the answers that ended

    @property
    def ended(self) -> Bools:
        """Which chunks are of answers that ended."""
        return self.of_ended(self.request)

    def of_ended(self, request: Ints) -> Bools:
        return np.isin(request, [row.request for row in self.rows])

    @property
    def times(self) -> tuple[Ints, Ints, Ints]:
        """What inter-token latencies are made of."""
        return self.request, self.t_ns, self.tokens


@cache
def made(joined: Joined, a_chunk: float, streams: int, seconds: float) -> Made:
    """A closed loop, whose streams are spread over the length of an answer."""
    rng = np.random.default_rng(int(1000 * a_chunk) + streams)
    lengths = token_lengths(random.Random(streams))
    a_step = a_chunk if joined == "speculation" else 1.0
    steps_ns = _steps(a_step * (STEP_MS + STREAM_MS * streams), streams, seconds, rng)
    columns, rows, numbers = [], [], count()
    for stream in range(streams):
        start = round(OUTPUT_TOKENS / a_step * stream / streams)
        while start < steps_ns.size:
            wanted = round(OUTPUT_TOKENS * rng.uniform(0.9, 1.1))
            held = _accepted(a_step, wanted, rng)
            emitted = steps_ns[start : start + held.size]
            start += held.size + 1
            times_ns, steps = sent(joined, emitted, a_chunk, rng)
            ends = np.cumsum(steps)
            tokens = np.add.reduceat(held[: emitted.size], ends - steps)
            text = np.fromiter(islice(lengths, int(tokens.sum())), np.int64)
            text = np.add.reduceat(text, np.cumsum(tokens) - tokens)
            number = next(numbers)
            columns.append(np.stack((np.full(tokens.size, number), times_ns, tokens, text)))
            if tokens.sum() == wanted:
                rows.append(row_of(number, times_ns, wanted, int(text.sum())))
    chunks = np.concatenate(columns, axis=1)
    request, t_ns, held, texts = chunks[:, np.argsort(chunks[1], kind="stable")]
    return Made(request, t_ns, held, texts, sorted(rows, key=lambda row: row.t_end_ns))


def row_of(number: int, times_ns: Ints, tokens: int, text_bytes: int) -> RequestRow:
    first_ns, last_ns, chunks = int(times_ns[0]), int(times_ns[-1]), times_ns.size
    return RequestRow(
        *("a", number, 1, 0, 0, first_ns, last_ns, last_ns, None, PROMPT_TOKENS, PROMPT_TOKENS, None, tokens, tokens),
        *("spread" if tokens > chunks else "usage at end", chunks, 1, "length", "ok", 200, "", "", "kernel"),
        reads=chunks,
        text_bytes=text_bytes,
    )  # fmt: skip


def _steps(step_ms: float, streams: int, seconds: float, rng: np.random.Generator) -> Ints:
    """When each step of the engine ended, in ns. The prompts of new requests stall every stream."""
    steps = round(seconds * 1000 / step_ms)
    prefills = rng.poisson(streams / OUTPUT_TOKENS, steps) * PROMPT_TOKENS * PREFILL_MS_A_TOKEN
    ms = np.cumsum(step_ms * rng.normal(1.0, 0.03, steps) + prefills)
    return np.round(ms[ms < seconds * 1000] * 1e6).astype(np.int64)


def _accepted(a_step: float, wanted: int, rng: np.random.Generator) -> Ints:
    """Tokens of each step of an answer: one, and of a speculating engine's guesses those that were right."""
    if a_step == 1.0:
        return np.ones(wanted, dtype=np.int64)
    guesses = max(2, round(1.6 * a_step))
    tokens = np.append(1, 1 + rng.binomial(guesses, (a_step - 1) / guesses, wanted))
    whole = int(np.searchsorted(np.cumsum(tokens), wanted))
    return np.append(tokens[:whole], wanted - tokens[:whole].sum())


def sent(joined: Joined, emitted: Ints, a_chunk: float, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """When an answer's chunks came, and of how many steps each is."""
    n = emitted.size
    if joined == "cycle":  # the front end looks after each stream once in a while, whatever the engine does
        looks = emitted[0] + np.append(0, np.cumsum(rng.normal(1.0, 0.12, n + 8) * a_chunk * np.diff(emitted).mean()))
        ready = np.append(np.searchsorted(emitted, looks[looks < emitted[-1]], side="right"), n)
        steps = np.diff(ready, prepend=0)
        return np.append(looks[: ready.size - 1], emitted[-1]).astype(np.int64)[steps > 0], steps[steps > 0]
    if joined == "late":  # it sends what there is when it is free: after more or fewer steps, by its load
        wide = rng.integers(-1, 2, n) * rng.integers(0, 2, n) if a_chunk > 2 else 0
        steps = np.floor(a_chunk + rng.uniform(0, 1, n)).astype(np.int64) + wide
    else:
        steps = np.full(n, round(a_chunk) if joined == "interval" else 1)
    ends = np.minimum(np.append(1, 1 + np.cumsum(steps)), n)
    ends = ends[: int(np.searchsorted(ends, n)) + 1]
    late_ns = rng.exponential(1e6, ends.size) if joined == "late" else 0
    return np.maximum.accumulate(emitted[ends - 1] + late_ns).astype(np.int64), np.diff(ends, prepend=0)


def recorded(given: Made) -> tuple[RecordedChunks, EndCounts]:
    """The same as a recording has it: an event a chunk, and at the end of each answer the rest of its count."""
    rest = [(row.request, row.t_last_ns or 0, row.output_tokens - row.chunks) for row in given.rows]
    request, t_ns, missing = np.array([entry for entry in rest if entry[2]] or np.empty((0, 3)), dtype=np.int64).T
    request, t_ns = np.concatenate((given.request, request)), np.concatenate((given.t_ns, t_ns))
    order = np.argsort(t_ns, kind="stable")
    tokens = np.concatenate((np.ones_like(given.tokens), missing))[order]
    text = np.concatenate((given.text_bytes, np.zeros_like(missing)))[order]
    spread = [row for row in given.rows if row.tokens_from == "spread"]
    numbers, counts = np.array([(row.request, row.output_tokens) for row in spread] or np.empty((0, 2)), np.int64).T
    nothing = np.zeros_like(numbers)
    ends = EndCounts.sorted(numbers, nothing, counts, nothing)
    return RecordedChunks(request[order], t_ns[order], tokens, text, tokens), ends


def live(given: Made, streams: int | Callable[[int], int]) -> Made:
    """What counts live, frame by frame. `streams`: how many are asked for, or how many by the end of a frame."""
    chunks, _ = recorded(given)
    counts = LiveCounts()
    columns = []
    ended_ns = [row.t_end_ns for row in given.rows]
    for end_ns in range(FRAME_NS, int(chunks.t_ns[-1]) + 2 * FRAME_NS, FRAME_NS):
        first, last = np.searchsorted(chunks.t_ns, (end_ns - FRAME_NS, end_ns))
        part = packed(
            *(column[first:last] for column in (chunks.request, chunks.t_ns, chunks.tokens, chunks.text_bytes))
        )
        ended = given.rows[bisect_left(ended_ns, end_ns - FRAME_NS) : bisect_left(ended_ns, end_ns)]
        asked = streams if isinstance(streams, int) else streams(end_ns)
        shown = counts.estimate(frame(end_ns, asked, part, ended))
        seen = (shown.request, shown.t_ns, shown.live_tokens, shown.text_bytes)
        columns.append(
            [np.frombuffer(column, kind).astype(np.int64) for column, kind in zip(seen, KINDS, strict=True)]
        )
    request, t_ns, tokens, text = (np.concatenate(column) for column in zip(*columns, strict=True))
    return Made(request, t_ns, tokens, text, given.rows)


def packed(*columns: ArrayLike) -> Chunks:
    return Chunks(*(np.asarray(column, kind).tobytes() for column, kind in zip(columns, KINDS, strict=True)))


def frame(t_ns: int, streams: int, chunks: Chunks, ended: list[RequestRow], counted: bytes = b"") -> Frame:
    return Frame(
        t_ns=t_ns, segment=1, concurrency=streams, in_flight=streams, requests=ended, chunks=chunks, sent_t_ns=b"",
        first_t_ns=b"", first_prompt_tokens=b"", due_total=0, started_total=0, cpu_s_total=0.0, loop_lag_ms=0.0,
        merged_reads=0, rss_bytes=0, bound="", down="", counted=counted,
    )  # fmt: skip
