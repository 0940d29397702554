"""The latencies of `records.metrics` as Polars expressions over the table `requests`, in ms.

Null where a request has none.

The tables of one session, as everything that judges it takes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from tui.judge.obstacles import Circumstances
from tui.model.rows import LANES, EventRow
from tui.model.session import SessionInfo
from tui.stats.verdict import Margin, margin_of

Span = tuple[int, int]  # ns, from and until before

LATENCY: Final[Mapping[str, pl.Expr]] = {
    "ttft": (pl.col("t_first_ns") - pl.col("t_send_ns")) / 1e6,
    "ttft_sched": (pl.col("t_first_ns") - pl.col("t_sched_ns")) / 1e6,
    "tpot": pl.when(pl.col("output_tokens") > pl.col("k_first")).then(
        (pl.col("t_last_ns") - pl.col("t_first_ns")) / 1e6 / (pl.col("output_tokens") - pl.col("k_first"))
    ),
    "e2e": (pl.col("t_last_ns") - pl.col("t_send_ns")) / 1e6,
}


def for_lane(frame: pl.DataFrame, lane: str) -> pl.DataFrame:
    """The rows of one lane."""
    return frame.filter(pl.col("lane") == lane)


def within(spans: Sequence[Span], column: str) -> pl.Expr:
    """Whether a moment lies in one of the spans."""
    inside = pl.lit(value=False)
    for start, until in spans:
        inside |= (pl.col(column) >= start) & (pl.col(column) < until)
    return inside


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
    def circumstances(self) -> Circumstances:
        """What of the whole session decides whether its lanes may be compared."""
        infos, profile = self.session.lanes, self.session.profile
        lanes = [lane for lane in LANES if lane in infos]
        models = [info.model for info in infos.values()]
        waived = profile.get("waive") or ()
        return Circumstances(lanes=lanes, incomparable=self.refused, models=models, waived=waived)

    @property
    def margin(self) -> Margin:
        """Under which δ its lanes are level."""
        return margin_of(self.session.profile)
