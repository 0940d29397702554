"""Where a session is recorded, found out before anything starts."""

import argparse
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tui.model.profile import Profile
from tui.model.session import SessionInfo
from tui.model.text import UserError

if TYPE_CHECKING:
    from tui.session.live import Record, Recording


def recorder_for(args: argparse.Namespace, profile: Profile) -> "Record | None":
    """What makes the recorder, or None with --no-record. UserError when the place cannot be written."""
    if args.no_record:
        return None
    root = _root(args, profile)
    _check_writable(root)

    def record(info: SessionInfo) -> "Recording":
        from tui.recording.catalog import reserve_folder
        from tui.recording.recorder import Recorder

        return Recorder(reserve_folder(root, info), info)

    return record


def naming(args: argparse.Namespace, profile: Profile) -> Callable[[str], str]:
    """How a command is told a session of this run: by its name, or by its folder where no name is looked for."""

    def named(name: str) -> str:
        from tui.recording.catalog import sessions_root  # long after the first paint, which would wait for it

        root = _root(args, profile)
        return shlex.quote(name if root == sessions_root() else str(root / name))

    return named


def _root(args: argparse.Namespace, profile: Profile) -> Path:
    from tui.recording.catalog import sessions_root

    return Path(args.out or profile.record.directory or sessions_root()).expanduser()


def _check_writable(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(root, error.strerror or str(error)) from error
    if not os.access(root, os.W_OK | os.X_OK):
        raise _cannot_write(root, "permission denied")


def _cannot_write(root: Path, why: str) -> UserError:
    return UserError(f"{root} cannot be written ({why}); name another directory with --out, or use --no-record")
