"""The types that each table's columns have on the disk, taken from the row contracts."""

from functools import cache
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import polars as pl

from tui.records.tables import CHUNK_COLUMNS, ROW_OF, TableName

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
