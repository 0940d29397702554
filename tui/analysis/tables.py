"""The tables of one session, as everything that judges it takes them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from tui.analysis.verdict.margin import Margin, margin_of
from tui.records.rows import EventRow
from tui.records.session import SessionInfo


@dataclass(frozen=True, slots=True)
class Tables:
    """One session with its tables `requests`, `seconds`, `events` and `gauges` (`records.tables`).

    `refused` says why the two servers may not be compared: then no figure has a verdict. Empty: they may.
    """

    session: SessionInfo
    requests: pl.DataFrame
    seconds: pl.DataFrame
    events: Sequence[EventRow] = ()
    gauges: pl.DataFrame = field(default_factory=pl.DataFrame)
    refused: str = ""

    @property
    def margin(self) -> Margin:
        """Under which δ its lanes are level."""
        return margin_of(self.session.profile)
