"""A recording, or a part of it, as the tables that the judge and the reports take."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import msgspec
import polars as pl

from tui.judge.itl import ChunkGaps, TokenGaps
from tui.judge.tables import Tables
from tui.model.rows import Lane, TableName
from tui.model.session import SessionInfo
from tui.model.units import NS_PER_S
from tui.recording.reader import RecordedSession, Selection, select_rows
from tui.recording.schema import rows_of_frame
from tui.recording.tape import CHUNK_NAMES, LaneChunks

Rows = Callable[[TableName, Selection], pl.LazyFrame]
LASTING = ("dial", "incomparable")  # events that still hold in a part of a session that begins after them


def tables_of(session: RecordedSession, selection: Selection | None = None) -> Tables:
    """The tables sorted by time."""
    return tables_from(session.info, selection or Selection(), lambda table, part: select_rows(session, table, part))


def tables_from(info: SessionInfo, selection: Selection, select: Rows) -> Tables:
    """The same from rows that `select` chooses and cleans."""

    def rows(table: TableName) -> pl.LazyFrame:
        return select(table, selection)

    seconds = rows("seconds").sort("t_ns", "lane").collect()
    chosen = rows("events")
    if selection.limits_time and seconds.height:
        chosen = select("events", replace(selection, t0_ns=None, segment=None)).filter(_concerns(seconds))
    events = rows_of_frame("events", chosen.sort("t_ns", maintain_order=True).collect())
    return Tables(
        session=_session_part(info, selection, seconds),
        requests=rows("requests").sort("t_end_ns").collect(),
        seconds=seconds,
        events=events,
        gauges=rows("gauges").sort("t_ns").collect(),
        refused=next((event.text for event in reversed(events) if event.kind == "incomparable"), ""),
    )


def _concerns(seconds: pl.DataFrame) -> pl.Expr:
    """Events from the first of the seconds to the end of the last one, and what was in force by then."""
    first_ns: int = seconds["t_ns"][0]
    end_ns: int = seconds["t_ns"][-1] + NS_PER_S
    return (pl.col("t_ns") < end_ns) & ((pl.col("t_ns") >= first_ns) | pl.col("kind").is_in(LASTING))


def _session_part(info: SessionInfo, selection: Selection, seconds: pl.DataFrame) -> SessionInfo:
    """The session as if it had only the chosen lanes and seconds.

    One that was cut off, or that still runs, lasts to the end of its last whole second.
    """
    duration_s = info.duration_s
    if selection.limits_time:
        duration_s = float(seconds["t_ns"].n_unique())
    elif not info.ended and seconds.height:
        duration_s = (seconds["t_ns"][-1] - info.t0_ns) / NS_PER_S + 1
    lanes = {name: lane for name, lane in info.lanes.items() if name in selection.lanes}
    return msgspec.structs.replace(info, lanes=lanes, duration_s=duration_s)


def token_gaps(session: RecordedSession, selection: Selection | None = None) -> Mapping[Lane, TokenGaps]:
    """The inter-token latencies of each lane that has any."""
    selection = selection or Selection()
    rows = select_rows(session, "chunks", selection)
    lanes = selection.lanes
    frames = pl.collect_all([rows.filter(pl.col("lane") == lane).select(CHUNK_NAMES) for lane in lanes])
    gaps = {}
    for lane, frame in zip(lanes, frames, strict=True):
        chunks = LaneChunks.from_frame(frame)
        gaps[lane] = TokenGaps.sorted(ChunkGaps().feed_columns(chunks.request, chunks.t_ns, chunks.tokens))
    return {lane: lane_gaps for lane, lane_gaps in gaps.items() if lane_gaps.itl_ms.size}
