"""A table while it is recorded, in parts, and afterwards, in one file.

Each flush writes a small part. Small parts that follow each other are merged into one, and those into a larger one:
so each row is written a few times, however long the session, and an hour has few files. A part never changes, and no
name comes twice.
"""

from __future__ import annotations

import errno
import io
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from tui.model.rows import TableName
from tui.model.session import SessionInfo
from tui.recording.catalog import SIMULATED_KEY, parquet_metadata
from tui.recording.durable import (
    prepare_replacement,
    replace_file,
    replace_folder,
    replace_folder_at_once,
    sync_folder,
)
from tui.recording.redact import scrub
from tui.recording.schema import frame_of_chunks, frame_of_rows

# A part with so many is merged no more. Small parts make an hour thousands of files; large ones take memory to merge.
FULL_ROWS: Mapping[str, int] = {
    "requests": 8_192,
    "chunks": 65_536,
    "seconds": 4_096,
    "gauges": 32_768,
    "events": 4_096,
}
MERGED: Final = 24  # parts of one level that become one of the next; at 5,000 chunks/s the first merge fills a part
SERVER_TEXTS: Mapping[str, tuple[str, ...]] = {
    "requests": ("detail", "finish_reason"),
    "events": ("old", "new", "text"),
}
PART_LEVEL = 1  # zstd: a part is written again when it is merged
ROW_GROUP_ROWS = 131_072  # the least that a seek reads: at 6,400 chunks/s 20 s, in 3 ms
# zstd, for a simulated pair: 1.68 bytes a chunk. Level 3 has 1.72 in half the time, and 9 no fewer in twice the time.
FINAL_LEVEL = 6

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Part:
    """One file of a table, of the flushes `first` to `last`."""

    first: int
    last: int
    level: int  # how often its rows have been merged
    rows: int
    size: int  # bytes
    frame: pl.DataFrame | None  # what is in it: a few megabytes, where reading it again takes the pages of a reader

    @property
    def name(self) -> str:
        """Sorted by name, parts are in order of time."""
        until = f"-{self.last:06d}" if self.last > self.first else ""
        return f"part-{self.first:06d}{until}.parquet"


class GrowingTable:
    """The parts of one table in their folder, written by one thread."""

    def __init__(self, folder: Path, table: TableName, info: SessionInfo, secrets: Sequence[str]) -> None:
        self._folder = folder
        self._table = table
        self._metadata = parquet_metadata(info)
        self._secrets = secrets
        self._flushes = 0
        self._parts: list[Part] = []  # not full yet, oldest first
        self._full_bytes = 0
        self._unsynced = False
        self._merges = True  # whether parts can be replaced by one in one step
        self.full_rows = FULL_ROWS[table]

    @property
    def written_bytes(self) -> int:
        """The size of the table's files."""
        return self._full_bytes + sum(part.size for part in self._parts)

    def append(self, rows: Sequence[Any]) -> None:
        """Write rows, or packed chunks. When it raises OSError, nothing has changed on the disk.

        Where parts cannot be merged, the newest one is written again until it is full.
        """
        fresh = frame_of_chunks(rows) if self._table == "chunks" else frame_of_rows(self._table, rows)
        fresh = self._scrubbed(fresh)
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._parts[-1] if self._parts and not self._merges else self._next_part()
        frame = fresh if part.frame is None else pl.concat([part.frame, fresh])
        size = self._write(self._folder, part, frame)
        self._unsynced = True
        if not self._parts or part is not self._parts[-1]:
            self._parts.append(part)
            self._flushes += 1
        part.frame, part.rows, part.size = frame, frame.height, size
        if fresh.height >= self.full_rows:
            self._close_parts()

    def _next_part(self) -> Part:
        return Part(self._flushes, self._flushes, 0, 0, 0, None)

    def sync(self) -> None:
        """Make what was written survive a power cut. Not a part of `append`, which must not run again if it fails."""
        if self._unsynced:
            sync_folder(self._folder)
            self._unsynced = False

    def merge(self) -> bool:
        """Make one part of several where enough have come together; returns whether anything was written.

        Where that fails, the parts stay as they are.
        """
        first = self._first_due()
        if first is None:
            return False
        try:
            if len(self._parts) - first > 1:
                self._parts[first:] = [self._merged(self._parts[first:])]
        except (OSError, pl.exceptions.PolarsError) as error:
            log.warning("the parts of %s stay as they are: %s", self._folder, error)
            self._close_parts()
            return False
        if self._parts[-1].rows >= self.full_rows:
            self._close_parts()
        return True

    def _close_parts(self) -> None:
        """Those that there are stay as they are; those before a full one could not be merged in order."""
        self._full_bytes += sum(part.size for part in self._parts)
        self._parts = []

    def _first_due(self) -> int | None:
        """From which part on all are to become one; None: there are too few of one level."""
        first, due, level, count = len(self._parts), None, 0, 0
        while True:
            while first and self._parts[first - 1].level == level:
                first -= 1
                count += 1
            rows = sum(part.rows for part in self._parts[first:])
            if count < MERGED and (rows < self.full_rows or first == due):
                return due
            due, level, count = first, level + 1, 1

    def _merged(self, due: list[Part]) -> Part:
        """The folder with one part in place of these, in one step. Raises OSError."""
        frame = pl.concat([part.frame for part in due if part.frame is not None], rechunk=True)
        part = Part(due[0].first, due[-1].last, due[0].level + 1, frame.height, 0, frame)
        new = prepare_replacement(self._folder)
        try:
            replaced = {each.name for each in due}
            for path in self._folder.glob("*.parquet"):
                if path.name not in replaced:
                    (new / path.name).hardlink_to(path)
            part.size = self._write(new, part, frame)
            self._merges = replace_folder_at_once(self._folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)  # it is gone already where nothing failed
        if not self._merges:
            raise OSError(errno.ENOTSUP, "folders cannot be exchanged here")
        return part

    def _write(self, folder: Path, part: Part, frame: pl.DataFrame) -> int:
        """The part's file, durably; returns its size.

        Statistics and what is known of the session would be most of a small part: they come with its first merge.
        Only events, which are few, describe their session at once.
        """
        buffer = io.BytesIO()
        whole = part.level > 0 or self._table == "events"
        frame.write_parquet(
            buffer,
            compression="zstd",
            compression_level=PART_LEVEL,
            statistics=part.level > 0,
            metadata=self._metadata if whole else {SIMULATED_KEY: self._metadata[SIMULATED_KEY]},
        )
        data = buffer.getvalue()
        replace_file(folder / part.name, data)
        return len(data)

    def _scrubbed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Servers quote the key that they refuse: it must not reach the disk that way."""
        names = SERVER_TEXTS.get(self._table, ())
        if not self._secrets or not names:
            return frame
        return frame.with_columns(
            pl.Series(name, [scrub(text, self._secrets) for text in frame[name]], pl.String) for name in names
        )


def compact(folder: Path, table: TableName, info: SessionInfo) -> int:
    """Replace a table's parts by one file with the same rows in the same order; returns its size in bytes.

    Streams from the parts, so an hour of chunks needs no more memory than a minute. Raises OSError.
    """
    parts = sorted(folder.glob("*.parquet"))
    if not parts:
        return 0
    name = f"{table}.parquet"
    new = prepare_replacement(folder)
    try:
        sink_table(pl.scan_parquet(parts), new / name, info)
    except (OSError, pl.exceptions.PolarsError) as error:  # a part is torn, or the disk is full
        shutil.rmtree(new, ignore_errors=True)  # a full disk needs the room
        raise OSError(errno.EIO, f"the parts stay as they are: {error}") from error
    replace_folder(folder)
    return (folder / name).stat().st_size


def sink_table(rows: pl.LazyFrame, path: Path, info: SessionInfo) -> None:
    """Stream a whole table into one Parquet file, durably."""
    rows.sink_parquet(
        path,
        compression="zstd",
        compression_level=FINAL_LEVEL,
        row_group_size=ROW_GROUP_ROWS,
        metadata=parquet_metadata(info),
        maintain_order=True,
        sync_on_close="all",
    )
