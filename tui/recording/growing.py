"""A table while it is recorded, in parts, and afterwards, in one file.

The newest part is rewritten with each flush until it is full: it is small, and a file is always complete.
"""

from __future__ import annotations

import errno
import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tui.model.rows import TableName
from tui.model.session import SessionInfo
from tui.recording.catalog import parquet_metadata
from tui.recording.durable import prepare_replacement, replace_file, replace_folder, sync_folder
from tui.recording.redact import scrub
from tui.recording.schema import frame_of_chunks, frame_of_rows

# Small parts make an hour thousands of files, each with a footer of kilobytes; large ones cost time at each flush.
FULL_ROWS: Mapping[str, int] = {
    "requests": 8_192,
    "chunks": 65_536,
    "seconds": 4_096,
    "gauges": 32_768,
    "events": 4_096,
}
SERVER_TEXTS: Mapping[str, tuple[str, ...]] = {
    "requests": ("detail", "finish_reason"),
    "events": ("old", "new", "text"),
}
PART_LEVEL = 1  # zstd: a part is written again and again while it grows
ROW_GROUP_ROWS = 131_072  # the least that a seek reads: at 6,400 chunks/s 20 s, in 3 ms
# zstd, for a simulated pair: 1.68 bytes a chunk. Level 3 has 1.72 in half the time, and 9 no fewer in twice the time.
FINAL_LEVEL = 6


class GrowingTable:
    """The parts of one table in their folder, written by one thread."""

    def __init__(self, folder: Path, table: TableName, info: SessionInfo, secrets: Sequence[str]) -> None:
        self._folder = folder
        self._table = table
        self._metadata = parquet_metadata(info)
        self._secrets = secrets
        self._number = 0
        self._part: pl.DataFrame | None = None
        self._sealed_bytes = 0
        self._part_bytes = 0
        self._unsynced = False
        self.full_rows = FULL_ROWS[table]

    @property
    def written_bytes(self) -> int:
        """The size of the table's files."""
        return self._sealed_bytes + self._part_bytes

    def append(self, rows: Sequence[Any]) -> None:
        """Write rows, or packed chunks. When it raises OSError, nothing has changed on the disk."""
        fresh = frame_of_chunks(rows) if self._table == "chunks" else frame_of_rows(self._table, rows)
        fresh = self._scrubbed(fresh)
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._write(fresh if self._part is None else pl.concat([self._part, fresh]))
        except OSError:
            if self._part is None:
                raise
            self._seal()  # while it is rewritten, a part takes its room twice: a new one needs less
            self._write(fresh)

    def sync(self) -> None:
        """Make what was written survive a power cut. Not a part of `append`, which must not run again if it fails."""
        if self._unsynced:
            sync_folder(self._folder)
            self._unsynced = False

    def _write(self, part: pl.DataFrame) -> None:
        buffer = io.BytesIO()
        part.write_parquet(buffer, compression="zstd", compression_level=PART_LEVEL, metadata=self._metadata)
        data = buffer.getvalue()
        replace_file(self._folder / f"part-{self._number:06d}.parquet", data)
        self._unsynced = True
        self._part, self._part_bytes = part, len(data)
        if part.height >= self.full_rows:
            self._seal()

    def _seal(self) -> None:
        self._number += 1
        self._sealed_bytes += self._part_bytes
        self._part, self._part_bytes = None, 0

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
