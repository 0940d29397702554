"""Files that are either there in whole or not at all, whatever kills the program or cuts the power."""

import os
from pathlib import Path

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
