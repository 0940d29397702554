"""Which sessions there are, and which one is meant. Light: it reads no table, but of sessions that have no end.

A folder for a new session, though another began in the same second under the same name.

Where sessions are kept.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final

from tui.model.rows import TABLES
from tui.model.session import SessionInfo
from tui.model.text import UserError
from tui.recording.durable import is_held
from tui.recording.info import FILE, read_info


def claim(root: Path, info: SessionInfo) -> Path:
    """Make and return ROOT/NAME, or if that is taken ROOT/NAME_2, NAME_3, …; `info` takes the name that was free."""
    plain = info.name = info.name.replace("/", "_")
    numbers = count(2)
    while _is_taken(root / info.name):
        info.name = f"{plain}_{next(numbers)}"
    return root / info.name


def _is_taken(folder: Path) -> bool:
    """Making a folder either succeeds or finds it there, so that of two programs only one gets a name."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return True
    except OSError:
        return False  # it cannot be written, which the recorder says
    return False


HOME_ENV: Final = "DRAGSTRIP_HOME"


def sessions_root() -> Path:
    """The folder of all sessions: under $DRAGSTRIP_HOME if that is set, else in the user's data folder."""
    if home := os.environ.get(HOME_ENV):
        return Path(home) / "sessions"
    import platformdirs

    return platformdirs.user_data_path("dragstrip", appauthor=False) / "sessions"


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """One session as `dragstrip sessions` lists it."""

    name: str
    path: Path
    started: datetime  # UTC
    lanes: dict[str, str]  # "a": "vLLM 0.33.0 · model"
    length_s: float  # of one that has no end: until its last second
    size_bytes: int
    simulated: bool
    state: str  # how it ended, or "recording", or "cut off"


def resolve(name: str, root: Path | None = None) -> Path:
    """The session that a path, a name or the unique beginning of a name means.

    Raises UserError when there is none, or more than one.
    """
    if is_session(Path(name)):
        return Path(name)
    root = root or sessions_root()
    if name and is_session(root / name):
        return root / name
    found = sorted(path.name for path in root.glob("*/") if path.name.startswith(name) and is_session(path))
    if len(found) == 1:
        return root / found[0]
    if found:
        few = ", ".join(found[:4]) + (", …" if len(found) > 4 else "")
        raise UserError(f"{name!r} is the beginning of {len(found)} sessions ({few}): write more of the name")
    raise UserError(
        f"there is no session {name!r}, as a folder or in {root}: `dragstrip sessions` lists what there is"
    )


def is_session(path: Path) -> bool:
    """Whether this is a session's folder, even one whose `session.toml` was lost."""
    return (path / FILE).is_file() or any((path / table).is_dir() for table in TABLES)


def list_sessions(root: Path | None = None) -> list[SessionEntry]:
    """Every session in a folder, newest first; folders that cannot be read as one are left out."""
    root = root or sessions_root()
    entries = [entry for path in root.glob("*/") if (entry := _entry(path)) is not None]
    return sorted(entries, key=lambda entry: entry.started, reverse=True)


def _entry(path: Path) -> SessionEntry | None:
    try:
        info = read_info(path)
        files = list(_files(path))
    except (OSError, ValueError, UserError):
        return None
    return SessionEntry(
        name=path.name,
        path=path,
        started=datetime.fromtimestamp(info.wall_ns / 1e9, UTC),
        lanes={lane: " ".join(filter(None, (of.title, of.version, of.model))) for lane, of in info.lanes.items()},
        length_s=info.duration_s if info.ended else _recorded_s(path, info),
        size_bytes=sum(file.st_size for file in files),
        simulated=info.simulated,
        state=_state(path, info),
    )


def _recorded_s(path: Path, info: SessionInfo) -> float:
    """How far the seconds reach. Files' times do not tell: those of a copy are when it was made."""
    import polars as pl

    try:
        last_ns = pl.scan_parquet(path / "seconds" / "*.parquet").select(pl.col("t_ns").max()).collect().item()
    except (OSError, pl.exceptions.PolarsError):
        return 0.0  # it ended before its first second was written
    return (last_ns - info.t0_ns) / 1e9 + 1.0 if last_ns is not None else 0.0


def _files(folder: Path) -> Iterator[os.stat_result]:
    """What is known of each file; those that a recorder replaces meanwhile are passed over."""
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            found = path.stat()
            if stat.S_ISREG(found.st_mode):
                yield found


def _state(path: Path, info: SessionInfo) -> str:
    return info.ended or ("recording" if is_held(path) else "cut off")
