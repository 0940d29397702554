"""Our own tables as CSV, Parquet, NDJSON and JSON. All of them stream: no table is held in memory.

A JSON value whose lists are too long to hold: they are written item by item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import polars as pl

from tui.export.job import ExportedFile, Job, exported
from tui.model.rows import TableName
from tui.model.session import SCHEMA
from tui.recording.growing import sink_table

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
    path = job.path(job.recorded.name, ".json", alone=True)
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
    count = 0

    def note(part: pl.DataFrame) -> pl.DataFrame:
        nonlocal count
        count += part.height
        return part

    sink(job.rows(table).map_batches(note, streamable=True), path, job)
    return exported(path, table, count)


def _sink_ndjson(rows: pl.LazyFrame, path: Path, job: Job) -> None:
    if job.info.simulated:
        rows = rows.with_columns(simulated=pl.lit(value=True))
    rows.sink_ndjson(path)


_BATCH = 4096


def placeholder(name: str) -> str:
    """Stands in a value where the list of that name goes."""
    return f"\0list {name}\0"


def write_filled(path: Path, value: Any, lists: Mapping[str, Iterable[Any]]) -> None:
    """Write a value with each list put in its place. The lists are taken in the order of their places."""
    rest = msgspec.json.encode(value)
    with path.open("wb") as file:
        for name, items in lists.items():
            before, found, rest = rest.partition(msgspec.json.encode(placeholder(name)))
            assert found, f"no place for {name}"
            file.write(before)
            _write_list(file, items)
        file.write(rest + b"\n")


def write_object(path: Path, head: Mapping[str, Any], lists: Mapping[str, Iterable[Any]]) -> None:
    """One object in one line: the keys of `head`, then those of `lists`."""
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
