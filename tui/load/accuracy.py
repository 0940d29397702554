"""What the client itself adds on this machine, and how much load its figures can be trusted with.

A token source in a process of its own logs when it received a request and sent each token; one lane's driver reads it
like any server. Our times less the source's are what client and loopback add.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from tui.load.accuracy_source import SourceAnswer
from tui.load.driver import Driver, LanePlan, Setting
from tui.load.requests import RequestBuilder
from tui.model.dials import Dials
from tui.model.rows import Frame, RequestRow

SINGLE_US = (5_000, 5_000)  # one stream: time to the first token, and from token to token
PACED_US = (50_000, 16_000)
PACED_STREAMS = 128  # 8,000 tokens/s
BULK_STREAMS, BULK_TOKENS = 64, 2_000
MAX_TRUSTED_SHARE = 0.5  # of a core: above it reads join tokens, and a joined read has only its last token's time
MAX_STAMP_ERROR_US = 1_000.0


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What one lane's driver adds on this machine now, and its limits."""

    ttft_added_p50_us: float  # one stream at a time
    ttft_added_p99_us: float
    itl_error_p50_us: float  # absolute; one stream at a time
    itl_error_p99_us: float
    paced_tokens_s: float  # reached while the source paced `PACED_STREAMS` streams
    stamp_error_p50_us: float  # of each token of the paced streams
    stamp_error_p99_us: float
    cpu_us_a_token: float  # while paced
    bulk_tokens_s: float  # when the source sends as fast as it can
    kernel_stamps: bool
    bound: bool  # the driver reported that it was the bottleneck while the source paced
    merged_share: float = 0.0  # of the paced reads: they joined tokens, and only the last one's time is known

    @property
    def ceiling_tokens_s(self) -> float:
        """Tokens a second that would fill a core at an engine's pace, where each token is a read of its own.

        A low estimate: a token costs less the more of them are ready at each poll.
        """
        return 1e6 / self.cpu_us_a_token

    @property
    def trusted_tokens_s(self) -> float:
        """Tokens a second up to which one lane's figures can be trusted; 0 if not even the paced load went well."""
        if self.bound or self.stamp_error_p99_us > MAX_STAMP_ERROR_US:
            return 0.0
        return MAX_TRUSTED_SHARE * self.ceiling_tokens_s

    def lines(self) -> list[str]:
        paced = f"{PACED_STREAMS} streams at {self.paced_tokens_s:,.0f} tokens/s"
        stamps = "the kernel's timestamps" if self.kernel_stamps else "timestamps of the program, not of the kernel"
        ceiling = f"{self.ceiling_tokens_s:,.0f} tokens/s"
        return [
            f"TTFT   {self.ttft_added_p50_us:,.0f} us added at p50, {self.ttft_added_p99_us:,.0f} at p99, one stream",
            f"ITL    {self.itl_error_p50_us:,.0f} us off at p50, {self.itl_error_p99_us:,.0f} at p99, one stream",
            f"stamps {self.stamp_error_p50_us:,.0f} us late at p50, {self.stamp_error_p99_us:,.0f} at p99, {paced}",
            f"       by {stamps}; {self.merged_share:.1%} of the reads joined tokens",
            f"pace   {self.cpu_us_a_token:.0f} us of CPU per token: at least {ceiling} fill a core",
            f"bulk   {self.bulk_tokens_s:,.0f} tokens/s when many tokens arrive in one read",
            self.conclusion(),
        ]

    def conclusion(self) -> str:
        if self.trusted_tokens_s:
            return (
                f"On this machine a lane's figures can be trusted up to at least {_rounded(self.trusted_tokens_s):,} "
                f"output tokens/s; differences under {self.stamp_error_p99_us / 1000:.2f} ms are the client's own."
            )
        return (
            f"This machine is too busy to measure on: even at {self.paced_tokens_s:,.0f} tokens/s the client was the "
            "bottleneck. Stop what else runs here, or run dragstrip on another machine."
        )


async def measure(step_s: float = 3.0, at: Callable[[str], None] = lambda _: None) -> Accuracy:
    """Three measurements of `step_s` seconds each: one stream, many paced streams, and as fast as possible.

    `at` is called with each as it begins.
    """
    at("1 of 3: one stream")
    single = await _paced(1, SINGLE_US, step_s)
    at(f"2 of 3: {PACED_STREAMS} paced streams")
    paced = await _paced(PACED_STREAMS, PACED_US, step_s)
    at("3 of 3: as fast as possible")
    bulk = await _bulk(step_s)
    itl_us = np.abs(np.concatenate([np.diff(errors) for errors in single.errors_us]))
    return Accuracy(
        *_p50_p99(single.ttft_added_us),
        *_p50_p99(itl_us),
        paced.tokens_s,
        *_p50_p99(np.concatenate(paced.errors_us)),
        paced.cpu_us_a_token,
        bulk.tokens_s,
        kernel_stamps=all(row.stamp == "kernel" for row in paced.rows),
        bound=paced.bound,
        merged_share=paced.merged_share,
    )


@dataclass(slots=True)
class _Run:
    """What the driver reported, and its errors against the source's log."""

    rows: list[RequestRow] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    errors_us: list[NDArray[np.float64]] = field(default_factory=list)  # by request, of each token
    ttft_added_us: list[float] = field(default_factory=list)

    @property
    def _tokens(self) -> int:
        return sum(int(np.frombuffer(f.chunks.tokens, "<i4").sum()) for f in self.frames[1:])

    @property
    def tokens_s(self) -> float:
        return self._tokens / (self.frames[-1].t_ns - self.frames[0].t_ns) * 1e9

    @property
    def cpu_us_a_token(self) -> float:
        return (self.frames[-1].cpu_s_total - self.frames[0].cpu_s_total) / self._tokens * 1e6

    @property
    def merged_share(self) -> float:
        reads = sum(len(frame.chunks.t_ns) // 8 for frame in self.frames)
        return sum(frame.merged_reads for frame in self.frames) / max(reads, 1)

    @property
    def bound(self) -> bool:
        """Whether most frames were client-bound; a single late moment is no limit."""
        return sum(bool(frame.bound) for frame in self.frames) > len(self.frames) / 2


async def _paced(streams: int, pace_us: tuple[int, int], seconds: float) -> _Run:
    dials = Dials(concurrency=streams, prompt_tokens=16, output_tokens=20)
    async with _source() as source:
        plan = _plan(f"{source.url}/p/{pace_us[0]}/{pace_us[1]}")
        run = await _drive(plan, dials, seconds)
        log = await source.log()
    builder, answers = RequestBuilder(plan), {answer.seed: answer for answer in log}
    times = _token_times(run.frames)
    for row in run.rows:
        answer = answers.get(builder.spec(row.request, dials).seed)
        if row.outcome == "ok" and answer and len(times.get(row.request, ())) == len(answer.sent_ns):
            assert row.t_first_ns is not None
            assert row.t_send_ns is not None
            run.errors_us.append((times[row.request] - np.array(answer.sent_ns)) / 1e3)
            ours_ns, source_ns = row.t_first_ns - row.t_send_ns, answer.sent_ns[0] - answer.received_ns
            run.ttft_added_us.append((ours_ns - source_ns) / 1e3)
    return run


async def _bulk(seconds: float) -> _Run:
    dials = Dials(concurrency=BULK_STREAMS, prompt_tokens=16, output_tokens=BULK_TOKENS)
    async with _source() as source:
        return await _drive(_plan(source.url), dials, seconds)


def _plan(url: str) -> LanePlan:
    """Prompts of ids: then each request's seed is known in advance, and the source logs it."""
    return LanePlan(
        lane="a",
        url=url,
        engine="openai",
        model="accuracy",
        endpoint="completions",
        prompt_form="ids",
        token_pool=[1, 2, 3, 4],
    )


async def _drive(plan: LanePlan, dials: Dials, seconds: float) -> _Run:
    """Drive for `seconds`, then let what runs finish."""
    driver, run, loop = await Driver.start(plan, Setting(1, dials)), _Run(), asyncio.get_running_loop()
    end_s = loop.time() + seconds
    try:
        async for frame in driver.frames():
            run.frames.append(frame)
            run.rows += frame.requests
            if loop.time() > end_s:
                driver.set(Setting(2, Dials(concurrency=0)))
            if frame.segment == 2 and not frame.in_flight:
                break
    finally:
        await driver.stop()
    return run


def _token_times(frames: list[Frame]) -> dict[int, NDArray[np.int64]]:
    """Arrival of each token in ns, by request."""
    request = np.concatenate([np.frombuffer(f.chunks.request, "<i8") for f in frames])
    t_ns = np.concatenate([np.frombuffer(f.chunks.t_ns, "<i8") for f in frames])
    tokens = np.concatenate([np.frombuffer(f.chunks.tokens, "<i4") for f in frames])
    order = np.argsort(request, kind="stable")
    request, t_ns = np.repeat(request[order], tokens[order]), np.repeat(t_ns[order], tokens[order])
    numbers, starts = np.unique(request, return_index=True)
    return dict(zip(numbers.tolist(), np.split(t_ns, starts[1:]), strict=True))


def _p50_p99(values: NDArray[np.float64] | list[float]) -> tuple[float, float]:
    p50, p99 = np.percentile(values, (50, 99))
    return float(p50), float(p99)


def _rounded(value: float) -> int:
    """To two digits: more would be a promise."""
    digits = len(str(int(value))) - 2
    return int(round(value, -max(digits, 0)))


@dataclass(frozen=True, slots=True)
class _Source:
    url: str
    process: asyncio.subprocess.Process

    async def log(self) -> list[SourceAnswer]:
        """Ends the source, by ending its stdin."""
        output, _ = await self.process.communicate(b"")
        return msgspec.json.decode(output, type=list[SourceAnswer])


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
