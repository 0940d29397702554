"""CPU seconds for a million streamed tokens: one lane's driver and its pipe, the floor, and two known clients.

`python -m tests.bench.load.throughput [--streams 64,512] [--server BINARY]`: a server in C on one core, the reader on
another, so at least two cores. The driver's figure is its process and this one, which takes its frames and records
their rows and chunks as a session does. Each ratio is to the floor of the same round.
"""

import argparse
import asyncio
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.bench.load.source import CORES, source
from tests.recording import synthetic
from tui.load.driver import Driver, LanePlan, Setting
from tui.model.dials import Dials
from tui.model.rows import LANES, Batch, Lane
from tui.recording.recorder import Recorder

OTHERS = ("bound", "aiohttp", "openai")
ONE_LANE = "dragstrip"
OURS = {ONE_LANE: 1, "dragstrip, two lanes": 2}
WARM_UP_S = 2.0  # the recorder imports Polars in it


@dataclass(frozen=True, slots=True)
class Cost:
    """What a reader read, and what that cost."""

    tokens: int
    cpu_s: float
    parent_cpu_s: float = 0.0
    rss_bytes: int = 0
    seconds: float = 1.0

    @property
    def per_million_s(self) -> float:
        """Infinite where not one token came in time."""
        return (self.cpu_s + self.parent_cpu_s) / self.tokens * 1e6 if self.tokens else math.inf


def other(name: str, url: str, streams: int, tokens: int, seconds: float) -> Cost:
    """One of `readers`, in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.load.readers", name, url, str(streams), str(tokens), str(seconds)]
    pinned = {CORES[-1]}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, preexec_fn=lambda: os.sched_setaffinity(0, pinned)
    )
    counted, cpu_s, took_s = done.stdout.split()
    return Cost(int(counted), float(cpu_s), seconds=float(took_s))


async def ours(url: str, streams: int, tokens: int, seconds: float, lanes: int = 1) -> Cost:
    """A driver for each lane, their pipes, and one parent that records what comes."""
    dials = Dials(concurrency=streams, prompt_tokens=16, output_tokens=tokens)
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder) / "session", synthetic.info())
        costs = await asyncio.gather(*(_lane(url, lane, dials, seconds, recorder) for lane in LANES[:lanes]))
        recorder.close("done", seconds)
    return Cost(
        sum(cost.tokens for cost in costs),
        sum(cost.cpu_s for cost in costs),
        max(cost.parent_cpu_s for cost in costs),  # each saw the whole of it
        max(cost.rss_bytes for cost in costs),
        costs[0].seconds,
    )


async def _lane(url: str, lane: Lane, dials: Dials, seconds: float, recorder: Recorder) -> Cost:
    plan = LanePlan(lane=lane, url=url, engine="openai", model="m", endpoint="chat", prompt_form="text")
    driver = await Driver.start(plan, Setting(1, dials))
    os.sched_setaffinity(driver.pid, {CORES[-1]})
    began: tuple[float, float, float] | None = None
    warm_s, counted = time.monotonic() + WARM_UP_S, 0
    async for frame in driver.frames():
        recorder(Batch(frame.t_ns, requests=frame.requests, chunks=[(lane, frame.chunks)]))
        now_s = time.monotonic()
        if began is None:
            began = (now_s, _cpu_s(), frame.cpu_s_total) if now_s > warm_s else None
            continue
        counted += int(np.frombuffer(frame.chunks.tokens, "<i4").sum())
        if now_s - began[0] > seconds:
            break
    assert began is not None
    cost = Cost(counted, frame.cpu_s_total - began[2], _cpu_s() - began[1], frame.rss_bytes, now_s - began[0])
    await driver.stop()
    return cost


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(url: str, streams: int, tokens: int, seconds: float, rounds: int) -> None:
    """Every reader in turn, several rounds; print the medians."""
    costs: dict[str, list[Cost]] = {}
    for _ in range(rounds):
        for name in OTHERS:
            costs.setdefault(name, []).append(other(name, url, streams, tokens, seconds))
        for name, lanes in OURS.items():
            costs.setdefault(name, []).append(asyncio.run(ours(url, streams, tokens, seconds, lanes)))
    floor = costs["bound"]
    print(f"{streams} streams, {tokens} tokens a request, {rounds} rounds of {seconds:g} s")
    for name in ("bound", *OURS, "aiohttp", "openai"):
        mine = costs[name]
        per_million = statistics.median(cost.per_million_s for cost in mine)
        ratio = statistics.median(
            cost.per_million_s / low.per_million_s for cost, low in zip(mine, floor, strict=True)
        )
        rate = statistics.median(cost.tokens / cost.seconds for cost in mine)
        print(
            f"  {name:20} {per_million:8.2f} CPU s a million tokens, {ratio:7.1f} x the floor, {rate:12,.0f} tokens/s"
        )
    driver = costs[ONE_LANE][-1]
    share = statistics.median(cost.parent_cpu_s / (cost.cpu_s + cost.parent_cpu_s) for cost in costs[ONE_LANE])
    print(f"  dragstrip: {share:.1%} of it in the parent, {driver.rss_bytes / 2**20:.0f} MiB in the driver")


def main() -> None:
    """Measure at each number of streams."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", default="64,512")
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", type=Path, help="another token source: a binary that takes --port and --cpu")
    args = parser.parse_args()
    with source(args.server) as url:
        for streams in map(int, args.streams.split(",")):
            measure(url, streams, args.tokens, args.seconds, args.rounds)


if __name__ == "__main__":
    main()
