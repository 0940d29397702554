"""What an export is asked to write, and the files that it wrote.

Our own tables as CSV, Parquet, NDJSON and JSON. All of them stream: no table is held in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec
import polars as pl

from tui.model.rows import Lane, TableName
from tui.model.session import SCHEMA, SessionInfo
from tui.model.text import UserError
from tui.recording.growing import sink_table
from tui.recording.reader import RecordedSession, Selection, select_rows
from tui.recording.redact import scrub

Progress = Callable[[str, int, int], None]
"""Called with a table or a lane, the rows done and the rows there are; from any thread, one call at a time."""
Item = TypeVar("Item")
PROGRESS_EVERY = 1_000  # requests

SIMULATED = "SIMULATED"
_TEXTS = ("detail", "text", "old", "new")  # the columns that may quote a server
_BATCH = 4096


@dataclass(frozen=True, slots=True)
class ExportedFile:
    path: Path
    what: str  # a table, or a lane
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Job:
    session: RecordedSession
    selection: Selection
    target: Path
    info: SessionInfo  # redacted if the selection says so
    private: tuple[str, ...] = ()  # texts that must not appear
    progress: Progress | None = None

    @property
    def lanes(self) -> list[Lane]:
        """The selected lanes that the session has."""
        return [lane for lane in self.selection.lanes if lane in self.info.lanes]

    def rows(self, table: TableName, selection: Selection | None = None) -> pl.LazyFrame:
        """The selected rows of a table, without private texts. They report progress as they pass."""
        rows = select_rows(self.session, table, selection or self.selection)
        names = [name for name in _TEXTS if name in rows.collect_schema()]
        if self.private and names:
            rows = rows.with_columns(
                pl.col(name).map_elements(lambda text: scrub(text, self.private), pl.String) for name in names
            )
        return rows if self.progress is None else _with_progress(rows, table, self.progress)

    def with_progress(self, items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
        """The same items; they report progress as they pass: for files that are written request by request."""
        done = 0
        for done, item in enumerate(items, 1):
            if self.progress is not None and done % PROGRESS_EVERY == 0:
                self.progress(what, done, total)
            yield item
        if self.progress is not None:
            self.progress(what, done, total)

    def path(self, name: str, suffix: str, alone: bool) -> Path:
        """Where a file goes: the target itself when it is the only one and has a suffix, else in the target folder.

        The name of a simulated session's file says so.
        """
        path = self.target if alone and self.target.suffix else self.target / f"{name}{suffix}"
        if self.info.simulated and f".{SIMULATED}." not in path.name:
            path = path.with_name(f"{path.stem}.{SIMULATED}{path.suffix}")
        return self.allowed(path)

    def allowed(self, path: Path) -> Path:
        """The path, once its folder exists. UserError where nothing can or may be written."""
        if self.session.directory.resolve() in path.resolve().parents:
            raise UserError(f"{path} is inside the session that is exported: name a place outside it")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            check_free(path, overwrite=self.selection.overwrite)
        except OSError as error:
            raise UserError(f"cannot write {path} ({error.strerror}): name another place") from error
        return path


def check_free(path: Path, *, overwrite: bool) -> None:
    """UserError where a file has that name already and may not be replaced. What is no file, as a pipe, may be."""
    if path.is_file() and not overwrite:
        raise UserError(f"{path} exists: name another place, or replace it with --overwrite")


def exported(path: Path, what: str, rows: int) -> ExportedFile:
    """A file that is complete."""
    return ExportedFile(path, what, rows, path.stat().st_size)


def _with_progress(rows: pl.LazyFrame, table: TableName, progress: Progress) -> pl.LazyFrame:
    total = rows.select(pl.len()).collect().item()
    done = 0

    def count(part: pl.DataFrame) -> pl.DataFrame:
        nonlocal done
        done += part.height
        progress(table, done, total)
        return part

    return rows.map_batches(count, streamable=True)


def placeholder(name: str) -> str:
    """Marks where `write_filled` puts the list of that name."""
    return f"\0list {name}\0"


def write_filled(path: Path, value: Any, lists: Mapping[str, Iterable[Any]]) -> None:
    """Write a JSON value, with lists too long for memory in place of its placeholders, in their order."""
    rest = msgspec.json.encode(value)
    with path.open("wb") as file:
        for name, items in lists.items():
            before, separator, rest = rest.partition(msgspec.json.encode(placeholder(name)))
            assert separator, f"no place for {name}"
            file.write(before)
            _write_list(file, items)
        file.write(rest + b"\n")


def write_object(path: Path, head: Mapping[str, Any], lists: Mapping[str, Iterable[Any]]) -> None:
    """One JSON object in one line: the keys of `head`, then those of `lists`."""
    write_filled(path, {**head, **{name: placeholder(name) for name in lists}}, lists)


def write_lines(path: Path, items: Iterable[Any]) -> None:
    """One JSON value a line."""
    with path.open("wb") as file:
        for item in items:
            file.write(msgspec.json.encode(item) + b"\n")


def _write_list(file: BinaryIO, items: Iterable[Any]) -> None:
    waiting: list[bytes] = []
    separator = b"["
    for item in items:
        waiting.append(msgspec.json.encode(item))
        if len(waiting) == _BATCH:
            file.write(separator + b",".join(waiting))
            waiting, separator = [], b","
    file.write(separator + b",".join(waiting) + b"]" if waiting or separator == b"[" else b"]")


JSON_ROWS = 50_000  # written at a time

Sink = Callable[[pl.LazyFrame, Path, Job], None]


def write_csv(job: Job) -> list[ExportedFile]:
    """One CSV file a table, with a header line."""
    return _each_table(job, ".csv", lambda rows, path, job: rows.sink_csv(path))


def write_parquet(job: Job) -> list[ExportedFile]:
    """One Parquet file a table; its metadata describe the session."""
    return _each_table(job, ".parquet", lambda rows, path, job: sink_table(rows, path, job.info))


def write_ndjson(job: Job) -> list[ExportedFile]:
    """One file a table with a JSON object a line."""
    return _each_table(job, ".ndjson", _sink_ndjson)


def write_json(job: Job) -> list[ExportedFile]:
    """One object: `schema`, `simulated`, `session` and `tables`, each a list of objects."""
    path = job.path(job.session.name, ".json", alone=True)
    head = {"schema": SCHEMA, "simulated": job.info.simulated, "session": msgspec.to_builtins(job.info)}
    count = 0
    with path.open("wb") as file:
        file.write(msgspec.json.encode(head)[:-1] + b',"tables":{')
        for at, table in enumerate(job.selection.tables):
            file.write(b"%s\n%s:[" % (b"," if at else b"", msgspec.json.encode(table)))
            separator = b"\n"
            for part in job.rows(table).collect_batches(maintain_order=True, chunk_size=JSON_ROWS):
                if part.height:
                    file.write(separator + part.write_json().encode()[1:-1])
                    separator, count = b",\n", count + part.height
            file.write(b"]")
        file.write(b"}}\n")
    return [exported(path, "all tables" if len(job.selection.tables) > 1 else job.selection.tables[0], count)]


def _each_table(job: Job, suffix: str, sink: Sink) -> list[ExportedFile]:
    tables = job.selection.tables
    return [_one_table(job, table, job.path(table, suffix, len(tables) == 1), sink) for table in tables]


def _one_table(job: Job, table: TableName, path: Path, sink: Sink) -> ExportedFile:
    rows = 0

    def count(part: pl.DataFrame) -> pl.DataFrame:
        nonlocal rows
        rows += part.height
        return part

    sink(job.rows(table).map_batches(count, streamable=True), path, job)
    return exported(path, table, rows)


def _sink_ndjson(rows: pl.LazyFrame, path: Path, job: Job) -> None:
    if job.info.simulated:
        rows = rows.with_columns(simulated=pl.lit(value=True))
    rows.sink_ndjson(path)
