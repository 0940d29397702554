"""Marks and notes made in a replay. They are kept next to the recording, never in it.

They are under the user's state folder (`$DRAGSTRIP_HOME/marks` where that is set), a file for each session, because
a session may be read-only or somebody else's. The file's name has the session's name and a digest of what identifies
it, so that a copy of the session finds the same marks and another session of the same name does not.

A file holds one JSON object a line and only grows. A line that was cut off by a crash is skipped when it is read, and
ended before the next one is written.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from tui.model.rows import EventRow, mark_event
from tui.model.session import SessionInfo
from tui.model.text import UserError, sanitize
from tui.profile.reading import HOME_ENV, user_folder

NAME_CHARACTERS: Final = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class _Line(msgspec.Struct, frozen=True):
    """`t_ns` is on the session's clock."""

    t_ns: int
    kind: Literal["mark", "note"]
    text: str


class Marks:
    """The marks of one session. Two terminals may add to them at once."""

    def __init__(self, path: Path | None) -> None:
        """None: there is no place to save any."""
        self.path = path
        self._stamp: tuple[int, int] = (0, 0)  # size and time of change of the file when it was last read
        self._rows: list[EventRow] = []

    def read(self) -> Sequence[EventRow]:
        """All of them by time; none where there is no readable file."""
        if self.path is None:
            return []
        try:
            status = self.path.stat()
            stamp = (status.st_size, status.st_mtime_ns)
            if stamp != self._stamp:
                self._rows, self._stamp = _rows(self.path.read_bytes()), stamp
        except OSError:
            self._rows, self._stamp = [], (0, 0)
        return self._rows

    def add(self, t_ns: int, text: str) -> None:
        """Save a mark, or a note where the text begins with `note: `. UserError where it cannot be written."""
        event = mark_event(t_ns, text)
        if self.path is None:
            raise UserError(f"could not save the mark: this user has no home folder; set HOME or {HOME_ENV}")
        line = _Line(t_ns, "note" if event.kind == "note" else "mark", event.text)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _append(self.path, msgspec.json.encode(line) + b"\n")
        except OSError as error:
            raise UserError(f"could not save the mark: {self.path} cannot be written ({error.strerror})") from error


def open_marks(info: SessionInfo) -> Marks:
    """The marks of a session, wherever its folder is."""
    try:
        return Marks(marks_root() / f"{_file_name(info.name)}-{_digest(info)}.jsonl")
    except UserError:
        return Marks(None)


def marks_root() -> Path:
    """The folder of all marks. UserError where the user has none."""
    return user_folder("state") / "marks"


def _file_name(name: str) -> str:
    """Valid on any system."""
    return _UNSAFE.sub("_", name)[:NAME_CHARACTERS].lstrip(".") or "session"


def _digest(info: SessionInfo) -> str:
    """Of the name and of the start by both clocks, which no two sessions share."""
    return hashlib.sha256(f"{info.name}\0{info.t0_ns}\0{info.wall_ns}".encode()).hexdigest()[:12]


def _append(path: Path, line: bytes) -> None:
    """One write at the end of the file, on the disk when this returns."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            line = b"\n" + line
        os.write(file, line)
        os.fsync(file)
    finally:
        os.close(file)


def _rows(data: bytes) -> list[EventRow]:
    rows = []
    for text in data.splitlines():
        try:
            line = msgspec.json.decode(text, type=_Line)
        except msgspec.DecodeError:
            continue  # cut off by a crash, or not ours
        rows.append(EventRow("", line.t_ns, line.kind, text=sanitize(line.text)))
    return sorted(rows, key=lambda row: row.t_ns)
