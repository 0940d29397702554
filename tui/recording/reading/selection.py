"""Which part of a session is meant: tables, a window of time, a lane, a segment."""

from dataclasses import dataclass

import polars as pl

from tui.recording.reading.reader import Recorded
from tui.records.rows import LANES, Lane
from tui.records.session import SessionInfo
from tui.records.tables import TABLES, TableName
from tui.records.units import NS_PER_S


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of a session; what is None is not limited."""

    tables: tuple[TableName, ...] = TABLES
    t0_ns: int | None = None
    t1_ns: int | None = None  # rows that became known before it
    lane: Lane | None = None
    segment: int | None = None
    redact: bool = False  # leave out hosts and the paths of models

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The lanes that are in it, if the session has them."""
        return LANES if self.lane is None else (self.lane,)

    @property
    def limits_time(self) -> bool:
        """Whether it leaves out a part of the session's time."""
        return any(limit is not None for limit in (self.t0_ns, self.t1_ns, self.segment))


def window(info: SessionInfo, from_s: float | None, to_s: float | None) -> tuple[int | None, int | None]:
    """Seconds of a session as moments of its clock, for `Selection.t0_ns` and `t1_ns`."""
    return tuple(None if s is None else info.t0_ns + round(s * NS_PER_S) for s in (from_s, to_s))  # type: ignore[return-value]


def select(recorded: Recorded, table: TableName, selection: Selection) -> pl.LazyFrame:
    """The rows of a table that are in a selection.

    A request and a second know their segment, a chunk has its request's. A gauge and an event belong to a segment by
    time: from its first second until its last one's end.
    """
    rows = recorded.scan(table)
    if selection.t0_ns is not None or selection.t1_ns is not None:
        rows = recorded.between(table, selection.t0_ns or 0, selection.t1_ns or 2**63 - 1)
    if selection.lane is not None:
        rows = rows.filter(pl.col("lane").is_in([selection.lane, ""]))
    return rows if selection.segment is None else _of_segment(recorded, rows, table, selection.segment)


def _of_segment(recorded: Recorded, rows: pl.LazyFrame, table: TableName, segment: int) -> pl.LazyFrame:
    if table in ("requests", "seconds"):
        return rows.filter(pl.col("segment") == segment)
    if table == "chunks":
        mine = recorded.scan("requests").filter(pl.col("segment") == segment).select("lane", "request")
        return rows.join(mine, on=["lane", "request"], how="semi", maintain_order="left")
    seconds = recorded.scan("seconds").filter(pl.col("segment") == segment)
    first, last = seconds.select(first=pl.col("t_ns").min(), last=pl.col("t_ns").max()).collect().row(0)
    if first is None:
        return rows.clear()
    return rows.filter((pl.col("t_ns") >= first) & (pl.col("t_ns") < last + NS_PER_S))
