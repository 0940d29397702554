"""Measure the ruler: what the client itself adds on this very machine, and how much load it may be trusted with.

A token source in a process of its own notes when it received a request and sent each token; one lane's driver reads
it like any server. Ours less the source's is what client and loopback add.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from tui.load.accuracy_source import SourceAnswer
from tui.load.body import RequestBuilder
from tui.load.driver import Driver
from tui.load.pipe import LanePlan, Setting
from tui.model.dials import Dials
from tui.model.rows import Frame, RequestRow

Ints = NDArray[np.int64]

FLOOR_US = (5_000, 5_000)  # one stream: time to the first token, and from token to token
PACED_US = (50_000, 16_000)
PACED_STREAMS = 128  # 8,000 tokens/s
BULK_STREAMS, BULK_TOKENS = 64, 2_000
TRUSTED_SHARE = 0.5  # of a core: beyond it reads join tokens, and a joined read has only its last one's stamp
LARGE_ERROR_US = 1_000.0


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What one lane's driver adds, and where it ends, on this machine now."""

    ttft_added_p50_us: float  # one stream at a time
    ttft_added_p99_us: float
    itl_error_p50_us: float  # ours less the source's, without sign; one stream at a time
    itl_error_p99_us: float
    paced_tokens_s: float  # reached when the source paced `PACED_STREAMS` streams
    stamp_error_p50_us: float  # of each token then
    stamp_error_p99_us: float
    cpu_us_a_token: float  # then
    bulk_tokens_s: float  # when the source sends as fast as it can
    kernel_stamps: bool
    bound: bool  # the driver said that it was the limit while the source paced
    merged_share: float = 0.0  # of the reads then: they joined tokens, and only the last one's stamp is known

    @property
    def ceiling_tokens_s(self) -> float:
        """Tokens a second that would fill a core at an engine's pace, where each token is a read of its own.

        A low estimate: a token costs less the more of them there are to read at each look.
        """
        return 1e6 / self.cpu_us_a_token

    @property
    def trusted_tokens_s(self) -> float:
        """Up to where figures of one lane may be trusted; 0 when not even the paced load was measured well."""
        if self.bound or self.stamp_error_p99_us > LARGE_ERROR_US:
            return 0.0
        return TRUSTED_SHARE * self.ceiling_tokens_s

    def lines(self) -> list[str]:
        """The figures, and a plain sentence on them."""
        many = f"{PACED_STREAMS} streams at {self.paced_tokens_s:,.0f} tokens/s"
        stamps = "the kernel's stamps" if self.kernel_stamps else "stamps taken by the program, not by the kernel"
        full = f"{self.ceiling_tokens_s:,.0f} tokens/s"
        return [
            f"TTFT   {self.ttft_added_p50_us:,.0f} us added at p50, {self.ttft_added_p99_us:,.0f} at p99, one stream",
            f"ITL    {self.itl_error_p50_us:,.0f} us off at p50, {self.itl_error_p99_us:,.0f} at p99, one stream",
            f"stamps {self.stamp_error_p50_us:,.0f} us late at p50, {self.stamp_error_p99_us:,.0f} at p99, {many}",
            f"       by {stamps}; {self.merged_share:.1%} of the reads joined tokens",
            f"pace   {self.cpu_us_a_token:.0f} us of CPU a token: {full} fill a core, or more",
            f"bulk   {self.bulk_tokens_s:,.0f} tokens/s when many tokens come in one read",
            self.sentence(),
        ]

    def sentence(self) -> str:
        """What load may be trusted."""
        if self.trusted_tokens_s:
            return (
                f"On this machine a lane's figures can be trusted up to at least {_rounded(self.trusted_tokens_s):,} "
                f"output tokens/s; differences under {self.stamp_error_p99_us / 1000:.2f} ms are the client's own."
            )
        return (
            f"This machine is too busy to measure on: even at {self.paced_tokens_s:,.0f} tokens/s the client was the "
            "limit. Stop what else runs here, or run dragstrip on another machine."
        )


async def measure(step_s: float = 3.0) -> Accuracy:
    """Three measurements of `step_s` seconds each: one stream, many paced ones, and as fast as it goes."""
    one = await _paced(1, FLOOR_US, step_s)
    many = await _paced(PACED_STREAMS, PACED_US, step_s)
    bulk = await _bulk(step_s)
    itl_us = np.abs(np.concatenate([np.diff(errors) for errors in one.errors_us]))
    stamp_us = np.concatenate(many.errors_us)
    return Accuracy(
        *_p50_p99(one.ttft_added_us),
        *_p50_p99(itl_us),
        many.tokens_s,
        *_p50_p99(stamp_us),
        many.cpu_us_a_token,
        bulk.tokens_s,
        kernel_stamps=all(row.stamp == "kernel" for row in many.rows),
        bound=many.bound,
        merged_share=many.merged_share,
    )


@dataclass(slots=True)
class _Heard:
    """What the driver said after the first second, and the source's log beside it."""

    rows: list[RequestRow] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    errors_us: list[NDArray[np.float64]] = field(default_factory=list)  # by request, of each token
    ttft_added_us: list[float] = field(default_factory=list)

    @property
    def _seconds(self) -> float:
        return (self.frames[-1].t_ns - self.frames[0].t_ns) / 1e9

    @property
    def _tokens(self) -> int:
        return sum(int(np.frombuffer(f.chunks.tokens, "<i4").sum()) for f in self.frames[1:])

    @property
    def tokens_s(self) -> float:
        return self._tokens / self._seconds

    @property
    def cpu_us_a_token(self) -> float:
        return (self.frames[-1].cpu_s_total - self.frames[0].cpu_s_total) / self._tokens * 1e6

    @property
    def merged_share(self) -> float:
        reads = sum(len(frame.chunks.t_ns) // 8 for frame in self.frames)
        return sum(frame.merged_reads for frame in self.frames) / max(reads, 1)

    @property
    def bound(self) -> bool:
        """Most of the time; a single late moment is no limit."""
        return sum(bool(frame.bound) for frame in self.frames) > len(self.frames) / 2


async def _paced(streams: int, pace_us: tuple[int, int], seconds: float) -> _Heard:
    dials = Dials(concurrency=streams, prompt_tokens=16, output_tokens=20)
    async with _source() as source:
        plan = _plan(f"{source.url}/p/{pace_us[0]}/{pace_us[1]}")
        heard = await _drive(plan, dials, seconds)
        log = await source.log()
    builder, answers = RequestBuilder(plan), {answer.seed: answer for answer in log}
    times = _token_times(heard.frames)
    for row in heard.rows:
        answer = answers.get(builder.spec(row.request, dials).seed)
        if row.outcome == "ok" and answer and len(times.get(row.request, ())) == len(answer.sent_ns):
            assert row.t_first_ns is not None
            assert row.t_send_ns is not None
            heard.errors_us.append((times[row.request] - np.array(answer.sent_ns)) / 1e3)
            took_ns, answered_ns = row.t_first_ns - row.t_send_ns, answer.sent_ns[0] - answer.received_ns
            heard.ttft_added_us.append((took_ns - answered_ns) / 1e3)
    return heard


async def _bulk(seconds: float) -> _Heard:
    dials = Dials(concurrency=BULK_STREAMS, prompt_tokens=16, output_tokens=BULK_TOKENS)
    async with _source() as source:
        return await _drive(_plan(source.url), dials, seconds)


def _plan(url: str) -> LanePlan:
    """Prompts of ids: then the seed of each request of the list is known beforehand, and the source logs it."""
    return LanePlan(
        lane="a",
        url=url,
        engine="openai",
        model="ruler",
        endpoint="completions",
        prompt_form="ids",
        token_pool=[1, 2, 3, 4],
    )


async def _drive(plan: LanePlan, dials: Dials, seconds: float) -> _Heard:
    """Drive for so long, and let what runs then finish."""
    driver, heard, loop = await Driver.start(plan, Setting(1, dials)), _Heard(), asyncio.get_running_loop()
    end_s = loop.time() + seconds
    try:
        async for frame in driver.frames():
            heard.frames.append(frame)
            heard.rows += frame.requests
            if loop.time() > end_s:
                driver.set(Setting(2, Dials(concurrency=0)))
            if frame.segment == 2 and not frame.in_flight:
                break
    finally:
        await driver.stop()
    return heard


def _token_times(frames: list[Frame]) -> dict[int, Ints]:
    """For each request when each of its tokens arrived."""
    request = np.concatenate([np.frombuffer(f.chunks.request, "<i8") for f in frames])
    t_ns = np.concatenate([np.frombuffer(f.chunks.t_ns, "<i8") for f in frames])
    tokens = np.concatenate([np.frombuffer(f.chunks.tokens, "<i4") for f in frames])
    order = np.argsort(request, kind="stable")
    request, t_ns = np.repeat(request[order], tokens[order]), np.repeat(t_ns[order], tokens[order])
    numbers, starts = np.unique(request, return_index=True)
    return dict(zip(numbers.tolist(), np.split(t_ns, starts[1:]), strict=True))


def _p50_p99(values: "NDArray[np.float64] | list[float]") -> tuple[float, float]:
    low, high = np.percentile(values, (50, 99))
    return float(low), float(high)


def _rounded(value: float) -> int:
    """To two figures: more would be a promise."""
    digits = len(str(int(value))) - 2
    return int(round(value, -max(digits, 0)))


@dataclass(frozen=True, slots=True)
class _Source:
    url: str
    process: asyncio.subprocess.Process

    async def log(self) -> list[SourceAnswer]:
        """Ends it."""
        told, _ = await self.process.communicate(b"")  # nothing to say: that ends its stdin
        return msgspec.json.decode(told, type=list[SourceAnswer])


@asynccontextmanager
async def _source() -> AsyncIterator[_Source]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tui.load.accuracy_source"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield _Source(f"http://127.0.0.1:{int(await process.stdout.readline())}", process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
