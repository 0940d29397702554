"""What the report of an hour costs: `python -m tests.bench.recording.report_cost [FOLDER]`.

A session of an hour at 20,000 tokens/s in both lanes together is made in FOLDER (kept, and used again; ten minutes
the first time): 78 requests/s, each of 256 chunks over 6.4 s. Then, each in a process of its own: CPU and peak memory
of reading every table with Polars, one after the other, of the report, and of exporting the chunks as CSV.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from msgspec.structs import replace

from tests.bench.recording.reading import TURN_EVERY_S, turns
from tests.recording import synthetic
from tui.model.rows import LANES, TABLES, Batch
from tui.recording.growing import sink_table
from tui.recording.recorder import Recorder

SECONDS = 3_600
NS = synthetic.SECOND_NS
LANE_TPS, TOKENS = 10_000, 256
GAP_NS = 25_000_000
LEAD_S = 10  # so that a request's chunks have come when its row says that it ended
LOAD = synthetic.Load(LANE_TPS // TOKENS, 2, failed_every=0)


def make(folder: Path) -> Path:
    """The session: what is small is recorded as a session is, and the chunks are written as if it had been."""
    directory = folder / "hour-20000"
    if directory.exists():
        return directory
    info = replace(synthetic.info("hour-20000"), ended="done", duration_s=float(SECONDS))
    recorder = Recorder(directory, info)
    for batch in synthetic.batches(SECONDS, LOAD):
        recorder(small_tables(batch))
        while len(recorder._inbox) > 20:  # faster than life: not all of it at once
            time.sleep(0.02)
    recorder.close("done", float(SECONDS))
    (directory / "chunks").mkdir(exist_ok=True)
    sink_table(chunks(), directory / "chunks" / "chunks.parquet", info)
    return directory


def small_tables(batch: Batch) -> Batch:
    seconds = [replace(row, segment=(batch.t_ns - synthetic.T0_NS) // NS // TURN_EVERY_S) for row in batch.seconds]
    return replace(batch, chunks=[], seconds=seconds, events=turns(batch))


def chunks() -> pl.LazyFrame:
    """Of both lanes, by time: a request ends as often as one begins, and its chunks come 25 ms apart, with noise."""
    random = np.random.default_rng(1)
    parts = []
    for minute in range(SECONDS // 60):
        count = LOAD.requests_per_s * 60
        for lane in LANES:
            starts = synthetic.T0_NS + (minute * 60 - LEAD_S) * NS + np.sort(random.integers(0, 60 * NS, count))
            numbers = minute * count + np.arange(count)
            t_ns = (starts[:, None] + GAP_NS * np.arange(1, TOKENS + 1)).ravel()
            t_ns += random.integers(-5_000_000, 5_000_000, t_ns.size)
            rows = {"lane": lane, "request": np.repeat(numbers, TOKENS), "t_ns": t_ns}
            parts.append(pl.DataFrame(rows).with_columns(tokens=pl.lit(1, dtype=pl.Int32)))
    return pl.concat(parts).sort("t_ns").lazy()


def read(directory: Path) -> None:
    for table in TABLES:
        pl.read_parquet(directory / table / "*.parquet")


def report(directory: Path) -> None:
    from tui.cli.main import main

    assert main(["report", str(directory), "--to", str(directory.parent / "report.md"), "--overwrite"]) == 0


def export(directory: Path) -> None:
    from tui.cli.main import main

    target = str(directory.parent / "chunks.csv")
    assert main(["export", str(directory), "--table", "chunks", "--to", target, "--overwrite"]) == 0


WORK: dict[str, Callable[[Path], None]] = {"read": read, "report": report, "export": export}


def measured(name: str, directory: Path) -> None:
    """Run one of them in this process and print what it took."""
    WORK[name](directory)
    use = resource.getrusage(resource.RUSAGE_SELF)
    print(f"{name:<8} {use.ru_utime + use.ru_stime:6.1f} s CPU  {use.ru_maxrss / 1024:6.0f} MB")


def main() -> None:
    if sys.argv[1:2] == ["--only"]:
        measured(sys.argv[2], Path(sys.argv[3]))
        return
    folder = Path(sys.argv[1] if sys.argv[1:] else tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    directory = make(folder)
    for name in WORK:
        subprocess.run(
            [sys.executable, "-m", "tests.bench.recording.report_cost", "--only", name, directory], check=True
        )


if __name__ == "__main__":
    main()
