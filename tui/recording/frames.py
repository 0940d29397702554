"""Rows become Polars frames and rows again."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl

from tui.recording.schema import defaults, schema
from tui.records.frame import Chunks
from tui.records.rows import LANES, Lane
from tui.records.tables import ROW_OF, TableName


def frame_of_rows(table: TableName, rows: Sequence[msgspec.Struct]) -> pl.DataFrame:
    """The rows of one table as a frame with its schema. A number too large for its column becomes null."""
    types = schema(table)
    if not rows:
        return pl.DataFrame(schema=types)
    values = zip(*map(msgspec.structs.astuple, rows), strict=True)
    return pl.DataFrame(
        [
            pl.Series(name, column, dtype, strict=False)
            for (name, dtype), column in zip(types.items(), values, strict=True)
        ]
    )


def rows_of_frame(table: TableName, frame: pl.DataFrame) -> list[Any]:
    """The rows of one table, as the types of `records.rows`. What an older version did not write has its default."""
    row = ROW_OF[table]
    late = [pl.col(name).fill_null(value) for name, value in defaults(table).items() if frame[name].null_count()]
    if late:
        frame = frame.with_columns(late)
    if table == "seconds":  # its fields have names only
        return [row(**values) for values in frame.iter_rows(named=True)]
    return list(map(row, *(column.to_list() for column in frame.get_columns())))


def frame_of_chunks(packed: Iterable[tuple[Lane, Chunks]]) -> pl.DataFrame:
    """Packed columns as a frame, each lane's in order of arrival, without a Python object a chunk."""
    kept = [(lane, chunks) for lane, chunks in packed if chunks.t_ns]
    frames = [_lane_frame(lane, [chunks for of, chunks in kept if of == lane]) for lane in LANES]
    return pl.concat([frame for frame in frames if frame.height] or [pl.DataFrame(schema=schema("chunks"))])


def _lane_frame(lane: Lane, packed: list[Chunks]) -> pl.DataFrame:
    t_ns = np.frombuffer(b"".join(chunks.t_ns for chunks in packed), "<i8")
    return pl.DataFrame(
        {
            "lane": pl.repeat(lane, t_ns.size, dtype=pl.String, eager=True),
            "request": np.frombuffer(b"".join(chunks.request for chunks in packed), "<i8"),
            "t_ns": t_ns,
            "tokens": np.frombuffer(b"".join(chunks.tokens for chunks in packed), "<i4"),
        },
        schema=schema("chunks"),
    )
