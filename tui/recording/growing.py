"""A table on its way to the disk: its newest part grows, replaced in whole each time, until it is full.

Bring a table's parts into one file.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tui.model.rows import TableName
from tui.model.session import SessionInfo
from tui.recording.durable import (
    FINAL_LEVEL,
    ROW_GROUP_ROWS,
    encode,
    new_folder,
    replace_file,
    replace_folder,
    sync_folder,
)
from tui.recording.redact import scrub
from tui.recording.schema import frame_of_chunks, frame_of_rows, metadata_of

# A part is written again with each flush until it is full. Small parts make an hour thousands of files, each with
# a footer of kilobytes; large ones cost time at each flush.
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


class GrowingTable:
    """One table's folder of parts, written by one thread."""

    def __init__(self, folder: Path, table: TableName, metadata: Mapping[str, str], secrets: Sequence[str]) -> None:
        self._folder = folder
        self._table = table
        self._metadata = metadata
        self._secrets = secrets
        self._number = 0
        self._part: pl.DataFrame | None = None
        self._sealed_bytes = 0
        self._part_bytes = 0
        self._unsynced = False

    @property
    def full_rows(self) -> int:
        """How many rows fill a part."""
        return FULL_ROWS[self._table]

    @property
    def written_bytes(self) -> int:
        """What the table's files hold."""
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
            self._seal()  # for a moment, a part that grows takes its room twice: a new one needs less
            self._write(fresh)

    def sync(self) -> None:
        """Make what was written survive a power cut. Apart from `append`: rows are not written twice if it fails."""
        if self._unsynced:
            sync_folder(self._folder)
            self._unsynced = False

    def _write(self, part: pl.DataFrame) -> None:
        data = encode(part, self._metadata)
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
        """Servers quote the key that they refuse: it must not reach the disk by that way."""
        names = SERVER_TEXTS.get(self._table, ())
        if not self._secrets or not names:
            return frame
        return frame.with_columns(
            pl.Series(name, [scrub(text, self._secrets) for text in frame[name]], pl.String) for name in names
        )


def whole_file(table: TableName) -> str:
    """The name of a table's one file: fixed, because a folder behind https:// cannot be listed."""
    return f"{table}.parquet"


def compact(folder: Path, table: TableName, info: SessionInfo) -> int:
    """Replace a table's parts by one file with the same rows in the same order; returns its size in bytes.

    Streams from the parts, so an hour of chunks needs no more memory than a minute. Raises OSError.
    """
    parts = sorted(folder.glob("*.parquet"))
    if not parts:
        return 0
    new = new_folder(folder)
    path = new / whole_file(table)
    try:
        _stream(parts, path, info)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)  # a full disk needs the room
        raise
    replace_folder(folder)
    return (folder / whole_file(table)).stat().st_size


def _stream(parts: list[Path], path: Path, info: SessionInfo) -> None:
    try:
        pl.scan_parquet(parts).sink_parquet(
            path,
            compression="zstd",
            compression_level=FINAL_LEVEL,
            row_group_size=ROW_GROUP_ROWS,
            metadata=metadata_of(info),
            maintain_order=True,
            sync_on_close="all",
        )
    except pl.exceptions.PolarsError as error:  # a part that something else has torn, or a disk without room
        raise OSError(errno.EIO, f"the parts stay as they are: {error}") from error
