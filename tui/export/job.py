"""What an export is asked to do, and what it did."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import polars as pl

from tui.model.rows import TableName
from tui.model.session import SessionInfo
from tui.model.text import UserError
from tui.recording.reader import RecordedSession, Selection, select_rows
from tui.recording.redact import scrub

Progress = Callable[[str, int, int], None]
"""Called with a table or a lane, the rows done and the rows there are; from any thread, one call at a time."""
Item = TypeVar("Item")
TELL_EVERY = 1_000  # requests

SIMULATED = "SIMULATED"
_TEXTS = ("detail", "text", "old", "new")  # the columns in which a server's own words may stand


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file that was written."""

    path: Path
    what: str  # a table, or a lane
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Job:
    """One export."""

    recorded: RecordedSession
    selection: Selection
    target: Path
    info: SessionInfo  # redacted, when that was asked
    private: tuple[str, ...] = ()  # texts that must not appear
    progress: Progress | None = None

    def rows(self, table: TableName, selection: Selection | None = None) -> pl.LazyFrame:
        """The chosen rows of a table, without private texts, counted as they pass."""
        rows = select_rows(self.recorded, table, selection or self.selection)
        names = [name for name in _TEXTS if name in rows.collect_schema()]
        if self.private and names:
            rows = rows.with_columns(
                pl.col(name).map_elements(lambda text: scrub(text, self.private), pl.String) for name in names
            )
        return rows if self.progress is None else _counted(rows, table, self.progress)

    def passing(self, items: Iterable[Item], what: str, of: int) -> Iterator[Item]:
        """The same items, counted as they pass: for files that are written request by request."""
        done = 0
        for done, item in enumerate(items, 1):
            if self.progress is not None and done % TELL_EVERY == 0:
                self.progress(what, done, of)
            yield item
        if self.progress is not None:
            self.progress(what, done, of)

    def path(self, name: str, suffix: str, alone: bool) -> Path:
        """Where a file goes: the target itself when it is the only one and has a suffix, else in the target folder.

        The name of a simulated session's file says so.
        """
        path = self.target if alone and self.target.suffix else self.target / f"{name}{suffix}"
        if self.info.simulated and f".{SIMULATED}." not in path.name:
            path = path.with_name(f"{path.stem}.{SIMULATED}{path.suffix}")
        return self._allowed(path)

    def place(self, below: Path) -> Path:
        """Where a file with a name of its own goes, below the target folder."""
        return self._allowed(self.target / below)

    def _allowed(self, path: Path) -> Path:
        if self.recorded.directory.resolve() in path.resolve().parents:
            raise UserError(f"{path} lies in the session that is exported: name a place outside it")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write {path} ({error.strerror}): name another place") from error
        return path


def exported(path: Path, what: str, rows: int) -> ExportedFile:
    """The account of a file that is complete."""
    return ExportedFile(path, what, rows, path.stat().st_size)


def _counted(rows: pl.LazyFrame, table: TableName, progress: Progress) -> pl.LazyFrame:
    total = rows.select(pl.len()).collect().item()
    done = 0

    def count(part: pl.DataFrame) -> pl.DataFrame:
        nonlocal done
        done += part.height
        progress(table, done, total)
        return part

    return rows.map_batches(count, streamable=True)
