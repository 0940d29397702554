"""A recording, or a part of it, as the tables that the judge and the reports take."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tui.judge.tables import Tables
from tui.model.rows import Lane, TableName
from tui.model.session import SessionInfo
from tui.model.units import NS_PER_S
from tui.recording.reader import RecordedSession, Selection, select_rows
from tui.recording.schema import rows_of_frame
from tui.recording.tape import CHUNK_NAMES, LaneChunks

Rows = Callable[[TableName, Selection], pl.LazyFrame]
LASTING = ("dial", "incomparable")  # events that still hold in a part of a session that begins after them


@dataclass(frozen=True, slots=True)
class TokenGaps:
    """Inter-token latencies: the gap between two chunks of a request divided by the tokens of the later one.

    `itl_ms` rises; each value counts `tokens` times.
    """

    itl_ms: NDArray[np.float64]
    tokens: NDArray[np.int64]

    @property
    def n(self) -> int:
        """The number of tokens."""
        return int(self.tokens.sum())

    def percentile(self, share: float) -> float | None:
        """The smallest value that reaches the share (0 to 1) of the tokens, in ms."""
        if not self.itl_ms.size:
            return None
        reached = np.cumsum(self.tokens)
        at = int(np.searchsorted(reached, share * reached[-1]))
        return float(self.itl_ms[min(at, self.itl_ms.size - 1)])


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
    chunks = select_rows(session, "chunks", selection)
    lanes = selection.lanes
    frames = pl.collect_all([chunks.filter(pl.col("lane") == lane).select(CHUNK_NAMES) for lane in lanes])
    gaps = {lane: _gaps(LaneChunks.from_frame(frame)) for lane, frame in zip(lanes, frames, strict=True)}
    return {lane: lane_gaps for lane, lane_gaps in gaps.items() if lane_gaps.itl_ms.size}


def gaps_in_time(chunks: LaneChunks) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """For each chunk but a request's first: its arrival (ns), the ITL of its tokens (ms), their number."""
    order = np.argsort(chunks.request, kind="stable")
    same = np.diff(chunks.request[order]) == 0
    t_ns = chunks.t_ns[order]
    # A chunk that carries output brings a token, even where the server's count rounds to none.
    tokens = np.maximum(chunks.tokens[order][1:][same], 1).astype(np.int64)
    return t_ns[1:][same], np.diff(t_ns)[same] / 1e6 / tokens, tokens


def _gaps(chunks: LaneChunks) -> TokenGaps:
    _, itl_ms, tokens = gaps_in_time(chunks)
    rising = np.argsort(itl_ms)
    return TokenGaps(itl_ms[rising], tokens[rising])
