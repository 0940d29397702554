"""The Parquet columns of each table, derived from the rows, and the way from rows to Polars frames and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
import polars as pl

from tui.model.rows import LANES, ROW_OF, TABLES, Chunks, Lane, TableName

TIME_COLUMN: dict[TableName, str] = {**dict.fromkeys(TABLES, "t_ns"), "requests": "t_end_ns"}
"""The column that says when a row became known. Files are sorted by it, to within a frame's 0.1 s."""

_PACKED = {"request": "<i8", "t_ns": "<i8", "tokens": "<i4", "text_bytes": "<i4", "tokens_estimated": "<i4"}
_WIDTH: dict[str, type[pl.DataType]] = {"<i8": pl.Int64, "<i4": pl.Int32}
_PLAIN: dict[type, type[pl.DataType]] = {float: pl.Float64, bool: pl.Boolean, str: pl.String}


@cache
def schema(table: TableName) -> pl.Schema:
    """Column names and types of a table, in order.

    Texts with few values (lane, cause, …) are plain strings: Parquet keeps them as dictionaries anyway, and every
    reader of Parquet knows strings, while Polars' enums grow a type that another version's file does not share.
    """
    if table == "chunks":
        return pl.Schema([("lane", pl.String), *((name, _WIDTH[kind]) for name, kind in _PACKED.items())])
    hints = get_type_hints(ROW_OF[table])
    return pl.Schema({name: _dtype(name, hints[name]) for name in ROW_OF[table].__struct_fields__})


@cache
def _defaults(table: TableName) -> dict[str, Any]:
    """Values for columns that hold no null and that a later version added: older files lack them."""
    fields = msgspec.structs.fields(ROW_OF[table])
    return {field.name: field.default for field in fields if field.default not in (msgspec.NODEFAULT, None)}


def _dtype(name: str, hint: Any) -> type[pl.DataType]:
    """Moments and request numbers are 64 bits wide, other counts 32."""
    if isinstance(hint, UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is Literal:
        return pl.String
    if hint is int:
        return pl.Int64 if name.endswith("_ns") or name == "request" else pl.Int32
    return _PLAIN[hint]


def frame_of_rows(table: TableName, rows: Sequence[msgspec.Struct]) -> pl.DataFrame:
    """Rows as a frame with the table's schema. A number too large for its column becomes null."""
    types = schema(table)
    if not rows:
        return pl.DataFrame(schema=types)
    columns = zip(*map(msgspec.structs.astuple, rows), strict=True)
    return pl.DataFrame(
        [
            pl.Series(name, values, dtype, strict=False)
            for (name, dtype), values in zip(types.items(), columns, strict=True)
        ]
    )


def rows_of_frame(table: TableName, frame: pl.DataFrame) -> list[Any]:
    """Rows of `model.rows`. A column that an older version did not write has its default."""
    row = ROW_OF[table]
    late = [pl.col(name).fill_null(value) for name, value in _defaults(table).items() if frame[name].null_count()]
    if late:
        frame = frame.with_columns(late)
    if table == "seconds":  # its fields are keyword-only
        return [row(**values) for values in frame.iter_rows(named=True)]
    return list(map(row, *(column.to_list() for column in frame.get_columns())))


def frame_of_chunks(packed: Iterable[tuple[Lane, Chunks]]) -> pl.DataFrame:
    """Packed columns as a frame, each lane's in order of arrival, without a Python object a chunk."""
    by_lane: dict[Lane, list[Chunks]] = {lane: [] for lane in LANES}
    for lane, chunks in packed:
        by_lane[lane].append(chunks)
    frames = [_lane_frame(lane, chunks) for lane, chunks in by_lane.items()]
    return pl.concat([frame for frame in frames if frame.height] or [pl.DataFrame(schema=schema("chunks"))])


def _lane_frame(lane: Lane, packed: list[Chunks]) -> pl.DataFrame:
    """`tokens_estimated` is null where nothing was estimated."""
    columns = {name: [getattr(chunks, name) for chunks in packed] for name in _PACKED}
    if any(columns["tokens_estimated"]):
        columns["tokens_estimated"] = [chunks.live_tokens for chunks in packed]
    values: dict[str, Any] = {name: np.frombuffer(b"".join(columns[name]), kind) for name, kind in _PACKED.items()}
    rows = len(values["t_ns"])
    missing = [name for name, column in values.items() if len(column) != rows]
    nothing = {name: pl.repeat(None, rows, dtype=schema("chunks")[name], eager=True) for name in missing}
    lanes = pl.repeat(lane, rows, dtype=pl.String, eager=True)
    return pl.DataFrame({"lane": lanes, **values, **nothing}, schema=schema("chunks"))
