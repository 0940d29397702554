"""Is what we report true? Stamps and percentiles beside the server's own log of what it sent when.

`python -m tests.bench.load.stamps [--streams 1000] [--rate 20000,50000] [--tls]`: a server in C paces its streams and
notes the monotonic time of each token right before it sends it. Printed: our stamp less the server's of every token,
and TTFT, TPOT, ITL and E2E by our record and by the server's.
"""

import argparse
import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tests.bench.load.source import CORES, Sent, sent, source
from tui.load.composing import Composer
from tui.load.driver import Driver
from tui.load.plan import LanePlan, Setting
from tui.records.dials import Dials
from tui.records.frame import Frame
from tui.records.metrics import e2e_ms, tpot_ms, ttft_ms
from tui.records.rows import RequestRow

TTFT_US = 200_000
TOKENS = 40
Floats = NDArray[np.float64]


@dataclass
class Heard:
    """What the driver said."""

    rows: dict[int, RequestRow] = field(default_factory=dict)
    chunks: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)

    def take(self, frame: Frame) -> None:
        self.frames.append(frame)
        self.rows |= {row.request: row for row in frame.requests if row.outcome == "ok"}
        columns = frame.chunks
        self.chunks.append(
            (
                np.frombuffer(columns.request, "<i8"),
                np.frombuffer(columns.t_ns, "<i8"),
                np.frombuffer(columns.tokens, "<i4"),
            )
        )

    def token_times(self) -> dict[int, NDArray[np.int64]]:
        """For each request when each of its tokens arrived: tokens that one read brought share its stamp."""
        request, t_ns, tokens = (np.concatenate(column) for column in zip(*self.chunks, strict=True))
        order = np.argsort(request, kind="stable")
        request, t_ns, tokens = request[order], t_ns[order], tokens[order]
        numbers, starts = np.unique(request, return_index=True)
        ends = [*starts[1:], len(request)]
        return {int(n): np.repeat(t_ns[a:b], tokens[a:b]) for n, a, b in zip(numbers, starts, ends, strict=True)}


def plan(url: str, step_us: int) -> LanePlan:
    """Prompts of ids, so that the list of requests, seeds included, is known beforehand."""
    return LanePlan(
        lane="a",
        url=f"{url}/p/{TTFT_US}/{step_us}",
        engine="openai",
        model="m",
        endpoint="completions",
        prompt_form="ids",
        token_pool=[5, 6, 7, 8],
        verify_tls=False,
    )


async def hear(lane: LanePlan, dials: Dials, seconds: float) -> Heard:
    """Drive for so long; let what runs then finish."""
    driver = await Driver.start(lane, Setting(1, dials))
    os.sched_setaffinity(driver.pid, {CORES[-1]})
    heard = Heard()
    loop = asyncio.get_running_loop()
    end_s = loop.time() + seconds
    async for frame in driver.frames():
        heard.take(frame)
        if loop.time() > end_s:
            driver.set(Setting(2, Dials(concurrency=0)))
            if frame.segment == 2 and frame.in_flight == 0:
                break
    await driver.stop()
    return heard


def by_request(lane: LanePlan, dials: Dials, heard: Heard, log: list[Sent]) -> list[tuple[RequestRow, Sent]]:
    """Each of our rows with the server's line of the same request: they share a seed.

    Without the first of each stream: all are sent at once, and the server's own clock starts when it comes to read.
    """
    lines = {line.seed: line for line in log}
    composer = Composer(lane)
    return [
        (row, lines[composer.wanted(number, dials).seed])
        for number, row in heard.rows.items()
        if number >= dials.concurrency
    ]


def percentiles(name: str, ours: Floats, theirs: Floats) -> None:
    """Print ours beside the server's; an asterisk where they differ by more than 1 % and 0.1 ms."""
    cells = []
    for percent in (50, 95, 99):
        a, b = float(np.percentile(ours, percent)), float(np.percentile(theirs, percent))
        off = abs(a - b) > max(0.1, 0.01 * b)
        cells.append(f"p{percent} {a:8.3f} / {b:8.3f}{'*' if off else ' '}")
    print(f"  {name:5} ms, ours / the server's: {'  '.join(cells)}")


def compare(lane: LanePlan, dials: Dials, heard: Heard, log: list[Sent]) -> None:
    """Print how far we are from the server's own log."""
    pairs = by_request(lane, dials, heard, log)
    times = heard.token_times()
    errors, our_gaps, gaps = [], [], []
    for row, line in pairs:
        told = np.array(line.t_ns)
        errors.append(times[row.request] - told)
        our_gaps.append(np.diff(times[row.request]) / 1e6)
        gaps.append(np.diff(told) / 1e6)
    error_us = np.concatenate(errors) / 1e3
    low, high, highest = np.percentile(error_us, (50, 99, 99.9))
    merged = sum(frame.merged_reads for frame in heard.frames)
    kernel = sum(row.stamp == "kernel" for row, _ in pairs) / len(pairs)
    bound = sum(bool(frame.bound) for frame in heard.frames)
    print(f"  stamp error us: p50 {low:.1f}, p99 {high:.1f}, p99.9 {highest:.1f}; {len(error_us):,} tokens")
    cpu_us = (heard.frames[-1].cpu_s_total - heard.frames[0].cpu_s_total) / sum(map(len, times.values())) * 1e6
    print(f"  {cpu_us:.1f} CPU us a token in the driver: a system call each, at this pace")
    print(f"  {kernel:.0%} kernel stamps, {merged:,} merged reads, {bound} of {len(heard.frames)} frames bound")
    percentiles("TTFT", _of(ttft_ms, pairs), np.array([(s.t_ns[0] - s.received_ns) / 1e6 for _, s in pairs]))
    means = [(s.t_ns[-1] - s.t_ns[0]) / 1e6 / (len(s.t_ns) - 1) for _, s in pairs]
    percentiles("TPOT", _of(tpot_ms, pairs), np.array(means))
    percentiles("ITL", np.concatenate(our_gaps), np.concatenate(gaps))
    percentiles("E2E", _of(e2e_ms, pairs), np.array([(s.t_ns[-1] - s.received_ns) / 1e6 for _, s in pairs]))


def _of(metric: Callable[[RequestRow], float | None], pairs: list[tuple[RequestRow, Sent]]) -> Floats:
    return np.array([metric(row) for row, _ in pairs], dtype=np.float64)


def main() -> None:
    """Measure at each rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--rate", default="20000,50000", help="tokens a second over all streams")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--tls", action="store_true")
    told = parser.parse_args()
    dials = Dials(concurrency=told.streams, prompt_tokens=16, output_tokens=TOKENS)
    for rate in map(int, told.rate.split(",")):
        with source(tls=told.tls) as url:
            lane = plan(url, round(told.streams / rate * 1e6))
            heard = asyncio.run(hear(lane, dials, told.seconds))
            print(f"{told.streams} streams, {rate:,} tokens/s asked, {'https' if told.tls else 'http'}")
            compare(lane, dials, heard, sent(url))


if __name__ == "__main__":
    main()
