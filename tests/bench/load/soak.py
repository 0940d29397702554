"""Does a driver grow? `python -m tests.bench.load.soak [--streams 512] [--minutes 10] [--server BINARY]`.

One lane's driver reads as fast as it can; its memory is printed ten times. The parent drops its frames.
"""

import argparse
import asyncio
import os
import time
from pathlib import Path

import numpy as np

from tests.bench.load.source import CORES, source
from tui.load.driver import Driver, LanePlan, Setting
from tui.model.dials import Dials

LOOKS = 10


async def soak(url: str, streams: int, seconds: float) -> None:
    """Print time, tokens and memory ten times, then how much of the memory came after the first tenth."""
    plan = LanePlan(lane="a", url=url, engine="openai", model="m", endpoint="chat", prompt_form="text")
    driver = await Driver.start(plan, Setting(1, Dials(concurrency=streams, prompt_tokens=16, output_tokens=1000)))
    os.sched_setaffinity(driver.pid, {CORES[-1]})
    began_s, tokens, requests = time.monotonic(), 0, 0
    mib: list[float] = []
    async for frame in driver.frames():
        tokens += int(np.frombuffer(frame.chunks.tokens, "<i4").sum())
        requests += len(frame.requests)
        passed_s = time.monotonic() - began_s
        if passed_s >= seconds * (len(mib) + 1) / LOOKS:
            mib.append(frame.rss_bytes / 2**20)
            print(f"  {passed_s:6.0f} s  {tokens:14,} tokens  {requests:9,} requests  {mib[-1]:6.1f} MiB", flush=True)
        if len(mib) == LOOKS:
            break
    await driver.stop()
    print(f"{streams} streams: {mib[-1]:.1f} MiB at the end, {mib[-1] / mib[0]:.3f} x that at a tenth of the time")


def main() -> None:
    """Soak one driver."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=512)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--server", type=Path, help="another token source: a binary that takes --port and --cpu")
    args = parser.parse_args()
    with source(args.server) as url:
        asyncio.run(soak(url, args.streams, args.minutes * 60))


if __name__ == "__main__":
    main()
