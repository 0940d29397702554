"""Record onto a disk that fills up and is then made read-only: `python -m tests.bench.recording.full_disk FOLDER`.

FOLDER is the root of a small file system of its own, for instance `mount -t tmpfs -o size=3m tmpfs FOLDER`. It says
what the screen would say, and whether every row is there in the end.
"""

import errno
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from tests.recording import synthetic
from tui.model.rows import TABLES, Batch
from tui.recording.reader import open_session
from tui.recording.recorder import Recorder

LOAD = synthetic.Load(requests_per_s=20, tokens=50)
EVERY_S = 0.1
WITHIN_S = 10.0
NOBODY = 65534


def fill(path: Path) -> None:
    """Take all the room there is."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC, error


def until(recorder: Recorder, batches: Iterator[Batch], *, paused: bool) -> None:
    """Go on recording until it pauses, or until it goes on."""
    give_up = time.monotonic() + WITHIN_S
    while bool(recorder.note) != paused:
        assert time.monotonic() < give_up, (recorder.note, paused)
        recorder(next(batches))
        time.sleep(EVERY_S)
    for _ in range(5):
        recorder(next(batches))


def allow(directory: Path, mode: int) -> None:
    """Make a session's folders writable or not."""
    for folder in (directory, *(directory / table for table in TABLES)):
        folder.chmod(mode)


def main() -> None:
    """Fill it, make room, make it read-only, make it writable, close, count."""
    root = Path(sys.argv[1])
    assert root.is_mount(), f"{root} is no file system of its own"
    if os.geteuid() == 0:  # who may do anything is stopped by no mode
        os.chown(root, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    given = synthetic.batches(500, LOAD)
    recorder = Recorder(root / "session", synthetic.info())
    until(recorder, given, paused=False)
    fill(root / "ballast")
    until(recorder, given, paused=True)
    print(f"full: {recorder.note}")
    (root / "ballast").unlink()
    until(recorder, given, paused=False)
    allow(root / "session", 0o555)
    until(recorder, given, paused=True)
    print(f"read-only: {recorder.note}")
    assert open_session(root / "session").missing == []
    allow(root / "session", 0o755)
    until(recorder, given, paused=False)
    recorder.close("done", 1.0)
    seconds = next(given).t_ns // synthetic.SECOND_NS - synthetic.T0_NS // synthetic.SECOND_NS - 1
    recorded = open_session(root / "session")
    for table in TABLES:
        rows = recorded.scan(table).select(pl.len()).collect().item()
        whole = sum(len(getattr(batch, table)) for batch in synthetic.batches(seconds, LOAD))
        if table == "chunks":
            whole = seconds * 2 * LOAD.requests_per_s * LOAD.tokens
        assert rows == whole, (table, rows, whole)
    print(f"{seconds} seconds were given, every row of them is there, missing: {recorded.missing or 'nothing'}")


if __name__ == "__main__":
    main()
