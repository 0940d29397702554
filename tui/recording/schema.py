"""The types that each table's columns have on the disk, taken from the row contracts.

What each Parquet file of a session says of the session, so that a file taken out of its folder still tells.

Rows become Polars frames and rows again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
import polars as pl

from tui.model.rows import CHUNK_COLUMNS, LANES, ROW_OF, Chunks, Lane, TableName
from tui.model.session import SessionInfo
from tui.recording.info import info_of

TIME_COLUMN: dict[str, str] = {
    "requests": "t_end_ns",
    "chunks": "t_ns",
    "seconds": "t_ns",
    "gauges": "t_ns",
    "events": "t_ns",
}
"""The column that says when a row became known; the rows of a file rise in it, but for a frame's 0.1 s."""

_CHUNKS = dict(zip(CHUNK_COLUMNS, (pl.String, pl.Int64, pl.Int64, pl.Int32), strict=True))
_PLAIN: dict[type, type[pl.DataType]] = {float: pl.Float64, bool: pl.Boolean, str: pl.String}


@cache
def schema(table: TableName) -> pl.Schema:
    """Column names and types of a table, in order.

    Texts with few values (lane, cause, …) are plain strings: Parquet keeps them as dictionaries anyway, and every
    reader of Parquet knows strings, while Polars' enums grow a type that another version's file does not share.
    """
    if table == "chunks":
        return pl.Schema(_CHUNKS)
    hints = get_type_hints(ROW_OF[table])
    return pl.Schema({name: _dtype(name, hints[name]) for name in ROW_OF[table].__struct_fields__})


@cache
def defaults(table: TableName) -> dict[str, Any]:
    """The columns that a later version added and that hold no null: what stands there for a session before it."""
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


SESSION_KEY = "dragstrip.session"
SIMULATED_KEY = "dragstrip.simulated"


def metadata_of(info: SessionInfo) -> dict[str, str]:
    """Key-value metadata for a Parquet file: the content of `session.toml` as JSON, and whether it is simulated."""
    return {
        SESSION_KEY: msgspec.json.encode(info).decode(),
        SIMULATED_KEY: "true" if info.simulated else "false",
    }


def info_from(metadata: Mapping[str, str], where: str) -> SessionInfo | None:
    """The session that a file's metadata tells of, if any. Raises UserError when its schema is a newer one."""
    text = metadata.get(SESSION_KEY)
    if text is None:
        return None
    try:
        return info_of(msgspec.json.decode(text), where)
    except ValueError:
        return None


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
