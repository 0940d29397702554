"""Our own tables as CSV, Parquet, NDJSON and JSON. All of them stream: no table is held in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
