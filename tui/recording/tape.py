"""A recording as the batches that live sends: replay feeds the same session state with them."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from tui.recording.frames import rows_of_frame
from tui.recording.reading.reader import Recorded
from tui.recording.reading.spans import LaneChunks, Range, SpanReader, outcome_counts, summed_outcomes
from tui.recording.schema import TIME_COLUMN
from tui.records.frame import Batch, Chunks
from tui.records.rows import EventRow, Lane, SecondRow
from tui.records.session import SessionInfo
from tui.records.tables import TABLES, TableName
from tui.records.units import NS_PER_S

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
