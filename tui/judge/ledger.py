"""The ledger: each dial setting visited is a row, with both lanes and the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeVar

import numpy as np
import polars as pl

from tui.judge.latency import Latencies, LatencyFigure, latencies_of, latency_figure
from tui.judge.obstacles import Circumstances, obstacle
from tui.judge.segments import Segment, Setting, segments, settings_at
from tui.judge.tables import Span, Tables, for_lane, within
from tui.model.rows import LANES, Lane
from tui.model.units import NS_PER_S
from tui.stats.batches import BATCH_S, Mean, rate_of
from tui.stats.turns import Pair, pairs_of_visits
from tui.stats.verdict import Verdict, not_comparable, throughput_verdict, turns_verdict

CURVE_PERCENTILES: Final = ("p50", "p95")


class Held(Protocol):
    """A setting that was in force for a while."""

    @property
    def settled_s(self) -> int:
        """How many seconds of it count."""

    @property
    def tokens(self) -> float:
        """That came from all lanes in them."""


_Held = TypeVar("_Held", bound=Held)


@dataclass(frozen=True, slots=True)
class LaneFigures:
    """One lane at one setting, each value with its 95 % interval: what a curve is drawn from."""

    tps: Mean  # output tokens of a settled second
    ttft: Mapping[str, LatencyFigure]  # by percentile, in ms; of requests sent in settled time


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One setting, all visits to it pooled."""

    dials: Mapping[Lane, Setting]
    visits: int
    settled_s: int
    tps: Mapping[Lane, float]  # mean output tokens a second over the settled seconds
    requests: Mapping[Lane, int]  # that ended well, of those sent and ended in settled time
    failed: Mapping[Lane, int]
    bound: bool  # the client was the limit in most settled seconds
    verdict: Verdict
    figures: Mapping[Lane, LaneFigures] = field(default_factory=dict)

    @property
    def tokens(self) -> float:
        """That came from both lanes in the seconds that count."""
        return sum(self.tps.values()) * self.settled_s

    @property
    def linked(self) -> bool:
        """Whether both lanes were asked for the same."""
        return len({tuple(setting.items()) for setting in self.dials.values()}) == 1


@dataclass(frozen=True, slots=True)
class Visited:
    """One setting and the segments in which it was in force."""

    dials: Mapping[Lane, Setting]
    segments: Sequence[Segment]

    @property
    def settled_s(self) -> int:
        """How many seconds count."""
        return sum(segment.settled_s for segment in self.segments)

    @property
    def pairs(self) -> list[Pair] | None:
        """Of lanes that took turns their blocks side by side, by the seconds of `tps`; None of lanes that did not."""
        if len(self.dials) < len(LANES) or not any(segment.in_turns for segment in self.segments):
            return None
        return pairs_of_visits([segment.at_s for segment in self.segments])

    def tps(self, lane: Lane) -> list[float]:
        """The output tokens of every second that counts."""
        return [value for segment in self.segments for value in segment.tps.get(lane, ())]

    @property
    def tokens(self) -> float:
        """That came from both lanes in the seconds that count."""
        return sum(sum(self.tps(lane)) for lane in self.dials)

    def spans(self, lane: Lane) -> list[Span]:
        """When the lane was measured."""
        return [span for segment in self.segments for span in segment.spans(lane)]


def visited(tables: Tables) -> list[Visited]:
    """The settings of one session in order of their first visit; each segment its own where no event tells them."""
    session = tables.session
    found = segments(
        tables.seconds, tables.requests, sorted(event.t_ns for event in tables.events if event.kind == "settled")
    )
    # A turn is in force for the whole of the second in which it was made (`Segment` counts whole seconds).
    moments = [segment.start_ns + NS_PER_S - 1 for segment in found]
    in_force = settings_at(session.profile, session.lanes, tables.events, moments)
    visits: dict[str, tuple[Mapping[Lane, Setting], list[Segment]]] = {}
    told = any(event.kind == "dial" for event in tables.events)
    for segment, setting in zip(found, in_force, strict=True):
        key = repr(setting) if told else str(segment.number)
        visits.setdefault(key, (setting, []))[1].append(segment)
    return [Visited(dials, pooled) for dials, pooled in visits.values()]


def main_setting(settings: Sequence[_Held]) -> _Held | None:
    """The setting that most is known of: longest in force, in whole batches, and of several the busiest."""
    return max(settings, key=lambda one: (one.settled_s // BATCH_S, one.tokens), default=None)


def ledger(tables: Tables, *, frozen: bool = True) -> list[LedgerRow]:
    """A row for each setting of one session in order of its first visit, judged with the session's own δ."""
    delta = tables.margin.delta
    rows = []
    for visit in visited(tables):
        at = visit_circumstances(tables, visit)
        verdict = _verdict(visit, at, delta=delta, frozen=frozen)
        rows.append(_row(visit, at, verdict, {lane: _figures(tables, visit, lane) for lane in visit.dials}))
    return rows


def visit_circumstances(tables: Tables, visit: Visited) -> Circumstances:
    """What decides whether the lanes may be compared at a setting."""
    outcomes = {lane: _total(tables.requests, lane, visit) for lane in visit.dials}
    return replace(
        tables.circumstances,
        dials=visit.dials,
        settled_s=visit.settled_s,
        bound_s=sum(segment.bound_s for segment in visit.segments),
        down_s=sum(segment.down_s for segment in visit.segments),
        ok={lane: ok for lane, (ok, _) in outcomes.items()},
        failed={lane: failed for lane, (_, failed) in outcomes.items()},
    )


def lane_figures(tps: Sequence[float], ttft: Latencies) -> LaneFigures:
    """From the tokens of each settled second and the TTFT of each request sent in them."""
    return LaneFigures(
        rate_of(np.asarray(tps, dtype=np.float64)), {name: latency_figure(ttft, name) for name in CURVE_PERCENTILES}
    )


def _figures(tables: Tables, visit: Visited, lane: Lane) -> LaneFigures:
    requests = for_lane(tables.requests, lane).filter(within(visit.spans(lane), "t_send_ns"))
    return lane_figures(visit.tps(lane), latencies_of(requests, "ttft"))


def _row(
    visit: Visited,
    at: Circumstances,
    verdict: Verdict,
    figures: Mapping[Lane, LaneFigures],
) -> LedgerRow:
    counted = {lane: visit.tps(lane) for lane in visit.dials}
    tps = {lane: sum(values) / max(len(values), 1) for lane, values in counted.items()}
    return LedgerRow(
        dials=visit.dials,
        visits=len(visit.segments),
        settled_s=visit.settled_s,
        tps=tps,
        requests=at.ok,
        failed=at.failed,
        bound=at.bound_s > at.settled_s,
        verdict=verdict,
        figures=figures,
    )


def _verdict(visit: Visited, at: Circumstances, *, delta: float, frozen: bool) -> Verdict:
    """Output TPS of the pooled visits, or why no verdict may be given."""
    if why := obstacle(at):
        return not_comparable("output_tps", why)
    pairs = visit.pairs
    if pairs is not None:
        return turns_verdict(visit.tps("a"), visit.tps("b"), pairs, delta=delta, frozen=frozen)
    a, b = (_whole_batches(visit.segments, lane) for lane in LANES)
    return throughput_verdict(a, b, delta=delta, frozen=frozen)


def _whole_batches(pooled: Sequence[Segment], lane: Lane) -> list[float]:
    """The settled seconds of every visit; of several, each is cut so that no batch holds two."""
    if len(pooled) == 1:
        return list(pooled[0].tps[lane])
    return [value for s in pooled for value in s.tps[lane][: s.settled_s // BATCH_S * BATCH_S]]


def _total(requests: pl.DataFrame, lane: Lane, visit: Visited) -> tuple[int, int]:
    """Requests sent and ended in settled time that ended well, and that failed."""
    spans = visit.spans(lane)
    own = for_lane(requests, lane).with_columns(begun_ns=pl.coalesce("t_send_ns", "t_sched_ns"))
    own = own.filter(within(spans, "begun_ns") & within(spans, "t_end_ns"))
    ok, failed = ((own["outcome"] == outcome).sum() for outcome in ("ok", "failed"))
    return int(ok), int(failed)
