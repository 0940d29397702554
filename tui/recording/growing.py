"""A table on its way to the disk: its newest part grows, replaced in whole each time, until it is full."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tui.recording.durable import replace_file, sync_folder
from tui.recording.frames import frame_of_chunks, frame_of_rows
from tui.recording.parts import encode
from tui.recording.redact import scrub
from tui.records.tables import TableName

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
