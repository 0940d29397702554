"""Kill a recording program at a random moment and look at what it left."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl

from tests.recording import synthetic
from tests.recording.victim import BATCHES_TO_CLOSE
from tui.model.rows import TABLES, TableName
from tui.recording.reader import open_session
from tui.recording.schema import frame_of_chunks, frame_of_rows

ROOT = Path(__file__).parents[2]
LIVE_S = 1.6  # a kill falls somewhere in this time after the first batch, four flushes
CLOSING_S = 0.06  # closing the victim's session takes about 0.04


@dataclass(frozen=True, slots=True)
class Kill:
    """How one program was killed."""

    directory: Path
    given: list[tuple[int, int]]  # (ns, batches handed over by then)
    safe: int  # batches that the recorder had called safe
    killed_ns: int
    starved_ns: int  # how long its threads waited for a processor: this machine's part of any delay

    def given_before(self, ago_s: float) -> int:
        """Batches that had been handed over that long before the kill, not counting time without a processor."""
        latest = self.killed_ns - self.starved_ns - int(ago_s * 1e9)
        return max((number for at_ns, number in self.given if at_ns <= latest), default=0)


def kill_one(directory: Path, mode: str, seed: int) -> Kill:
    """Start a victim, kill it -9 at a moment that the seed decides, and return when."""
    chance = random.Random(seed)
    victim = subprocess.Popen(
        [sys.executable, "-m", "tests.recording.victim", str(directory), mode], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert victim.stdout is not None
    lines = []
    try:
        for line in victim.stdout:
            lines.append(line)
            if mode == "live" or b"closing" in line:
                break
        time.sleep(chance.uniform(0, LIVE_S if mode == "live" else CLOSING_S))
    finally:
        killed_ns, starved_ns = time.monotonic_ns(), waited_for_processor_ns(victim.pid)
        os.kill(victim.pid, signal.SIGKILL)
        rest, _ = victim.communicate()
    return _kill(directory, [*lines, *rest.splitlines()], killed_ns, starved_ns)


def waited_for_processor_ns(pid: int) -> int:
    """All the time that a program's threads were ready to run and did not, as Linux counts it."""
    waits = [path.read_text().split()[1] for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(map(int, waits))


def _kill(directory: Path, lines: list[bytes], killed_ns: int, starved_ns: int) -> Kill:
    said = [
        (int(at), what, int(number[0]) if number else 0) for at, what, *number in (line.split() for line in lines)
    ]
    given = [(at, number) for at, what, number in said if what == b"given"]
    safe = max((number for _, what, number in said if what == b"safe"), default=0)
    return Kill(directory, given, safe, killed_ns, starved_ns)


@cache
def expected(table: TableName, batches: int) -> pl.DataFrame:
    """What a table holds after so many batches, sorted."""
    given = list(synthetic.batches(batches))
    if table == "chunks":
        return frame_of_chunks([packed for batch in given for packed in batch.chunks]).sort(pl.all())
    return frame_of_rows(table, [row for batch in given for row in getattr(batch, table)]).sort(pl.all())


def recorded_batches(directory: Path, table: TableName) -> int:
    """How many batches a table holds, which must be the first so many: none doubled, none left out."""
    if not any((directory / table).glob("*.parquet")):  # killed before the first part
        return 0
    recorded = pl.scan_parquet(f"{directory}/{table}/*.parquet").collect().sort(pl.all())
    whole = recorded.height // expected(table, 1).height
    given = expected(table, whole)
    assert recorded.equals(given), (
        table,
        recorded.height,
        recorded.join(given, on=recorded.columns, how="anti", nulls_equal=True),
    )
    return whole


def look(kill: Kill, mode: str) -> int:
    """Check everything that must be true of what is left; returns how many batches were lost."""
    tables = [table for table in TABLES if table != "events"]
    if mode == "closing":
        kill = Kill(kill.directory, kill.given, BATCHES_TO_CLOSE, kill.killed_ns, kill.starved_ns)
    counts = {table: recorded_batches(kill.directory, table) for table in tables}  # as it was left, before any repair
    assert all(count >= kill.safe for count in counts.values()), (counts, kill.safe)
    assert all(count >= kill.given_before(1.0) for count in counts.values()), (counts, kill.given[-1])
    recorded = open_session(kill.directory)
    assert recorded.missing == []
    assert not recorded.live
    assert {table: recorded_batches(kill.directory, table) for table in tables} == counts
    assert not [path for path in kill.directory.rglob("*") if path.suffix in (".tmp", ".compact", ".before", ".lock")]
    return kill.given[-1][1] - min(counts.values())
