"""Bring a table's parts into one file."""

import errno
import shutil
from pathlib import Path

import polars as pl

from tui.recording.folders import new_folder, replace_folder
from tui.recording.metadata import metadata_of
from tui.recording.parts import FINAL_LEVEL, ROW_GROUP_ROWS
from tui.records.session import SessionInfo
from tui.records.tables import TableName


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
