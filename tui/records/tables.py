"""The tables of a recording: their columns are the fields of the rows, with the types they have on disk."""

from typing import Final, Literal, get_args

import msgspec

from tui.records.rows import EventRow, GaugeRow, RequestRow, SecondRow

TableName = Literal["requests", "chunks", "seconds", "gauges", "events"]
TABLES: tuple[TableName, ...] = get_args(TableName)

ROW_OF: Final[dict[str, type[msgspec.Struct]]] = {
    "requests": RequestRow,
    "seconds": SecondRow,
    "gauges": GaugeRow,
    "events": EventRow,
}
CHUNK_COLUMNS: Final = ("lane", "request", "t_ns", "tokens")


def columns(table: TableName) -> tuple[str, ...]:
    """The column names of a table, in order."""
    return CHUNK_COLUMNS if table == "chunks" else ROW_OF[table].__struct_fields__
