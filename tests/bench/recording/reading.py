"""What reading costs: `python -m tests.bench.recording.reading [FOLDER]`.

A session of a million requests and one of an hour at 50 requests/s in each of two lanes are made in FOLDER (kept, and
used again; about two minutes the first time). Then, each in a process of its own: opening, seeking, playing, memory,
and a million rows to CSV against Polars' own `write_csv`.
"""

import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.recording import synthetic
from tui.recording.recorder import Recorder
from tui.records.frame import Batch
from tui.records.rows import EventRow

if TYPE_CHECKING:  # importing it is a part of what is measured
    from tui.recording.batches import Tape

SESSIONS = {"million": (synthetic.Load(500, 8), 1_000), "hour": (synthetic.Load(50, 20, failed_every=0), 3_600)}
NS = synthetic.SECOND_NS
TURN_EVERY_S = 600


def make(folder: Path, name: str) -> Path:
    """Record a session, unless it is there already."""
    directory = folder / name
    if not directory.exists():
        load, seconds = SESSIONS[name]
        recorder = Recorder(directory, synthetic.info(name))
        for batch in synthetic.batches(seconds, load):
            recorder(replace(batch, events=turns(batch)))
            while len(recorder._inbox) > 20:  # faster than life: not all of it at once
                time.sleep(0.02)
        recorder.close("done", float(seconds))
    return directory


def turns(batch: Batch) -> list[EventRow]:
    """A dial turned for both lanes every ten minutes."""
    second = (batch.t_ns - synthetic.T0_NS) // NS
    if second % TURN_EVERY_S:
        return []
    step = second // TURN_EVERY_S
    return [EventRow("", batch.t_ns - 1, "dial", "concurrency", str(7 + step), str(8 + step))]


def seconds_of(work: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def memory_mb() -> float:
    """The most that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read(directory: Path) -> None:
    """Open, seek, play."""
    start = time.perf_counter()
    from tui.recording.batches import Tape
    from tui.recording.reader import open_session

    tape = Tape(open_session(directory))
    list(tape.seconds(tape.t_end_ns - 60 * NS))
    took = time.perf_counter() - start
    print(f"{directory.name}: opened, with imports and its last minute: {took * 1000:.0f} ms, {memory_mb():.0f} MB")
    chance = random.Random(1)
    length_s = (tape.t_end_ns - tape.t0_ns) / NS
    for span_s in (10, 60, 300):
        took_s = [_seek(tape, int(chance.uniform(span_s, length_s)), span_s) for _ in range(15)]
        middle, most = median(took_s) * 1000, max(took_s) * 1000
        print(f"  seek, the {span_s} s before as columns: {middle:.0f} ms, at most {most:.0f}")
    start_ns = tape.t0_ns + 100 * NS
    took = seconds_of(lambda: list(tape.seconds(start_ns, start_ns + 120 * NS)))
    print(f"  played 120 s as batches in {took * 1000:.0f} ms; {memory_mb():.0f} MB at most")


def _seek(tape: "Tape", to_s: int, span_s: int) -> float:
    """Get what a screen needs of the time before a moment; returns how long it took."""
    start = time.perf_counter()
    t1_ns = tape.t0_ns + to_s * NS
    for table in ("requests", "seconds", "gauges"):
        tape.frame(table, t1_ns - span_s * NS, t1_ns)
    tape.chunks(t1_ns - span_s * NS, t1_ns)
    return time.perf_counter() - start


def csv(directory: Path) -> None:
    """A million rows."""
    import polars as pl

    from tui.recording.export.registry import export
    from tui.recording.export.selection import Selection
    from tui.recording.reader import open_session

    recorded = open_session(directory)
    with tempfile.TemporaryDirectory() as folder:
        mine, theirs = Path(folder) / "mine.csv", Path(folder) / "theirs.csv"
        chosen = Selection(tables=("requests",))
        frame = recorded.scan("requests").collect()
        for _ in range(2):
            ours_s = seconds_of(lambda: export(recorded, "csv", mine, chosen, lambda what, done, of: None))
            polars_s = seconds_of(lambda: frame.write_csv(theirs))
        assert mine.read_bytes() == theirs.read_bytes()
        assert frame.equals(pl.read_csv(mine, schema=frame.schema))
        print(f"a million rows to CSV: {ours_s:.2f} s, {ours_s / polars_s:.2f} times write_csv (limit 2)")


def main() -> None:
    """Make the sessions, and measure each in a fresh process."""
    if len(sys.argv) == 3:
        {"read": read, "csv": csv}[sys.argv[1]](Path(sys.argv[2]))
        return
    folder = Path(sys.argv[1]) if len(sys.argv) == 2 else Path(tempfile.mkdtemp())
    sessions = {name: make(folder, name) for name in SESSIONS}
    for work, name in (("read", "million"), ("read", "hour"), ("csv", "million")):
        subprocess.run([sys.executable, "-m", __spec__.name, work, sessions[name]], check=True)


if __name__ == "__main__":
    main()
