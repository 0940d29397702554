"""What a replay reads: a recording by time, and the marks that stand beside it. `recording` has the real ones."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from tui.model.rows import Batch, EventRow, SecondRow, TableName
from tui.model.session import SessionInfo

if TYPE_CHECKING:  # the screen paints before these are imported
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from tui.model.rows import Lane


class ChunkColumns(Protocol):
    """The chunks of one lane in order of time, as arrays of one length."""

    @property
    def request(self) -> "NDArray[np.int64]":
        """Each one's request."""
        ...

    @property
    def t_ns(self) -> "NDArray[np.int64]":
        """When it arrived."""
        ...

    @property
    def tokens(self) -> "NDArray[np.int32]":
        """The tokens that it brought."""
        ...


class Tape(Protocol):
    """A session's rows by time. Times are of its clock; `t_end_ns` is where its last whole second ends."""

    t0_ns: int
    t_end_ns: int
    events: list[EventRow]  # all of them, in order of time

    @property
    def info(self) -> SessionInfo:
        """What is known of it besides its rows."""
        ...

    @property
    def live(self) -> bool:
        """Whether it is still being recorded."""
        ...

    def refresh(self) -> bool:
        """Look what has been recorded since; returns whether there is a new second."""
        ...

    def between(self, t0_ns: int, t1_ns: int) -> Batch:
        """All that became known from `t0_ns` until before `t1_ns`, as one batch."""
        ...

    def frame(self, table: TableName, t0_ns: int, t1_ns: int) -> "pl.DataFrame":
        """The rows of one table as columns, in order of time."""
        ...

    def second_rows(self, t0_ns: int, t1_ns: int) -> list[SecondRow]:
        """The rows of `seconds` of a span."""
        ...

    def outcomes(self, before_ns: int) -> "pl.DataFrame":
        """How many requests ended before a moment, by `lane`, `outcome` and `cause`, in `n`; beside it `detail`,
        `tokens_from` and `stamp` of the newest of them, from `newest_ns`. In order of the first.
        """
        ...

    def last_gauges(self, before_ns: int) -> "pl.DataFrame":
        """The last reading of everything that was read before a moment, as rows of `gauges`."""
        ...

    def chunk_columns(self, t0_ns: int, t1_ns: int) -> "Mapping[Lane, ChunkColumns]":
        """The chunks of each lane."""
        ...


class BesideMarks(Protocol):
    """Marks that an operator makes in a replay. They stand beside the recording, never in it."""

    def read(self) -> Sequence[EventRow]:
        """All of them, in order of time."""
        ...

    def add(self, t_ns: int, text: str) -> None:
        """Keep one. UserError where it cannot be written."""
        ...
