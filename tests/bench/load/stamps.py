"""Is what we report true? Timestamps and percentiles against the server's own log of what it sent when.

`python -m tests.bench.load.stamps [--streams 1000] [--rate 20000,50000] [--tls]`: a server in C paces its streams and
notes the monotonic time of each token right before it sends it. Printed: our stamp less the server's of every token,
and TTFT, TPOT, ITL and E2E by our record and by the server's, once all streams are connected. On a machine with other
work look at how long driver and server waited for a core: the error of tokens that piled up meanwhile is that wait.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tests.bench.load.source import CORES, Sent, sent, source
from tui.load.driver import Driver, LanePlan, Setting
from tui.load.requests import RequestBuilder
from tui.load.self_check import waited_for_core_s
from tui.model.dials import Dials
from tui.model.metrics import e2e_ms, tpot_ms, ttft_ms
from tui.model.rows import Frame, RequestRow

TTFT_US = 200_000
TOKENS = 40
Floats = NDArray[np.float64]


@dataclass
class DriverRun:
    """What the driver reported."""

    rows: dict[int, RequestRow] = field(default_factory=dict)
    chunks: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    waited: float = 0.0  # share of the time in which the driver was ready to run and had no core

    def add(self, frame: Frame) -> None:
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


async def drive(lane: LanePlan, dials: Dials, seconds: float) -> DriverRun:
    """Drive for so long; let what runs then finish."""
    driver = await Driver.start(lane, Setting(1, dials))
    os.sched_setaffinity(driver.pid, {CORES[-1]})
    run = DriverRun()
    waited_s, began_s = waited_for_core_s(driver.pid), time.monotonic()
    loop = asyncio.get_running_loop()
    end_s = loop.time() + seconds
    async for frame in driver.frames():
        run.add(frame)
        if loop.time() > end_s:
            driver.set(Setting(2, Dials(concurrency=0)))
            if frame.segment == 2 and frame.in_flight == 0:
                break
    run.waited = (waited_for_core_s(driver.pid) - waited_s) / (time.monotonic() - began_s)
    await driver.stop()
    return run


def by_request(lane: LanePlan, dials: Dials, run: DriverRun, log: list[Sent]) -> list[tuple[RequestRow, Sent]]:
    """Each of our rows with the server's line of the same request: they share a seed.

    Of requests sent once all streams were connected: before, TLS takes the core, and the server's own clock of a
    request starts when it comes to read.
    """
    lines = {line.seed: line for line in log}
    builder = RequestBuilder(lane)
    opened_ns = max(row.t_first_ns or 0 for number, row in run.rows.items() if number < dials.concurrency)
    return [
        (row, lines[builder.spec(number, dials).seed])
        for number, row in run.rows.items()
        if (row.t_send_ns or 0) > opened_ns
    ]


def percentiles(name: str, ours: Floats, theirs: Floats) -> bool:
    """Print ours and the server's, with an asterisk where they differ by over 1 % and 0.1 ms. True if none is."""
    cells, close = [], True
    for percent in (50, 95, 99):
        a, b = float(np.percentile(ours, percent)), float(np.percentile(theirs, percent))
        off = abs(a - b) > max(0.1, 0.01 * b)
        close = close and not off
        cells.append(f"p{percent} {a:8.3f} / {b:8.3f}{'*' if off else ' '}")
    print(f"  {name:5} ms, ours / the server's: {'  '.join(cells)}")
    return close


def compare(lane: LanePlan, dials: Dials, run: DriverRun, log: list[Sent]) -> None:
    """Print how far we are from the server's own log."""
    pairs = by_request(lane, dials, run, log)
    times = run.token_times()
    errors, our_gaps, gaps = [], [], []
    for row, line in pairs:
        sent_ns = np.array(line.t_ns)
        errors.append(times[row.request] - sent_ns)
        our_gaps.append(np.diff(times[row.request]) / 1e6)
        gaps.append(np.diff(sent_ns) / 1e6)
    error_us = np.concatenate(errors) / 1e3
    low, high, highest = np.percentile(error_us, (50, 99, 99.9))
    merged = sum(frame.merged_reads for frame in run.frames) / sum(len(request) for request, _, _ in run.chunks)
    kernel = sum(row.stamp == "kernel" for row, _ in pairs) / len(pairs)
    bound = sum(bool(frame.bound) for frame in run.frames)
    print(f"  stamp error us: p50 {low:.1f}, p99 {high:.1f}, p99.9 {highest:.1f}; {len(error_us):,} tokens")
    cpu_us = (run.frames[-1].cpu_s_total - run.frames[0].cpu_s_total) / sum(map(len, times.values())) * 1e6
    print(f"  {cpu_us:.1f} CPU us a token in the driver, which waited for a core {run.waited:.0%} of the time")
    print(f"  {kernel:.0%} kernel stamps, {merged:.2%} merged reads, {bound} of {len(run.frames)} frames bound")
    sent_ns = np.array([row.t_send_ns for row, _ in pairs])
    received_us = (np.array([line.received_ns for _, line in pairs]) - sent_ns) / 1e3
    lay, longest = np.percentile(received_us, (50, 99))
    print(f"  requests lay {lay:.0f} us (p99 {longest:.0f}) before the server read them")
    first_ns, last_ns = (np.array([line.t_ns[place] for _, line in pairs]) for place in (0, -1))
    lengths = np.array([len(line.t_ns) for _, line in pairs])
    close = [
        percentiles("TTFT", _of(ttft_ms, pairs), (first_ns - sent_ns) / 1e6),
        percentiles("TPOT", _of(tpot_ms, pairs), (last_ns - first_ns) / 1e6 / (lengths - 1)),
        percentiles("ITL", np.concatenate(our_gaps), np.concatenate(gaps)),
        percentiles("E2E", _of(e2e_ms, pairs), (last_ns - sent_ns) / 1e6),
    ]
    print(f"  {'all' if all(close) else 'NOT all'} within 1 % or 0.1 ms of the server's own log")


def _of(metric: Callable[[RequestRow], float | None], pairs: list[tuple[RequestRow, Sent]]) -> Floats:
    return np.array([metric(row) for row, _ in pairs], dtype=np.float64)


def main() -> None:
    """Measure at each rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--rate", default="20000,50000", help="tokens a second over all streams")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--tls", action="store_true")
    args = parser.parse_args()
    dials = Dials(concurrency=args.streams, prompt_tokens=16, output_tokens=TOKENS)
    for rate in map(int, args.rate.split(",")):
        with source(tls=args.tls) as url:
            lane = plan(url, round(args.streams / rate * 1e6))
            run = asyncio.run(drive(lane, dials, args.seconds))
            print(f"{args.streams} streams, {rate:,} tokens/s asked, {'https' if args.tls else 'http'}")
            compare(lane, dials, run, sent(url))


if __name__ == "__main__":
    main()
