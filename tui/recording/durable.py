"""Files and folders that are either complete or not there, whatever kills the program or cuts the power."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import sys
from functools import lru_cache
from pathlib import Path

PARTIAL_SUFFIX = ".tmp"  # does not end in .parquet, so no reader takes an unfinished file for a part
LOCK_FILE = "recording.lock"

_NEW_SUFFIX = ".compact"  # a folder being made; whatever is in it is also in the folder that it is to replace
_OLD_SUFFIX = ".before"  # a folder being replaced, where two folders cannot be exchanged

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file durably. Raises OSError; the file then has its old or its new content, never a mixture."""
    replace_file(path, data)
    sync_folder(path.parent)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file; one of that name stays in place until the new one is on the disk.

    Raises OSError when the disk is full, read-only or broken; the old file is then still there. The change survives a
    power cut once `sync_folder` has returned.
    """
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        finally:
            os.close(file)
        partial.rename(path)
    except OSError:
        partial.unlink(missing_ok=True)  # a full disk needs the room
        raise


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_whole(path: Path) -> bool:
    """Whether a Parquet file is complete. Looks into it once for as long as it does not change."""
    try:
        stat = path.stat()
        return _has_footer(path, stat.st_mtime_ns, stat.st_size)
    except OSError:
        return False


@lru_cache(maxsize=16_384)  # a session of an hour has some 400 parts
def _has_footer(path: Path, mtime_ns: int, size: int) -> bool:
    """Whether a file has Parquet's two magic words and a footer that lies within it."""
    if size < 12:
        return False
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(size - 8)
        tail = file.read(8)
    return head == tail[4:] == b"PAR1" and int.from_bytes(tail[:4], "little") + 12 <= size


def prepare_replacement(folder: Path) -> Path:
    """An empty folder to fill before `replace_folder`."""
    new = _with_suffix(folder, _NEW_SUFFIX)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    return new


def replace_folder(folder: Path) -> None:
    """Put the folder from `prepare_replacement` in FOLDER's place and delete what was there.

    On Linux the two are exchanged in one step, so that FOLDER is complete at every moment. Where the file system
    cannot, there is a moment with FOLDER.before alone, which `repair` ends.
    """
    if replace_folder_at_once(folder):
        return
    new, old = _with_suffix(folder, _NEW_SUFFIX), _with_suffix(folder, _OLD_SUFFIX)
    folder.rename(old)
    new.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(old)


def replace_folder_at_once(folder: Path) -> bool:
    """The same only where it takes one step; False, and nothing has changed, where it does not."""
    new = _with_suffix(folder, _NEW_SUFFIX)
    sync_folder(new)
    if not _exchange(folder, new):
        return False
    sync_folder(folder.parent)
    shutil.rmtree(new)
    return True


def was_interrupted(folder: Path) -> bool:
    """Whether a `replace_folder` was cut off, or is under way."""
    return _with_suffix(folder, _NEW_SUFFIX).is_dir() or _with_suffix(folder, _OLD_SUFFIX).is_dir()


def repair(folder: Path) -> None:
    """Undo or finish a `replace_folder` that was cut off. Raises OSError where nothing can be written."""
    new, old = _with_suffix(folder, _NEW_SUFFIX), _with_suffix(folder, _OLD_SUFFIX)
    if old.is_dir() and not folder.is_dir():
        old.rename(folder)  # it was complete, and whether the new one is cannot be known
        sync_folder(folder.parent)
    for leftover in (new, old):
        if leftover.is_dir():
            shutil.rmtree(leftover)


def current_folder(folder: Path) -> Path:
    """Where a folder's complete content is now: under its name, or after an interruption under the old one's."""
    old = _with_suffix(folder, _OLD_SUFFIX)
    return old if old.is_dir() and not folder.is_dir() else folder


def _with_suffix(folder: Path, suffix: str) -> Path:
    return folder.with_name(folder.name + suffix)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system or the file system has no such call."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)


class Lock:
    """Held by the recorder of a session, or by a reader that repairs it. A killed holder lets go by itself."""

    def __init__(self, directory: Path) -> None:
        """Take the lock. Raises BlockingIOError when another process or thread has it, OSError otherwise."""
        self._path = directory / LOCK_FILE
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
    """Whether a session is being recorded into this folder."""
    try:
        file = os.open(directory / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
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
