"""Put a folder in another's place without a moment in which neither is there."""

import ctypes
import os
import shutil
import sys
from pathlib import Path

from tui.recording.durable import sync_folder

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
