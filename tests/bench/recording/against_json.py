"""Our session beside the JSON of vLLM's and AIPerf's exports of the same data: size, and time to a percentile.

`python -m tests.bench.recording.against_json [MINUTES]`, 5 by default, at 50 requests/s of 128 tokens in one lane.
The question is the 99th percentile of the TTFT by minute, each file read as its tool writes it, once with the
standard library's JSON and once with the fastest decoder at hand.
"""

import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tests.recording import synthetic
from tui.recording.export.registry import export
from tui.recording.export.selection import Selection
from tui.recording.reader import Recorded, open_session
from tui.recording.recorder import Recorder
from tui.records.frame import Batch, Chunks

PER_S, TOKENS = 50, 128
STEP_NS = 20_000_000
Decode = Callable[[bytes], Any]
Ints = NDArray[np.int64]


def stamps(kind: str, first: Ints, rng: np.random.Generator) -> Ints:
    """When each chunk of each request arrived, given the first ones: a row a request."""
    if kind == "independent streams":
        gaps = rng.normal(STEP_NS, 1_000_000, (first.size, TOKENS - 1)).astype(np.int64)
        return np.cumsum(np.concatenate((first[:, None], gaps), axis=1), axis=1)
    count = int(first.max() - first.min()) // STEP_NS + TOKENS + 2
    steps = first.min() + np.cumsum(rng.normal(STEP_NS, 500_000, count)).astype(np.int64)
    own = np.searchsorted(steps, first)[:, None] + np.arange(TOKENS)
    turn = (np.arange(first.size) % 256 * 4_000)[:, None]  # the engine sends to one stream after the other
    t_ns: Ints = steps[np.minimum(own, count - 1)] + turn + rng.exponential(500, own.shape).astype(np.int64)
    return t_ns


def record(folder: Path, minutes: int, kind: str, grid_ns: int) -> Recorded:
    """Requests and the chunks that belong to them, with stamps on a grid."""
    rng = np.random.default_rng(1)
    size = minutes * 60 * PER_S
    send = synthetic.T0_NS + np.arange(size) * (synthetic.SECOND_NS // PER_S) + rng.integers(0, 10**6, size)
    t_ns = stamps(kind, send + rng.integers(30_000_000, 400_000_000, size), rng) // grid_ns * grid_ns
    recorder = Recorder(folder, synthetic.info())
    pattern = next(row for batch in synthetic.batches(1) for row in batch.requests if row.outcome == "ok")
    rows = [
        msgspec.structs.replace(
            pattern,
            request=number,
            t_sched_ns=at - 40_000,
            t_send_ns=at,
            t_first_ns=first,
            t_last_ns=last,
            t_end_ns=last + 50_000,
            output_tokens=TOKENS,
            chunks=TOKENS,
        )
        for number, (at, first, last) in enumerate(
            zip(send.tolist(), t_ns[:, 0].tolist(), t_ns[:, -1].tolist(), strict=True)
        )
    ]
    order = np.argsort(t_ns, axis=None)
    request = np.repeat(np.arange(size), TOKENS)[order]
    packed = Chunks(
        request.astype("<i8").tobytes(),
        t_ns.ravel()[order].astype("<i8").tobytes(),
        np.ones(order.size, "<i4").tobytes(),
    )
    recorder(Batch(int(t_ns.max()), requests=rows, chunks=[("a", packed)]))
    recorder.close("done", minutes * 60.0)
    return open_session(folder)


def ours(recorded: Recorded) -> list[float]:
    """The percentile by minute out of our files."""
    ttft_ms = (pl.col("t_first_ns") - pl.col("t_send_ns")) / 1e6
    minute = (pl.col("t_send_ns") - synthetic.T0_NS) // (60 * synthetic.SECOND_NS)
    found = recorded.scan("requests").group_by(minute=minute).agg(p99=ttft_ms.quantile(0.99, "linear")).sort("minute")
    return found.collect()["p99"].to_list()


def of_vllm(path: Path, decode: Decode) -> list[float]:
    """The same out of vLLM's result."""
    found = decode(path.read_bytes())
    start = synthetic.T0_NS / 1e9
    return by_minute(
        ((at - start, ttft * 1000) for at, ttft in zip(found["start_times"], found["ttfts"], strict=True))
    )


def of_aiperf(path: Path, decode: Decode) -> list[float]:
    """The same out of AIPerf's records."""
    records = [decode(line) for line in path.read_bytes().splitlines()]
    start = synthetic.WALL_NS / 1e9
    return by_minute(
        (each["metadata"]["request_start_ns"] / 1e9 - start, each["metrics"]["time_to_first_token"]["value"])
        for each in records
    )


def by_minute(values: Iterable[tuple[float, float]]) -> list[float]:
    """The 99th percentile of each minute's values."""
    minutes: dict[int, list[float]] = defaultdict(list)
    for at_s, value in values:
        minutes[int(at_s // 60)].append(value)
    return [float(np.percentile(minutes[minute], 99)) for minute in sorted(minutes)]


def as_vllm_writes(path: Path) -> int:
    """The size of the file that vLLM itself would write: differences of float seconds have 17 digits, ours 9."""
    found = json.loads(path.read_text())
    for start, ttft, gaps in zip(found["start_times"], found["ttfts"], found["itls"], strict=True):
        gaps[:] = np.diff(start + ttft + np.concatenate(([0.0], np.cumsum(gaps)))).tolist()
    return len(json.dumps(found))


def timed(work: Callable[[], list[float]]) -> tuple[float, list[float]]:
    """The quickest of three."""
    took = []
    for _ in range(3):
        start = time.perf_counter()
        found = work()
        took.append(time.perf_counter() - start)
    return min(took), found


def compare(folder: Path, minutes: int, kind: str, grid_ns: int) -> None:
    """Record, export, read back, print."""
    recorded = record(folder / "session", minutes, kind, grid_ns)
    lane = Selection(lane="a")
    (vllm,) = export(recorded, "vllm", folder, lane)
    _, aiperf = export(recorded, "aiperf", folder, lane)
    size = {
        table: (folder / "session" / table / f"{table}.parquet").stat().st_size for table in ("requests", "chunks")
    }
    mine = sum(size.values())
    took, truth = timed(lambda: ours(recorded))
    print(f"{kind}, stamps on a grid of {grid_ns} ns: {mine / 1e6:.1f} MB, {took * 1000:.1f} ms")
    request, chunk = size["requests"] / vllm.rows, size["chunks"] / vllm.rows / TOKENS
    print(f"  {request:.1f} bytes a request, {chunk:.2f} bytes a chunk")
    itself = as_vllm_writes(vllm.path)
    print(f"  vLLM, with the digits of its own subtractions: {itself / 1e6:.1f} MB, {itself / mine:.1f} times ours")
    for name, file, read in (("vLLM", vllm, of_vllm), ("AIPerf", aiperf, of_aiperf)):
        print(f"  {name}: {file.size_bytes / 1e6:.1f} MB, {file.size_bytes / mine:.1f} times ours")
        for how, decode in (("json", json.loads), ("msgspec", msgspec.json.decode)):
            theirs, found = timed(lambda file=file, read=read, decode=decode: read(file.path, decode))  # type: ignore[misc]
            assert np.allclose(found, truth, atol=1e-2), (found, truth)
            print(f"    read with {how}: {theirs * 1000:.0f} ms, {theirs / took:.0f} times ours")


def main() -> None:
    """All four."""
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for kind in ("an engine that steps all streams at once", "independent streams"):
        for grid_ns in (1, 1024):
            with tempfile.TemporaryDirectory() as folder:
                compare(Path(folder), minutes, kind, grid_ns)


if __name__ == "__main__":
    main()
