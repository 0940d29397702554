"""What reading costs: `python -m tests.bench.recording.reading [FOLDER]`.

A session of a million requests and one of an hour at 50 requests/s and 1,000 chunks/s in each of two lanes are made
in FOLDER (kept, and used again; about two minutes the first time). Then, each in a process of its own: opening,
jumping, playing, memory, and a million rows to CSV against Polars' own `write_csv`.
"""

import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tests.recording import synthetic
from tui.model.rows import Batch, EventRow, TableName
from tui.recording.recorder import Recorder

if TYPE_CHECKING:  # importing it is a part of what is measured
    from tui.session.recorded_state import Playback

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
    """Open, jump, play; for comparison what Polars alone takes to read the rows that a jump needs."""
    start = time.perf_counter()
    from tui.recording.reader import open_session
    from tui.recording.tape import Tape
    from tui.session.recorded_state import Judgements, Playback
    from tui.session.timeline import profile_of

    def tape() -> "Tape":
        return Tape(open_session(directory))

    profile = profile_of(open_session(directory).info)
    playback = Playback(tape(), profile)
    playback.moved_to((playback.tape.t_end_ns - playback.tape.t0_ns) // NS, 30).view(30)
    took = time.perf_counter() - start
    print(
        f"{directory.name}: opened, with imports, its end shown: {took * 1000:.0f} ms (limit 2,000), "
        f"{memory_mb():.0f} MB (limit 300)"
    )
    jumps("verdicts not known yet", playback)
    judgements = playback.judgements = Judgements(tape(), profile)
    took = seconds_of(lambda: judgements.run(follow=False))
    print(f"  folded once from end to end for its verdicts: {took:.1f} s; {memory_mb():.0f} MB at most")
    jumps("all known", playback)
    at = playback.moved_to(100, 30)
    took = seconds_of(lambda: play(at, 120))
    print(f"  played 120 s in {took * 1000:.0f} ms; {memory_mb():.0f} MB at most")


def jumps(what: str, playback: "Playback") -> None:
    """To random seconds, until the view is there; and the rows alone, by Polars."""
    length_s = (playback.tape.t_end_ns - playback.tape.t0_ns) // NS
    for window_s in (30, 300):
        chance = random.Random(window_s)
        seconds = [chance.randrange(window_s, length_s) for _ in range(40)]

        def jump(to_s: int, window_s: int = window_s) -> None:
            playback.moved_to(to_s, window_s).view(window_s)

        took = [seconds_of(partial(jump, at)) for at in seconds]
        alone = [seconds_of(partial(rows_alone, playback, at, window_s)) for at in seconds]
        view, plain = (f"p50 {median(s) * 1000:.0f} ms, p95 {sorted(s)[37] * 1000:.0f}" for s in (took, alone))
        print(f"  jump, {window_s} s window, {what}: {view} (limit 100); its rows alone by Polars: {plain}")


def play(playback: "Playback", seconds: int) -> None:
    """Fold so many seconds."""
    for _ in range(seconds):
        playback.step()


def rows_alone(playback: "Playback", second: int, window_s: int) -> None:
    """Read what any reader has to: a window of requests and chunks, 600 s of seconds and gauges."""
    import polars as pl

    end_ns = playback.tape.t0_ns + second * NS
    tables: tuple[tuple[TableName, str, int], ...] = (
        ("requests", "t_end_ns", window_s),
        ("seconds", "t_ns", 600),
        ("gauges", "t_ns", 600),
        ("chunks", "t_ns", window_s),
    )
    for table, t_ns, span_s in tables:
        rows = playback.tape.session.scan(table)
        rows.filter((pl.col(t_ns) >= end_ns - span_s * NS) & (pl.col(t_ns) < end_ns)).collect()


def csv(directory: Path) -> None:
    """A million rows."""
    import polars as pl

    from tui.export.formats import export
    from tui.recording.reader import Selection, open_session

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
