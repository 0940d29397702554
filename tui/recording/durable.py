"""Put a folder in another's place without a moment in which neither is there.

Files that are either there in whole or not at all, whatever kills the program or cuts the power.

One file of a table: its bytes, and whether it is whole.

Says of a session's folder whether somebody is recording into it; a killed recorder lets go by itself.
"""

from __future__ import annotations

import ctypes
import fcntl
import io
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import polars as pl

TORN_SUFFIX = ".tmp"  # does not end in .parquet, so no reader takes an unfinished file for a part


def write_atomically(path: Path, data: bytes) -> None:
    """Put `data` at `path`, durably. Raises OSError; the new or the old content is then there, and in whole."""
    replace_file(path, data)
    sync_folder(path.parent)


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` at `path`: an earlier file of that name stays in place until the new one is on the disk.

    Raises OSError when the disk is full, read-only or broken; what was at `path` is then still there. The change
    survives a power cut once `sync_folder` has returned.
    """
    torn = path.with_name(path.name + TORN_SUFFIX)
    try:
        file = os.open(torn, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        finally:
            os.close(file)
        torn.rename(path)
    except OSError:
        torn.unlink(missing_ok=True)  # a full disk needs the room
        raise


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


NEW_SUFFIX = ".compact"  # a folder being made; whatever is in it is also in the folder it is for
OLD_SUFFIX = ".before"  # a folder on its way out, where two folders cannot be exchanged

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def replace_folder(folder: Path) -> None:
    """Put FOLDER.compact in FOLDER's place and delete what was there.

    On Linux the two are exchanged in one step, so that `FOLDER` is complete at every moment. Where the file system
    cannot, there is a moment with FOLDER.before alone, which `heal` puts right.
    """
    new, old = _beside(folder, NEW_SUFFIX), _beside(folder, OLD_SUFFIX)
    sync_folder(new)
    if _exchange(folder, new):
        sync_folder(folder.parent)
        shutil.rmtree(new)
        return
    folder.rename(old)
    new.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(old)


def is_cut_off(folder: Path) -> bool:
    """Whether a `replace_folder` did not come to its end, or is under way."""
    return _beside(folder, NEW_SUFFIX).is_dir() or _beside(folder, OLD_SUFFIX).is_dir()


def heal(folder: Path) -> None:
    """End a `replace_folder` that was cut off at any point. Raises OSError where nothing can be written."""
    new, old = _beside(folder, NEW_SUFFIX), _beside(folder, OLD_SUFFIX)
    if old.is_dir() and not folder.is_dir():
        old.rename(folder)  # it was complete, and whether the new one is cannot be known
        sync_folder(folder.parent)
    for left in (new, old):
        if left.is_dir():
            shutil.rmtree(left)


def current(folder: Path) -> Path:
    """Where a folder's content is now, without touching anything: under its own name or cut off under the old one."""
    old = _beside(folder, OLD_SUFFIX)
    return old if old.is_dir() and not folder.is_dir() else folder


def new_folder(folder: Path) -> Path:
    """An empty FOLDER.compact to fill for `replace_folder`."""
    new = _beside(folder, NEW_SUFFIX)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    return new


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(folder.name + suffix)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system or the file system has no such call."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)


PART_LEVEL = 1  # zstd: a part is written again and again while it grows
ROW_GROUP_ROWS = 131_072  # what a seek reads at least: of 6,400 chunks/s 20 s, in 3 ms
FINAL_LEVEL = (
    6  # of a simulated pair: 1.68 bytes a chunk where level 3 has 1.72 in half the time and 9 no less in twice
)


def encode(frame: pl.DataFrame, metadata: Mapping[str, str]) -> bytes:
    """A frame as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=PART_LEVEL, metadata=dict(metadata))
    return buffer.getvalue()


def is_whole(path: Path) -> bool:
    """Whether a Parquet file has its two magic words and a footer that lies within it: a torn one has not."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            head = file.read(4)
            file.seek(max(0, size - 8))
            tail = file.read(8)
    except OSError:
        return False
    footer = int.from_bytes(tail[:4], "little")
    return size >= 12 and head == b"PAR1" and tail[4:] == b"PAR1" and footer + 12 <= size


FILE = "recording.lock"


class Lock:
    """Held by the one who writes into a session's folder, or by a reader who mends it."""

    def __init__(self, directory: Path) -> None:
        """Take the lock. Raises BlockingIOError when another process or thread has it, OSError otherwise."""
        self._path = directory / FILE
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise

    def release(self) -> None:
        """Let go, and leave no trace in the folder."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)


def is_held(directory: Path) -> bool:
    """Whether somebody records into this folder now."""
    try:
        file = os.open(directory / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(file)
    return False
