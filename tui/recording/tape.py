"""A recording as the batches that a live session sends: replay feeds the same session state with them.

A recording, or a part of it, as the tables that the judge and the reports take.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Self

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tui.judge.itl import ChunkGaps, TokenGaps
from tui.judge.tables import Tables
from tui.model.metrics import NS_PER_S
from tui.model.rows import LANES, TABLES, Batch, Chunks, EventRow, Lane, SecondRow, TableName
from tui.model.session import SessionInfo
from tui.recording.reader import RecordedSession, Selection, between, scan_files, select_rows
from tui.recording.schema import TIME_COLUMN, rows_of_frame, schema
from tui.recording.spread import LIVE, Rows, joins_tokens, spread_chunks, spread_seconds

AT_ONCE = 500_000  # chunks
AHEAD_NS = 30 * NS_PER_S  # read at once, so that playing on reads the disk every half a minute only
COUNTED_NS = 60 * NS_PER_S  # outcomes are counted by so long: of an hour that is a thousand rows
CHUNK_NAMES: Final = ("request", "t_ns", "tokens")
CHUNK_COLUMNS: Final = ("request", "t_ns", LIVE)  # the same as they counted live
OUTCOME: Final = ("lane", "outcome", "cause")
NEWEST: Final = ("detail", "tokens_from", "stamp")
_TRIES = 3  # the files of a session that is being recorded change while they are read
_END_OF_TIME = 2**63 - 1

Range = tuple[int, int]  # the second moment is excluded
Query = Callable[[pl.LazyFrame], list[pl.LazyFrame]]
_EMPTY: Range = (0, 0)


@dataclass(frozen=True, slots=True)
class LaneChunks:
    """The chunks of one lane by time, as arrays of one length."""

    request: NDArray[np.int64]
    t_ns: NDArray[np.int64]
    tokens: NDArray[np.int32]

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> Self:
        """From the columns of the table, in any order of rows."""
        request, t_ns, tokens = (frame[name].to_numpy() for name in CHUNK_NAMES)
        if np.any(t_ns[1:] < t_ns[:-1]):
            order = np.argsort(t_ns, kind="stable")
            request, t_ns, tokens = request[order], t_ns[order], tokens[order]
        return cls(request, t_ns, tokens)

    def between(self, t0_ns: int, t1_ns: int) -> Self:
        """Those from `t0_ns` until before `t1_ns`; no copies."""
        first, last = np.searchsorted(self.t_ns, (t0_ns, t1_ns))
        return type(self)(self.request[first:last], self.t_ns[first:last], self.tokens[first:last])

    def packed(self) -> Chunks:
        """In the form that a batch holds."""
        return Chunks(
            self.request.astype("<i8", copy=False).tobytes(),
            self.t_ns.astype("<i8", copy=False).tobytes(),
            self.tokens.astype("<i4", copy=False).tobytes(),
        )


class Tape:
    """A session's rows by time. Only the span that was read last is in memory, as columns.

    Times are on the session's clock. Spans reach from `t0_ns` until before `t1_ns`.
    """

    def __init__(self, session: RecordedSession) -> None:
        self.session = session
        self.t0_ns = session.info.t0_ns
        self.t_end_ns = self.t0_ns  # the end of the last whole second
        self.events: list[EventRow] = []  # all of them, by time
        self._files: dict[TableName, list[str]] = {}  # as they were at the last refresh
        self._rows: dict[TableName, tuple[Range, pl.DataFrame]] = {}
        self._chunks: tuple[Range, Mapping[Lane, LaneChunks]] = (_EMPTY, {})
        self._outcomes: pl.DataFrame | None = None
        self.refresh()

    @property
    def info(self) -> SessionInfo:
        """What is known of the session besides its rows."""
        return self.session.info

    @property
    def live(self) -> bool:
        """Whether it is still being recorded."""
        return self.session.live

    def refresh(self) -> bool:
        """Look for what has been recorded since; returns whether there is a new second."""
        before = self.t_end_ns
        self._files.clear()
        self._rows.clear()
        self._chunks = (_EMPTY, {})
        self._outcomes = None
        self.session.reload_info()
        self.t_end_ns = self._end()  # first: all that happened in a second is on the disk before its row
        self.events = rows_of_frame("events", self._read("events", (0, _END_OF_TIME)))
        return self.t_end_ns > before

    def between(self, t0_ns: int, t1_ns: int) -> Batch:
        """All that became known in a span, as one batch."""
        return Batch(
            t_ns=t1_ns,
            requests=rows_of_frame("requests", self.frame("requests", t0_ns, t1_ns)),
            chunks=self.chunks(t0_ns, t1_ns),
            seconds=self.second_rows(t0_ns, t1_ns),
            gauges=rows_of_frame("gauges", self.frame("gauges", t0_ns, t1_ns)),
            events=rows_of_frame("events", self.frame("events", t0_ns, t1_ns)),
        )

    def frame(self, table: TableName, t0_ns: int, t1_ns: int) -> pl.DataFrame:
        """The rows of one table as columns, by time."""
        span, frame = self._rows.get(table, (_EMPTY, None))
        if frame is None or not _covers(span, t0_ns, t1_ns):
            span = _read_ahead(t0_ns, t1_ns)
            frame = self._read(table, span)
            self._rows[table] = (span, frame)
        first, last = np.searchsorted(frame[TIME_COLUMN[table]].to_numpy(), (t0_ns, t1_ns))
        return frame.slice(int(first), int(last - first))

    def second_rows(self, t0_ns: int, t1_ns: int) -> list[SecondRow]:
        return rows_of_frame("seconds", self.frame("seconds", t0_ns, t1_ns))

    def chunks(self, t0_ns: int, t1_ns: int) -> list[tuple[Lane, Chunks]]:
        """The chunks of each lane that has any."""
        lanes = self.chunk_columns(t0_ns, t1_ns)
        return [(lane, chunks.packed()) for lane, chunks in lanes.items() if chunks.t_ns.size]

    def chunk_columns(self, t0_ns: int, t1_ns: int) -> dict[Lane, LaneChunks]:
        """The chunks of every lane, as arrays."""
        span, lanes = self._chunks
        if not _covers(span, t0_ns, t1_ns):
            span = _read_ahead(t0_ns, t1_ns)
            lanes = self._read_chunks(span)
            self._chunks = (span, lanes)
        return {lane: chunks.between(t0_ns, t1_ns) for lane, chunks in lanes.items()}

    def outcomes(self, before_ns: int) -> pl.DataFrame:
        """How many requests ended before a moment, by `lane`, `outcome` and `cause`, in `n`; sorted by the first one.

        `detail`, `tokens_from` and `stamp` are the newest one's, which ended at `newest_ns`.
        """
        if self._outcomes is None:
            (self._outcomes,) = self._collect("requests", lambda rows: [_outcome_counts(rows)])
        whole_ns = before_ns // COUNTED_NS * COUNTED_NS
        last = _outcome_counts(self.frame("requests", whole_ns, before_ns).lazy()).collect()
        return _total_outcomes(pl.concat((self._outcomes.filter(pl.col("from_ns") < whole_ns), last)))

    def last_gauges(self, before_ns: int) -> pl.DataFrame:
        """The last reading of every gauge before a moment, as rows of `gauges`."""

        def last(rows: pl.LazyFrame) -> pl.LazyFrame:
            newest = pl.col("value").get(pl.col("t_ns").arg_max())
            by_gauge = between(rows, "gauges", 0, before_ns).group_by("lane", "source", "name")
            return by_gauge.agg(pl.col("t_ns").max(), newest).sort("t_ns")

        (frame,) = self._collect("gauges", lambda rows: [last(rows)])
        return frame

    def _end(self) -> int:
        """A second is whole once its row is there; a session cut off before its first one ends with its last row."""
        last = self._newest_ns("seconds")
        if last is not None:
            return last + NS_PER_S
        if self.live:  # its first second is still being written
            return self.t0_ns
        newest = map(self._newest_ns, TABLES)
        return max([self.t0_ns, *(t_ns + 1 for t_ns in newest if t_ns is not None)])

    def _newest_ns(self, table: TableName) -> int | None:
        (frame,) = self._collect(table, lambda rows: [rows.select(pl.col(TIME_COLUMN[table]).max())])
        return frame.item()  # type: ignore[no-any-return]

    def _read(self, table: TableName, span: Range) -> pl.DataFrame:
        (frame,) = self._collect(table, lambda rows: [between(rows, table, *span)])
        t_ns = TIME_COLUMN[table]
        return frame if frame[t_ns].is_sorted() else frame.sort(t_ns, maintain_order=True)

    def _read_chunks(self, span: Range) -> Mapping[Lane, LaneChunks]:
        """Lane by lane, because a text a chunk would double the memory and the time."""

        def by_lane(rows: pl.LazyFrame) -> list[pl.LazyFrame]:
            inside = between(rows, "chunks", *span)
            return [inside.filter(pl.col("lane") == lane).select(CHUNK_COLUMNS) for lane in LANES]

        frames = self._collect("chunks", by_lane)
        return {lane: LaneChunks.from_frame(frame) for lane, frame in zip(LANES, frames, strict=True)}

    def _collect(self, table: TableName, query: Query) -> list[pl.DataFrame]:
        for left in reversed(range(_TRIES)):
            try:
                return pl.collect_all(query(self._scan(table)))
            except (OSError, pl.exceptions.PolarsError):
                if not left:
                    raise
                self._files.pop(table, None)
        raise AssertionError("unreachable")

    def _scan(self, table: TableName) -> pl.LazyFrame:
        """A table. The part that still grows is read at once: else it may change between footer and pages."""
        if table not in self._files:
            self._files[table] = self.session.files(table)
        files = self._files[table]
        if not (files and self.live):
            return scan_files(files, table)
        newest = pl.read_parquet(io.BytesIO(Path(files[-1]).read_bytes()))
        return pl.concat([scan_files(files[:-1], table), newest.cast(schema(table)).lazy()])


def _outcome_counts(requests: pl.LazyFrame) -> pl.LazyFrame:
    """As `Tape.outcomes`, for each span of COUNTED_NS, which starts at `from_ns`; `first_ns` is when the first ended.

    Looking the newest row up would keep every text: 350 MB a million.
    """
    t_ns = pl.col("t_end_ns")
    newest = [pl.col(name).last() for name in NEWEST]
    return requests.group_by((t_ns // COUNTED_NS * COUNTED_NS).alias("from_ns"), *OUTCOME).agg(
        pl.len().alias("n"), t_ns.min().alias("first_ns"), t_ns.max().alias("newest_ns"), *newest
    )


def _total_outcomes(spans: pl.DataFrame) -> pl.DataFrame:
    newest = [pl.col(name).get(pl.col("newest_ns").arg_max()) for name in NEWEST]
    first, last = pl.col("first_ns").min(), pl.col("newest_ns").max()
    return spans.group_by(OUTCOME).agg(pl.col("n").sum(), first, last, *newest).sort("first_ns")


def _covers(span: Range, t0_ns: int, t1_ns: int) -> bool:
    return span[0] <= t0_ns and t1_ns <= span[1]


def _read_ahead(t0_ns: int, t1_ns: int) -> Range:
    return t0_ns, max(t1_ns, t0_ns + AHEAD_NS)


LASTING = ("dial", "incomparable")  # events that still hold in a part of a session that begins after them


def tables_of(session: RecordedSession, selection: Selection | None = None) -> Tables:
    """The tables sorted by time."""
    return tables_from(session.info, selection or Selection(), lambda table, part: select_rows(session, table, part))


def tables_from(info: SessionInfo, selection: Selection, select: Rows) -> Tables:
    """The same from rows that `select` chooses and cleans. Tokens of seconds are those after the fact."""

    def rows(table: TableName) -> pl.LazyFrame:
        return select(table, selection)

    seconds = spread_seconds(select, selection, rows("seconds").sort("t_ns", "lane").collect())
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
    """The inter-token latencies of each lane that has any, after the fact.

    Read piece by piece, because an hour does not fit into memory; but whole where a server joined tokens, because the
    counts of its answers are spread over chunks that are compared with each other.
    """
    selection = selection or Selection()
    select = partial(select_rows, session)
    joined = [lane for lane in selection.lanes if joins_tokens(select, selection, lane)]
    by_lane = _gaps_by_piece(session, selection, [lane for lane in selection.lanes if lane not in joined])
    for lane in joined:
        chunks = spread_chunks(select, selection, lane)
        by_lane[lane] = TokenGaps.of(ChunkGaps().feed_columns(chunks.request, chunks.t_ns, chunks.tokens))
    return {lane: gaps for lane, gaps in by_lane.items() if gaps.n}


def _gaps_by_piece(session: RecordedSession, selection: Selection, lanes: Sequence[Lane]) -> dict[Lane, TokenGaps]:
    ends = session.scan("requests").select("lane", "request", "t_end_ns").collect()
    open_until = {lane: OpenRequests.of_lane(ends, lane) for lane in lanes}
    streams = {lane: ChunkGaps() for lane in lanes}
    by_lane = {lane: TokenGaps() for lane in lanes}
    # Which lane as a flag: a text a chunk takes as long to read as the rest of its row.
    flags = [(pl.col("lane") == lane).alias(f"is_{lane}") for lane in lanes]
    rows = select_rows(session, "chunks", selection).select(*flags, *CHUNK_NAMES)
    for part in rows.collect_batches(maintain_order=True, chunk_size=AT_ONCE) if lanes else ():
        for lane in lanes:
            chunks = LaneChunks.from_frame(part.filter(pl.col(f"is_{lane}")))
            if chunks.t_ns.size:
                streams[lane].forget(open_until[lane].ended_before(int(chunks.t_ns[0])))
                by_lane[lane].add(streams[lane].feed_columns(chunks.request, chunks.t_ns, chunks.tokens))
    return by_lane


@dataclass(slots=True)
class OpenRequests:
    """The requests of a lane by when they ended, columns (n,), each asked for once."""

    request: NDArray[np.int64]
    t_end_ns: NDArray[np.int64]
    _from: int = 0

    @classmethod
    def of_lane(cls, ends: pl.DataFrame, lane: Lane) -> Self:
        frame = ends.filter(pl.col("lane") == lane).sort("t_end_ns")
        return cls(frame["request"].to_numpy(), frame["t_end_ns"].to_numpy())

    def ended_before(self, t_ns: int) -> list[int]:
        """Those that ended since it was last asked."""
        first, self._from = self._from, int(np.searchsorted(self.t_end_ns, t_ns))
        return self.request[first : self._from].tolist()  # type: ignore[no-any-return]
