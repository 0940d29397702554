"""The recorded sessions, which one a name means, and what is known of each besides its rows.

That is in `session.toml` and in the metadata of each Parquet file: one taken out of its folder still describes its
session. No table is read, except of a session without an end.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import tomli
import tomli_w

from tui.model.rows import TABLES
from tui.model.session import SCHEMA, LaneInfo, SessionInfo
from tui.model.text import UserError, sanitize
from tui.profile.reading import user_folder
from tui.recording.durable import LOCK_FILE, is_held, write_atomically

SESSION_FILE = "session.toml"
SESSION_KEY = "dragstrip.session"
SIMULATED_KEY = "dragstrip.simulated"
MAX_NOTE = 300


def write_info(directory: Path, info: SessionInfo) -> None:
    """Write `session.toml` atomically. Raises OSError."""
    write_atomically(directory / SESSION_FILE, tomli_w.dumps(without_none(msgspec.to_builtins(info))).encode())


def read_info(directory: Path) -> SessionInfo:
    """Read `session.toml`.

    Raises OSError when it is not there, ValueError when it is torn, and UserError when a newer dragstrip wrote it.
    """
    return _parse_info(tomli.loads((directory / SESSION_FILE).read_text("utf-8")), str(directory))


def parquet_metadata(info: SessionInfo) -> dict[str, str]:
    """Key-value metadata for a Parquet file: the content of `session.toml` as JSON, and whether it is simulated."""
    return {
        SESSION_KEY: msgspec.json.encode(info).decode(),
        SIMULATED_KEY: "true" if info.simulated else "false",
    }


def info_from_metadata(metadata: Mapping[str, str], where: str) -> SessionInfo | None:
    """The session that a Parquet file's metadata describe, if any. Raises UserError as `read_info` does."""
    text = metadata.get(SESSION_KEY)
    if text is None:
        return None
    try:
        return _parse_info(msgspec.json.decode(text), where)
    except ValueError:
        return None


def without_none(value: Any) -> Any:
    """The same value without what is None, at any depth: TOML has no null, and its default takes its place."""
    if isinstance(value, dict):
        return {key: without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_none(inner) for inner in value if inner is not None]
    return value


def _parse_info(raw: dict[str, Any], where: str) -> SessionInfo:
    version = raw.get("schema", SCHEMA)
    if isinstance(version, int) and version > SCHEMA:
        raise UserError(
            f"{where} was recorded by a newer dragstrip (schema {version}, this one reads up to {SCHEMA}): "
            "update dragstrip to open it"
        )
    return msgspec.convert(raw, SessionInfo)


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """One session as `dragstrip sessions` lists it."""

    name: str
    path: Path
    started: datetime  # UTC
    lanes: dict[str, str]  # "a": "vLLM 0.33.0 · model"
    length_s: float  # without an end: to its last second
    size_bytes: int
    simulated: bool
    state: str  # how it ended, or "recording", or "cut off"
    note: str = ""


def sessions_root() -> Path:
    """The folder of all sessions: under $DRAGSTRIP_HOME if that is set, else in the user's data folder.

    UserError where there is neither.
    """
    return user_folder("data") / "sessions"


def reserve_folder(root: Path, info: SessionInfo) -> Path:
    """Make and return ROOT/NAME, or if that is taken ROOT/NAME_2, NAME_3, …; `info.name` becomes the free name."""
    plain = info.name = info.name.replace("/", "_")
    numbers = count(2)
    while _is_taken(root / info.name):
        info.name = f"{plain}_{next(numbers)}"
    return root / info.name


def _is_taken(folder: Path) -> bool:
    """Tries to make the folder, so that of two programs only one gets a name."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return True
    except OSError:
        return False  # it cannot be written, which the recorder reports
    return False


def resolve(name: str, root: Path | None = None) -> Path:
    """The session that a path, a name or the unique beginning of a name means.

    Raises UserError when there is none, or more than one.
    """
    if is_session(Path(name)):
        return Path(name)
    root = root or sessions_root()
    if name and is_session(root / name):
        return root / name
    names = sorted(path.name for path in root.glob("*/") if path.name.startswith(name) and is_session(path))
    if len(names) == 1:
        return root / names[0]
    if names:
        few = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
        raise UserError(f"{name!r} is the beginning of {len(names)} sessions ({few}): write more of the name")
    raise UserError(
        f"there is no session {name!r}, as a folder or in {root}: `dragstrip sessions` lists what there is"
    )


def is_session(path: Path) -> bool:
    """Whether this is a session's folder, even one whose `session.toml` was lost."""
    return (path / SESSION_FILE).is_file() or any((path / table).is_dir() for table in TABLES)


def list_sessions(root: Path | None = None) -> list[SessionEntry]:
    """Every session in a folder, newest first; what cannot be read as one is left out."""
    root = root or sessions_root()
    entries = [entry for path in root.glob("*/") if (entry := _entry(path)) is not None]
    return sorted(entries, key=lambda entry: entry.started, reverse=True)


def _entry(path: Path) -> SessionEntry | None:
    try:
        info = read_info(path)
        sizes = list(_file_sizes(path))
    except (OSError, ValueError, UserError):
        return None
    return SessionEntry(
        name=path.name,
        path=path,
        started=datetime.fromtimestamp(info.wall_ns / 1e9, UTC),
        lanes={name: _server(lane) for name, lane in info.lanes.items()},
        length_s=info.duration_s if info.ended else _recorded_s(path, info),
        size_bytes=sum(sizes),
        simulated=info.simulated,
        state=info.ended or ("recording" if is_held(path) else "cut off"),
        note=info.note,
    )


def rename_session(folder: Path, name: str) -> Path:
    """Give the folder another name. UserError where that is impossible."""
    if not name or name[0] in ".-" or "/" in name or not name.isprintable():
        raise UserError(f"{sanitize(name, 60)!r} cannot be a session's name: leave out / and a first . or -")
    target = folder.with_name(name)
    if target.exists():
        raise UserError(f"there is something called {name} already: choose another name")
    with _ended(folder):
        folder.rename(target)
    return target


def note_session(folder: Path, note: str) -> None:
    """Keep a sentence about a session in its `session.toml`; an empty one takes it out. UserError as above."""
    with _ended(folder):
        info = read_info(folder)
        info.note = sanitize(note, MAX_NOTE)
        write_info(folder, info)


def delete_session(folder: Path) -> None:
    """Remove what dragstrip wrote, and the folder where nothing else is in it. UserError as above."""
    with _ended(folder):
        for table in TABLES:
            shutil.rmtree(folder / table, ignore_errors=True)
        for name in (LOCK_FILE, SESSION_FILE):
            (folder / name).unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def _ended(folder: Path) -> Iterator[None]:
    """UserError for a session that is still recorded, and where it cannot be written."""
    if is_held(folder):
        raise UserError(f"{folder.name} is being recorded: wait until it has ended")
    try:
        yield
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{folder} cannot be changed ({why})") from error


def _server(lane: LaneInfo) -> str:
    return " ".join(filter(None, (lane.title, lane.version, lane.model)))


def _recorded_s(path: Path, info: SessionInfo) -> float:
    """To the end of the last second. The files' times say nothing: those of a copy are when it was made."""
    import polars as pl

    try:
        last_ns = pl.scan_parquet(path / "seconds" / "*.parquet").select(pl.col("t_ns").max()).collect().item()
    except (OSError, pl.exceptions.PolarsError):
        return 0.0  # it ended before its first second was written
    return (last_ns - info.t0_ns) / 1e9 + 1.0 if last_ns is not None else 0.0


def _file_sizes(folder: Path) -> Iterator[int]:
    """Files that a recorder replaces meanwhile are left out."""
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                yield status.st_size
