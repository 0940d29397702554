"""A recording, or a part of it, in the form that the analysis takes."""

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
from tui.recording.reader import Recorded, Selection, select
from tui.recording.schema import rows_of_frame
from tui.recording.tape import LaneChunks

Rows = Callable[[TableName, Selection], pl.LazyFrame]
LASTING = ("dial", "incomparable")  # events that still hold in a part of a session that begins after them


@dataclass(frozen=True, slots=True)
class TokenGaps:
    """Inter-token latencies: the gap between two chunks of a request over the tokens that the later one brought.

    `itl_ms` rises; each value counts `tokens` times.
    """

    itl_ms: NDArray[np.float64]
    tokens: NDArray[np.int64]

    @property
    def n(self) -> int:
        """How many tokens they were."""
        return int(self.tokens.sum())

    def percentile(self, share: float) -> float | None:
        """The smallest value that reaches the share (0 to 1) of the tokens, in ms."""
        if not self.itl_ms.size:
            return None
        reached = np.cumsum(self.tokens)
        at = int(np.searchsorted(reached, share * reached[-1]))
        return float(self.itl_ms[min(at, self.itl_ms.size - 1)])


def tables_of(recorded: Recorded, selection: Selection | None = None) -> Tables:
    """The tables that reports and verdicts are made of, sorted by time."""
    chosen = selection or Selection()
    return tables_from(recorded.info, chosen, lambda table, of: select(recorded, table, of))


def tables_from(info: SessionInfo, selection: Selection, select_rows: Rows) -> Tables:
    """The same from rows that something chooses and cleans."""

    def rows(table: TableName) -> pl.LazyFrame:
        return select_rows(table, selection)

    seconds = rows("seconds").sort("t_ns", "lane").collect()
    found = rows("events")
    if selection.limits_time and seconds.height:
        found = select_rows("events", replace(selection, t0_ns=None, segment=None)).filter(_told_in(seconds))
    events = rows_of_frame("events", found.sort("t_ns", maintain_order=True).collect())
    return Tables(
        session=_of_part(info, selection, seconds),
        requests=rows("requests").sort("t_end_ns").collect(),
        seconds=seconds,
        events=events,
        gauges=rows("gauges").sort("t_ns").collect(),
        refused=next((event.text for event in reversed(events) if event.kind == "incomparable"), ""),
    )


def _told_in(seconds: pl.DataFrame) -> pl.Expr:
    """Events from the first of the seconds until the last one's end, and what was in force by then."""
    first_ns: int = seconds["t_ns"][0]
    end_ns: int = seconds["t_ns"][-1] + NS_PER_S
    return (pl.col("t_ns") < end_ns) & ((pl.col("t_ns") >= first_ns) | pl.col("kind").is_in(LASTING))


def _of_part(info: SessionInfo, selection: Selection, seconds: pl.DataFrame) -> SessionInfo:
    """The session as if there were no more of it: the chosen lanes, and as long as the chosen seconds.

    One that was cut off, or that still runs, is as long as its last whole second tells.
    """
    duration_s = info.duration_s
    if selection.limits_time:
        duration_s = float(seconds["t_ns"].n_unique())
    elif not info.ended and seconds.height:
        duration_s = (seconds["t_ns"][-1] - info.t0_ns) / NS_PER_S + 1
    lanes = {lane: of for lane, of in info.lanes.items() if lane in selection.lanes}
    return msgspec.structs.replace(info, lanes=lanes, duration_s=duration_s)


def token_gaps(recorded: Recorded, selection: Selection | None = None) -> Mapping[Lane, TokenGaps]:
    """The inter-token latencies of each lane that has any."""
    selection = selection or Selection()
    chunks = select(recorded, "chunks", selection)
    names = ("request", "t_ns", "tokens")
    lanes = selection.lanes
    frames = pl.collect_all([chunks.filter(pl.col("lane") == lane).select(names) for lane in lanes])
    found = {lane: _gaps(LaneChunks.of(frame)) for lane, frame in zip(lanes, frames, strict=True)}
    return {lane: gaps for lane, gaps in found.items() if gaps.itl_ms.size}


def gaps_in_time(chunks: LaneChunks) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Of every chunk but a request's first: when it came (ns), the ITL of its tokens (ms), and how many they are."""
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
