"""What recording costs: `python -m tests.bench.recording.cost [SECONDS]`, 20 by default.

1,000 requests/s and 20,000 chunks/s are handed to a recorder as two drivers would, ten frames a second each, and the
CPU time of its thread and of handing over is measured. Then bytes a row after closing, for an engine that steps all
streams at once and for streams that are independent of each other; and an hour of seconds.
"""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np

from tests.recording import synthetic
from tui.model.rows import Batch, Chunks, SecondRow
from tui.net.socket import GRID_NS
from tui.recording.recorder import Recorder

REQUESTS_PER_S, CHUNKS_PER_S, FRAMES_PER_S = 1_000, 20_000, 10
LANES = 2
MOST_BYTES = {"requests": 60, "chunks": 3}


def frames(seconds: int) -> list[list[Batch]]:
    """For each second its batches, made before anything is measured."""
    load = synthetic.Load(REQUESTS_PER_S // LANES, CHUNKS_PER_S // REQUESTS_PER_S)
    return [_cut(batch) for batch in synthetic.batches(seconds, load)]


def _cut(second: Batch) -> list[Batch]:
    cuts = [Batch(second.t_ns) for _ in range(FRAMES_PER_S)]
    for at, row in enumerate(second.requests):
        cuts[at * FRAMES_PER_S // len(second.requests)].requests.append(row)
    for lane, chunks in second.chunks:
        t_ns = (np.frombuffer(chunks.t_ns, "<i8") & -GRID_NS).tobytes()  # as the drivers tell it
        size = len(t_ns) // 8
        edges = [size * at // FRAMES_PER_S for at in range(FRAMES_PER_S + 1)]
        for cut, a, b in zip(cuts, edges, edges[1:], strict=False):
            cut.chunks.append(
                (
                    lane,
                    Chunks(chunks.request[8 * a : 8 * b], t_ns[8 * a : 8 * b], chunks.tokens[4 * a : 4 * b]),
                )
            )
    cuts[-1].seconds, cuts[-1].gauges, cuts[-1].events = second.seconds, second.gauges, second.events
    return cuts


def cpu_s() -> float:
    """CPU time of the whole process: nothing but the recorder works while it is measured."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def live(folder: Path, seconds: int) -> None:
    """Record in real time."""
    given = frames(seconds)
    recorder = Recorder(folder, synthetic.info())
    start_cpu, start = cpu_s(), time.monotonic()
    for number, batches in enumerate(given):
        for at, batch in enumerate(batches):
            recorder(batch)
            time.sleep(max(0.0, start + number + (at + 1) / FRAMES_PER_S - time.monotonic()))
    used, wall = cpu_s() - start_cpu, time.monotonic() - start
    files = sum(1 for _ in folder.rglob("*.parquet"))
    before = time.monotonic()
    recorder.close("done", float(seconds))
    took = time.monotonic() - before
    print(
        f"recording {REQUESTS_PER_S} requests/s and {CHUNKS_PER_S} chunks/s: "
        f"{100 * used / wall:.1f} % of a core (limit 10)"
    )
    print(
        f"  {files} parts after {seconds} s; closing took {took:.2f} s; disk {os.statvfs(folder).f_bsize} byte blocks"
    )
    sizes(folder, "an engine that steps all streams at once", "requests", "chunks")


def sizes(folder: Path, what: str, *tables: str) -> None:
    """Bytes a row of the large tables."""
    import polars as pl

    for table in tables:
        (file,) = (folder / table).iterdir()
        rows = pl.scan_parquet(file).select(pl.len()).collect().item()
        each = f"{file.stat().st_size / rows:.2f} bytes a row of {table}"
        print(f"  {what}: {each} (limit {MOST_BYTES[table]}), {rows} rows")


def independent(folder: Path) -> None:
    """Chunks of streams that know nothing of each other, with 2 ms of jitter: the worst case for their stamps."""
    rng = np.random.default_rng(1)
    streams, seconds, gap_ns = 400, 20, 20_000_000
    gaps = np.maximum(rng.normal(gap_ns, 2_000_000, (streams, seconds * 50)), 100_000).astype(np.int64)
    t_ns = (np.cumsum(gaps, axis=1) + rng.integers(0, gap_ns, (streams, 1)) + synthetic.T0_NS).ravel() & -GRID_NS
    request = np.repeat(np.arange(streams), seconds * 50)
    order = np.argsort(t_ns)
    packed = Chunks(
        request[order].astype("<i8").tobytes(),
        t_ns[order].astype("<i8").tobytes(),
        np.ones(t_ns.size, "<i4").tobytes(),
    )
    recorder = Recorder(folder, synthetic.info())
    first = next(synthetic.batches(1))
    recorder(Batch(first.t_ns, requests=first.requests, chunks=[("a", packed)]))
    recorder.close("done", float(seconds))
    sizes(folder, "independent streams", "chunks")


def hour(folder: Path) -> None:
    """An hour of seconds of two lanes, with every percentile filled in."""
    rng = np.random.default_rng(1)
    recorder = Recorder(folder, synthetic.info())
    for batch in synthetic.batches(3_600, synthetic.Load(1, 1)):
        filled = {name: rng.uniform(5.0, 500.0) for name in SecondRow.__struct_fields__ if name.endswith("_ms")}
        recorder(Batch(batch.t_ns, seconds=[msgspec.structs.replace(row, **filled) for row in batch.seconds]))
    recorder.close("done", 3_600.0)
    size = (folder / "seconds" / "seconds.parquet").stat().st_size
    print(f"an hour of seconds: {size / 1e6:.2f} MB (limit 2)")


def main() -> None:
    """Measure all of it."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as folder:
        live(Path(folder) / "live", seconds)
        independent(Path(folder) / "independent")
        hour(Path(folder) / "hour")


if __name__ == "__main__":
    main()
