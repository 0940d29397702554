"""Our session against the JSON of vLLM's and AIPerf's exports of the same data: size, and time to a percentile.

`python -m tests.bench.recording.against_json [MINUTES] [SESSION...]`. Without a session: a minute of two simulated
engines under 64 streams each; then made-up streams of MINUTES (5) at 50 requests/s of 128 tokens in one lane, on our
grid of stamps and on one of a nanosecond. The question is the 99th percentile of the TTFT by minute and lane, each
file read as its tool writes it, once with the standard library's JSON and once with the fastest decoder at hand.

Both tools write more than our exports in their schemas do: vLLM the 17 digits of a difference of float seconds,
AIPerf some 30 fields more a request. Their sizes are given as they come from us, and as they would come from them.
"""

import asyncio
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
from tui.export.formats import export
from tui.model.profile import LaneProfile, LoadProfile, Profile
from tui.model.rows import Batch, Chunks
from tui.net.socket import GRID_NS
from tui.recording.reader import RecordedSession, open_session
from tui.recording.recorder import Recorder
from tui.session.live import LiveSession
from tui.simulator.process import start_simulator

PER_S, TOKENS = 50, 128
STEP_NS = 20_000_000
AIPERF_RECORD_BYTES = 2_600  # of a record without its list of gaps: AIPerf 0.13.0, chat, streaming, 64 requests
Decode = Callable[[bytes], Any]
Percentiles = dict[tuple[str, int], float]  # by lane and minute
Read = Callable[[Path, Decode, RecordedSession], Percentiles]
Ints = NDArray[np.int64]


def stamps(kind: str, first: Ints, rng: np.random.Generator) -> Ints:
    """When each chunk of each request arrived, given the first ones: a row a request."""
    if kind == "independent streams":
        gaps = rng.normal(STEP_NS, 1_000_000, (first.size, TOKENS - 1)).astype(np.int64)
        return np.cumsum(np.concatenate((first[:, None], gaps), axis=1), axis=1)
    count = int(first.max() - first.min()) // STEP_NS + TOKENS + 2
    steps = first.min() + np.cumsum(rng.normal(STEP_NS, 500_000, count)).astype(np.int64)
    places = np.searchsorted(steps, first)[:, None] + np.arange(TOKENS)
    turn = (np.arange(first.size) % 256 * 4_000)[:, None]  # the engine sends to one stream after the other
    t_ns: Ints = steps[np.minimum(places, count - 1)] + turn + rng.exponential(500, places.shape).astype(np.int64)
    return t_ns


def record(folder: Path, minutes: int, kind: str, grid_ns: int) -> RecordedSession:
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


async def simulated(folder: Path) -> RecordedSession:
    """A minute of two simulated engines, six times as fast as the study's."""
    engines = await asyncio.gather(*(start_simulator(engine, speed=6) for engine in ("vllm", "sglang")))
    a, b = (LaneProfile(url=engine.url) for engine in engines)
    profile = Profile(name="against-json", a=a, b=b, load=LoadProfile(concurrency=64, output_tokens=TOKENS))
    session = LiveSession(profile, record=lambda info: Recorder(folder, info))
    await session.start(lambda: None)
    await session.elapsed(60)
    await session.stop("done")
    await asyncio.gather(*(engine.stop() for engine in engines))
    return open_session(folder)


def ours(recorded: RecordedSession) -> Percentiles:
    """The percentile by lane and minute out of our files."""
    ttft_ms = (pl.col("t_first_ns") - pl.col("t_send_ns")) / 1e6
    minute = (pl.col("t_send_ns") - recorded.info.t0_ns) // (60 * synthetic.SECOND_NS)
    good = recorded.scan("requests").filter(pl.col("outcome") == "ok")
    percentiles = good.group_by("lane", minute=minute).agg(p99=ttft_ms.quantile(0.99, "linear")).collect()
    return {(lane, at): p99 for lane, at, p99 in percentiles.select("lane", "minute", "p99").iter_rows()}


def of_vllm(path: Path, decode: Decode, recorded: RecordedSession) -> Percentiles:
    """The same out of vLLM's result of one lane."""
    result = decode(path.read_bytes())
    start_s = recorded.info.t0_ns / 1e9
    each = zip(result["start_times"], result["ttfts"], result["errors"], strict=True)
    return by_minute(
        result["dragstrip"]["lane"], ((at - start_s, ttft * 1000) for at, ttft, error in each if not error)
    )


def of_aiperf(path: Path, decode: Decode, recorded: RecordedSession) -> Percentiles:
    """The same out of AIPerf's records of one lane."""
    records = [decode(line) for line in path.read_bytes().splitlines()]
    wall_s = recorded.info.wall_ns / 1e9
    times = (
        (each["metadata"]["request_start_ns"] / 1e9 - wall_s, each["metrics"]["time_to_first_token"]["value"])
        for each in records
        if each["metrics"]
    )
    return by_minute(records[0]["metadata"]["worker_id"].rpartition("-")[2], times)


def by_minute(lane: str, values: Iterable[tuple[float, float]]) -> Percentiles:
    """The 99th percentile of each minute's values."""
    minutes: dict[int, list[float]] = defaultdict(list)
    for at_s, value in values:
        minutes[int(at_s // 60)].append(value)
    return {(lane, minute): float(np.percentile(ms, 99)) for minute, ms in minutes.items()}


def as_vllm_writes(path: Path) -> int:
    """The size of the file that vLLM itself would write: differences of float seconds have 17 digits, ours 9."""
    result = json.loads(path.read_text())
    for start, ttft, gaps in zip(result["start_times"], result["ttfts"], result["itls"], strict=True):
        gaps[:] = np.diff(start + ttft + np.concatenate(([0.0], np.cumsum(gaps)))).tolist()
    return len(json.dumps(result))


def as_aiperf_writes(path: Path) -> int:
    """The size of the file that AIPerf itself would write."""
    size = 0
    for line in path.read_bytes().splitlines():
        gaps = json.loads(line)["metrics"].get("inter_chunk_latency", {}).get("value", [])
        size += AIPERF_RECORD_BYTES + len(json.dumps(gaps, separators=(",", ":")))
    return size


def timed(work: Callable[[], Percentiles]) -> tuple[float, Percentiles]:
    """The quickest of three."""
    took = []
    for _ in range(3):
        start = time.perf_counter()
        value = work()
        took.append(time.perf_counter() - start)
    return min(took), value


def compare(recorded: RecordedSession, what: str) -> None:
    """Export, read back, print."""
    directory = recorded.directory
    size = {table: (directory / table / f"{table}.parquet").stat().st_size for table in ("requests", "chunks")}
    rows = {table: recorded.scan(table).select(pl.len()).collect().item() for table in size}  # type: ignore[arg-type]
    mine = sum(size.values())
    took, truth = timed(lambda: ours(recorded))
    print(f"{what}: {rows['requests']} requests, {rows['chunks']} chunks, {mine / 1e6:.2f} MB, {took * 1000:.1f} ms")
    print("  " + ", ".join(f"{size[table] / rows[table]:.2f} bytes a row of {table}" for table in size))
    with tempfile.TemporaryDirectory() as folder:
        vllm = [file.path for file in export(recorded, "vllm", Path(folder) / "vllm")]
        written = export(recorded, "aiperf", Path(folder) / "aiperf")
        aiperf = [file.path for file in written if file.path.suffix == ".jsonl"]
        for name, files, read, itself in (
            ("vLLM", vllm, of_vllm, as_vllm_writes),
            ("AIPerf", aiperf, of_aiperf, as_aiperf_writes),
        ):
            exported = sum(path.stat().st_size for path in files)
            theirs_bytes = sum(itself(path) for path in files)
            print(
                f"  {name}: {exported / mine:.1f} times our size; as it writes itself {theirs_bytes / mine:.1f} times"
            )
            for how, decode in (("json", json.loads), ("msgspec", msgspec.json.decode)):
                theirs, percentiles = timed(lambda: _all(files, read, decode, recorded))  # noqa: B023
                assert percentiles.keys() == truth.keys()
                assert all(np.isclose(percentiles[key], truth[key], atol=1e-2) for key in truth), (percentiles, truth)
                print(f"    read with {how}: {theirs * 1000:.0f} ms, {theirs / took:.0f} times ours")


def _all(files: list[Path], read: Read, decode: Decode, recorded: RecordedSession) -> Percentiles:
    return {key: value for path in files for key, value in read(path, decode, recorded).items()}


def main() -> None:
    """Sessions that are named, or all kinds of data."""
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for name in sys.argv[2:]:
        compare(open_session(Path(name)), name)
    if len(sys.argv) > 2:
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(asyncio.run(simulated(Path(folder) / "simulated")), "two simulated engines")
        for kind in ("an engine that steps all streams at once", "independent streams"):
            for grid_ns in (GRID_NS, 1):
                name = f"{kind}, stamps on a grid of {grid_ns} ns"
                compare(record(Path(folder) / name, minutes, kind, grid_ns), name)


if __name__ == "__main__":
    main()
