"""The tables of one session, as everything that judges it takes them, and the columns of one lane.

Also where requests in flight were: in the engine's batch, in its queue, or unscheduled, which it counts as neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tui.judge.comparable import work_values
from tui.judge.obstacles import Circumstances
from tui.judge.plausible import Answers, doubts_of
from tui.model.metrics import NS_PER_S, REQUEST_LATENCIES
from tui.model.profile import Limits, limits_from_text
from tui.model.rows import LANES, EventRow, RequestRow, SecondRow
from tui.model.session import SessionInfo
from tui.stats.latency import within_limits
from tui.stats.verdict import Margin, margin_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Span = tuple[int, int]  # ns, from and until before

# A column and not a number: Polars would multiply by 1e-6 instead, whose last digit differs from that of the rows.
_NS_PER_MS = pl.col("t_sched_ns") * 0 + 1_000_000
# The latencies of `model.metrics` as expressions over the table `requests`, in ms; null where a request has none.
COUNTED: Final = ("ok", "failed")  # outcomes; what is cancelled or refused is neither good nor bad
LATENCY: Final[Mapping[str, pl.Expr]] = {
    "ttft": (pl.col("t_first_ns") - pl.col("t_send_ns")) / _NS_PER_MS,
    "ttft_sched": (pl.col("t_first_ns") - pl.col("t_sched_ns")) / _NS_PER_MS,
    "tpot": pl.when(pl.col("output_tokens") > pl.col("k_first")).then(
        (pl.col("t_last_ns") - pl.col("t_first_ns")) / _NS_PER_MS / (pl.col("output_tokens") - pl.col("k_first"))
    ),
    "e2e": (pl.col("t_last_ns") - pl.col("t_send_ns")) / _NS_PER_MS,
}


def for_lane(frame: pl.DataFrame, lane: str) -> pl.DataFrame:
    return frame.filter(pl.col("lane") == lane)


def within(spans: Sequence[Span], column: str) -> pl.Expr:
    """Whether a moment lies in one of the spans."""
    inside = pl.lit(value=False)
    for start, until in spans:
        inside |= (pl.col(column) >= start) & (pl.col(column) < until)
    return inside


@dataclass(frozen=True, slots=True)
class Seconds:
    """Whole seconds of one lane in order of time, as columns (n,)."""

    t_ns: Ints  # where each starts
    tokens: Ints
    bound: Bools
    up: Bools
    resting: Bools
    begun: Ints  # prompt tokens of the answers that began
    in_flight: Ints  # requests

    @classmethod
    def from_rows(cls, rows: Sequence[SecondRow]) -> Self:
        columns = [
            (row.t_ns, row.output_tokens, row.prompt_tokens, row.in_flight, row.bound, row.up, row.resting)
            for row in rows
        ]
        t_ns, tokens, begun, in_flight, *flags = np.array(columns, dtype=np.int64).reshape(-1, 7).T
        bound, up, resting = (flag.astype(bool) for flag in flags)
        return cls(t_ns, tokens, bound, up, resting, begun, in_flight)

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> Self:
        """From rows of the table `seconds`."""
        return cls(
            frame["t_ns"].to_numpy().astype(np.int64),
            frame["output_tokens"].to_numpy().astype(np.int64),
            frame["bound"].to_numpy(),
            frame["up"].to_numpy(),
            frame["resting"].fill_null(value=False).to_numpy(),
            frame["prompt_tokens"].fill_null(0).to_numpy().astype(np.int64),
            frame["in_flight"].fill_null(0).to_numpy().astype(np.int64),
        )

    def __getitem__(self, span: slice) -> Seconds:
        return Seconds(
            self.t_ns[span],
            self.tokens[span],
            self.bound[span],
            self.up[span],
            self.resting[span],
            self.begun[span],
            self.in_flight[span],
        )


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests of one lane that ended well or failed, as columns (n,)."""

    sent_ns: Ints  # or when it was due, of one that was never sent
    end_ns: Ints
    ok: Bools
    doubts: Ints  # bits, see `plausible.doubts_of`
    ms: Mapping[str, Floats]  # each of `LATENCY`; nan where a request has none
    work: Floats | None = None  # of `work_values`; a segment keeps their sums alone
    tokens: Floats | None = None  # (2, n): of the answer and of its prompt; a segment keeps their sums of each second

    @classmethod
    def from_rows(cls, rows: Sequence[RequestRow]) -> Self:
        rows = [row for row in rows if row.outcome in COUNTED]
        return cls(
            np.array([row.t_sched_ns if row.t_send_ns is None else row.t_send_ns for row in rows], dtype=np.int64),
            np.array([row.t_end_ns for row in rows], dtype=np.int64),
            np.array([row.outcome == "ok" for row in rows], dtype=bool),
            doubts_of(Answers.from_rows(rows)),
            {name: np.array([ms(row) for row in rows], dtype=float) for name, ms in REQUEST_LATENCIES.items()},
            work_values(rows),
            np.array([(row.output_tokens, _prompt_tokens(row)) for row in rows], dtype=float).reshape(-1, 2).T,
        )

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> Self:
        """From rows of the table `requests`."""
        frame = frame.filter(pl.col("outcome").is_in(COUNTED))
        ms = frame.select(**LATENCY).cast(pl.Float64).fill_null(float("nan"))
        return cls(
            frame.select(pl.coalesce("t_send_ns", "t_sched_ns")).to_series().to_numpy().astype(np.int64),
            frame["t_end_ns"].to_numpy().astype(np.int64),
            (frame["outcome"] == "ok").to_numpy(),
            doubts_of(Answers.from_frame(frame)),
            {name: ms[name].to_numpy() for name in LATENCY},
            work_values(frame),
            frame.select(
                pl.col("output_tokens").fill_null(0).cast(float),
                pl.coalesce("prompt_tokens", "prompt_tokens_asked").fill_null(0).cast(float),
            )
            .to_numpy()
            .T,
        )

    def __getitem__(self, chosen: Bools) -> Requests:
        ms = {name: column[chosen] for name, column in self.ms.items()}
        work = None if self.work is None else self.work[:, chosen]
        tokens = None if self.tokens is None else self.tokens[:, chosen]
        doubts = self.doubts[chosen]
        return Requests(self.sent_ns[chosen], self.end_ns[chosen], self.ok[chosen], doubts, ms, work, tokens)

    def good(self, limits: Limits) -> Bools:
        """Which of them ended well within every limit."""
        return self.ok & within_limits(self.ms, limits.by_metric)


def _prompt_tokens(row: RequestRow) -> int:
    return row.prompt_tokens_asked if row.prompt_tokens is None else row.prompt_tokens


@dataclass(frozen=True, slots=True)
class Tables:
    """One session with its tables `requests`, `seconds`, `events` and `gauges` (`model.rows`).

    `refused` says why the two servers may not be compared: then no figure has a verdict. Empty: they may.
    """

    session: SessionInfo
    requests: pl.DataFrame
    seconds: pl.DataFrame
    events: Sequence[EventRow] = ()
    gauges: pl.DataFrame = field(default_factory=pl.DataFrame)
    refused: str = ""
    known: dict[str, Any] = field(init=False, repr=False, compare=False, default_factory=dict)  # worked out once

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

    @property
    def limits(self) -> Limits:
        """Those of goodput that the session was run with, at its end."""
        last = next((event for event in reversed(self.events) if event.kind == "limits"), None)
        return Limits.recorded(self.session.profile) if last is None else limits_from_text(last.new)


SLACK: Final = 0.1  # of the requests in flight: two clocks disagree by as much
Readings = Sequence[tuple[int, float]]  # (when in ns, value), rising in time


@dataclass(frozen=True, slots=True)
class Queueing:
    """Means over the seconds in which the server reported both what runs and what waits."""

    seconds: int
    in_flight: float
    running: float
    queued: float

    @property
    def unscheduled(self) -> float | None:
        """Requests on the network, in the server's HTTP process or at its tokenizer; None: it also serves others."""
        rest = self.in_flight - self.running - self.queued
        return None if rest < -SLACK * self.in_flight else max(rest, 0.0)


def queueing(starts_ns: Ints, in_flight: Ints, running: Readings, queued: Readings) -> Queueing | None:
    """Over the seconds that begin at `starts_ns` (n,), with the requests in flight in each; None without readings."""
    known = [_means(starts_ns, readings) for readings in (running, queued)]
    both = ~np.isnan(known[0]) & ~np.isnan(known[1])
    if not both.any():
        return None
    means = [float(values[both].mean()) for values in (in_flight, *known)]
    return Queueing(int(both.sum()), *means)


def _means(starts_ns: Ints, readings: Readings) -> Floats:
    """The mean of the readings in each second; nan where there is none."""
    means = np.full(starts_ns.size, np.nan)
    if starts_ns.size and readings:
        t_ns = np.array([t_ns for t_ns, _ in readings], dtype=np.int64)
        values = np.array([value for _, value in readings], dtype=np.float64)
        place = np.searchsorted(starts_ns, t_ns, side="right") - 1
        inside = (place >= 0) & (t_ns - starts_ns[np.maximum(place, 0)] < NS_PER_S)
        counts, sums = (np.bincount(place[inside], weights, starts_ns.size) for weights in (None, values[inside]))
        np.divide(sums, counts, out=means, where=counts > 0)
    return means
