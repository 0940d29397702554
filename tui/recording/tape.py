"""A recording as the batches that live sends: replay feeds the same session state with them.

Reads a span of time out of a table, whether it is one sorted file or parts that are still being written.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tui.model.rows import LANES, TABLES, Batch, Chunks, EventRow, Lane, SecondRow, TableName
from tui.model.session import SessionInfo
from tui.model.units import NS_PER_S
from tui.recording.reader import Recorded, scan_sources
from tui.recording.schema import TIME_COLUMN, rows_of_frame, schema

_TRIES = 3  # a folder that is being recorded changes under the reader's hands

OUTCOME: Final = ("lane", "outcome", "cause")
NEWEST: Final = ("detail", "tokens_from", "stamp")
Range = tuple[int, int]  # from the first moment until before the second
Query = Callable[[pl.LazyFrame], list[pl.LazyFrame]]


@dataclass(frozen=True, slots=True)
class LaneChunks:
    """The chunks of one lane in order of time, as arrays of one length."""

    request: NDArray[np.int64]
    t_ns: NDArray[np.int64]
    tokens: NDArray[np.int32]

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Self:
        """From the columns of the table, in any order."""
        request, t_ns, tokens = (frame[name].to_numpy() for name in ("request", "t_ns", "tokens"))
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


class SpanReader:
    """Reads from the files that a session had when it last looked."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self._sources: dict[TableName, list[str]] = {}

    def look_again(self) -> None:
        """Forget which files there were."""
        self._sources.clear()

    def rows(self, table: TableName, span: Range) -> pl.DataFrame:
        """The rows of a span in order of time."""
        t_ns = TIME_COLUMN[table]
        (frame,) = self._collect(table, lambda rows: [_within(rows, table, span)])
        return frame if frame[t_ns].is_sorted() else frame.sort(t_ns, maintain_order=True)

    def chunks(self, span: Range) -> Mapping[Lane, LaneChunks]:
        """The chunks of a span. Lane by lane, because a text a chunk would double the memory and the time."""
        names = ("request", "t_ns", "tokens")
        frames = self._collect(
            "chunks",
            lambda rows: [_within(rows, "chunks", span).filter(pl.col("lane") == of).select(names) for of in LANES],
        )
        return {lane: LaneChunks.of(frame) for lane, frame in zip(LANES, frames, strict=True)}

    def latest(self, table: TableName) -> int | None:
        """The time of the newest row."""
        (frame,) = self._collect(table, lambda rows: [rows.select(pl.col(TIME_COLUMN[table]).max())])
        return frame.item()  # type: ignore[no-any-return]

    def outcomes(self, every_ns: int) -> pl.DataFrame:
        """What `outcome_counts` tells of each span of so many ns, which starts at `from_ns`."""
        (frame,) = self._collect("requests", lambda rows: [outcome_counts(rows, every_ns)])
        return frame

    def last_gauges(self, before_ns: int) -> pl.DataFrame:
        """See `Tape.last_gauges`."""
        (frame,) = self._collect(
            "gauges",
            lambda rows: [
                _within(rows, "gauges", (0, before_ns))
                .group_by("lane", "source", "name")
                .agg(pl.col("t_ns").max(), pl.col("value").get(pl.col("t_ns").arg_max()))
                .sort("t_ns")
            ],
        )
        return frame

    def _collect(self, table: TableName, query: Query) -> list[pl.DataFrame]:
        for left in reversed(range(_TRIES)):
            try:
                return pl.collect_all(query(self._lazy(table)))
            except (OSError, pl.exceptions.PolarsError):
                if not left:
                    raise
                self._sources.pop(table)
        raise AssertionError("unreachable")

    def _lazy(self, table: TableName) -> pl.LazyFrame:
        """A table. The part that still grows is read at once: else it may change between footer and pages."""
        if table not in self._sources:
            self._sources[table] = self._recorded.files.whole(table, self._recorded.missing)
        sources = self._sources[table]
        if not (sources and self._recorded.live):
            return scan_sources(sources, table)
        newest = pl.read_parquet(io.BytesIO(Path(sources[-1]).read_bytes()))
        return pl.concat([scan_sources(sources[:-1], table), newest.cast(schema(table)).lazy()])


def _within(rows: pl.LazyFrame, table: TableName, span: Range) -> pl.LazyFrame:
    t_ns = pl.col(TIME_COLUMN[table])
    return rows.filter((t_ns >= span[0]) & (t_ns < span[1]))


def outcome_counts(requests: pl.LazyFrame, every_ns: int) -> pl.LazyFrame:
    """How many requests of each `lane`, `outcome` and `cause` ended in each span of `every_ns`, in `n`.

    Beside it when the first and the newest of them ended, and what the newest tells.
    """
    t_ns = pl.col("t_end_ns")
    newest = [pl.col(name).last() for name in NEWEST]  # to look the row up would keep every text: 350 MB a million
    return requests.group_by((t_ns // every_ns * every_ns).alias("from_ns"), *OUTCOME).agg(
        pl.len().alias("n"), t_ns.min().alias("first_ns"), t_ns.max().alias("newest_ns"), *newest
    )


def summed_outcomes(parts: pl.DataFrame) -> pl.DataFrame:
    """The counts of all spans together, in order of each one's first."""
    newest = [pl.col(name).get(pl.col("newest_ns").arg_max()) for name in NEWEST]
    first, last = pl.col("first_ns").min(), pl.col("newest_ns").max()
    return parts.group_by(OUTCOME).agg(pl.col("n").sum(), first, last, *newest).sort("first_ns")


AHEAD_NS = 30 * NS_PER_S  # read at once, so that playing on reads the disk every half a minute only
COUNTED_NS = 60 * NS_PER_S  # outcomes are counted by so long: of an hour that is a thousand rows
_NEVER: Range = (0, 0)


class Tape:
    """A session's rows by time. In memory is only the span that was asked for last, as columns."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.t0_ns = recorded.info.t0_ns
        self.t_end_ns = self.t0_ns  # the end of the last whole second
        self.events: list[EventRow] = []  # all of them, in order of time
        self._reader = SpanReader(recorded)
        self._rows: dict[TableName, tuple[Range, pl.DataFrame]] = {}
        self._chunks: tuple[Range, Mapping[Lane, LaneChunks]] = (_NEVER, {})
        self._outcomes: pl.DataFrame | None = None
        self.refresh()

    @property
    def info(self) -> SessionInfo:
        """What is known of the session besides its rows."""
        return self.recorded.info

    @property
    def live(self) -> bool:
        """Whether it is still being recorded."""
        return self.recorded.live

    def refresh(self) -> bool:
        """Look what has been recorded since; returns whether there is a new second."""
        before = self.t_end_ns
        self._rows.clear()
        self._chunks = (_NEVER, {})
        self._outcomes = None
        self._reader.look_again()
        self.recorded.look_again()
        self.t_end_ns = self._end()  # first: what a second's row stands for is on the disk before it
        self.events = rows_of_frame("events", self._reader.rows("events", (0, 2**63 - 1)))
        return self.t_end_ns > before

    def between(self, t0_ns: int, t1_ns: int) -> Batch:
        """All that became known from `t0_ns` until before `t1_ns`, as one batch."""
        return Batch(
            t_ns=t1_ns,
            requests=rows_of_frame("requests", self.frame("requests", t0_ns, t1_ns)),
            chunks=self.chunks(t0_ns, t1_ns),
            seconds=self.second_rows(t0_ns, t1_ns),
            gauges=rows_of_frame("gauges", self.frame("gauges", t0_ns, t1_ns)),
            events=rows_of_frame("events", self.frame("events", t0_ns, t1_ns)),
        )

    def frame(self, table: TableName, t0_ns: int, t1_ns: int) -> pl.DataFrame:
        """The rows of one table as columns, in order of time."""
        span, frame = self._rows.get(table, (_NEVER, None))
        if frame is None or not _covers(span, t0_ns, t1_ns):
            span = _ahead(t0_ns, t1_ns)
            frame = self._reader.rows(table, span)
            self._rows[table] = (span, frame)
        first, last = np.searchsorted(frame[TIME_COLUMN[table]].to_numpy(), (t0_ns, t1_ns))
        return frame.slice(int(first), int(last - first))

    def second_rows(self, t0_ns: int, t1_ns: int) -> list[SecondRow]:
        """The rows of `seconds` of a span."""
        return rows_of_frame("seconds", self.frame("seconds", t0_ns, t1_ns))

    def chunks(self, t0_ns: int, t1_ns: int) -> list[tuple[Lane, Chunks]]:
        """The chunks of each lane that has any, in order of time."""
        return [(lane, of.packed()) for lane, of in self.chunk_columns(t0_ns, t1_ns).items() if of.t_ns.size]

    def chunk_columns(self, t0_ns: int, t1_ns: int) -> dict[Lane, LaneChunks]:
        """The same as arrays, of every lane."""
        span, lanes = self._chunks
        if not _covers(span, t0_ns, t1_ns):
            span = _ahead(t0_ns, t1_ns)
            lanes = self._reader.chunks(span)
            self._chunks = (span, lanes)
        return {lane: of.between(t0_ns, t1_ns) for lane, of in lanes.items()}

    def outcomes(self, before_ns: int) -> pl.DataFrame:
        """How many requests ended before a moment, by `lane`, `outcome` and `cause`, in `n`.

        Beside it `detail`, `tokens_from` and `stamp` of the newest of them, from `newest_ns`. In order of the first.
        """
        if self._outcomes is None:
            self._outcomes = self._reader.outcomes(COUNTED_NS)
        whole_ns = before_ns // COUNTED_NS * COUNTED_NS
        last = outcome_counts(self.frame("requests", whole_ns, before_ns).lazy(), COUNTED_NS).collect()
        return summed_outcomes(pl.concat((self._outcomes.filter(pl.col("from_ns") < whole_ns), last)))

    def last_gauges(self, before_ns: int) -> pl.DataFrame:
        """The last reading of everything that was read before a moment, as rows of `gauges`."""
        return self._reader.last_gauges(before_ns)

    def _end(self) -> int:
        """A second is whole once its row is there; a session cut off before its first one ends with its last row."""
        last = self._reader.latest("seconds")
        if last is not None:
            return last + NS_PER_S
        if self.live:  # its first second is still being written
            return self.t0_ns
        known = (self._reader.latest(table) for table in TABLES)
        return max([self.t0_ns, *(edge + 1 for edge in known if edge is not None)])


def _covers(span: Range, t0_ns: int, t1_ns: int) -> bool:
    return span[0] <= t0_ns and t1_ns <= span[1]


def _ahead(t0_ns: int, t1_ns: int) -> Range:
    return t0_ns, max(t1_ns, t0_ns + AHEAD_NS)
