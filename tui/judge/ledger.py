"""The ledger: each dial setting visited is a row, with both lanes and the verdict.

A running session and a recorded one build it in the same way: from settings, each a list of segments.
"""

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import numpy as np

from tui.judge.comparable import Work
from tui.judge.obstacles import Circumstances, obstacle, work_note
from tui.judge.plausible import doubts_of_most, unknown_figures
from tui.judge.segments import BALANCES, Segment, Settings, segments, settings_at
from tui.judge.tables import Span, Tables
from tui.model.metrics import NS_PER_S
from tui.model.profile import NO_LIMITS, Limits
from tui.model.rows import LANES, Lane
from tui.stats.batches import BATCH_S, Balance, Floats, Mean, rate_of
from tui.stats.latency import (
    Latencies,
    LatencyFigure,
    goodput_verdict,
    latency_figure,
    latency_turns_verdict,
    latency_verdict,
)
from tui.stats.turns import Pair, pairs_of_visits
from tui.stats.verdict import Verdict, not_comparable, throughput_verdict, turns_verdict

CURVE_PERCENTILES: Final = ("p50", "p95")


@dataclass(frozen=True, slots=True)
class LaneFigures:
    """One lane at one setting, each value with its 95 % interval: what a curve is drawn from."""

    tps: Mean  # output tokens of a settled second
    ttft: Mapping[str, LatencyFigure]  # by percentile, in ms; of requests sent in settled time


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One setting, all visits to it pooled."""

    dials: Settings
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
        """Output tokens of both lanes in the seconds that count."""
        return sum(self.tps.values()) * self.settled_s

    @property
    def ratio(self) -> float | None:
        """A over B of what is measured, None where a lane has none."""
        values = list(self.tps.values())
        return values[0] / values[1] if len(values) == 2 and all(values) and self.settled_s else None

    @property
    def linked(self) -> bool:
        """Whether both lanes were asked for the same."""
        return len({tuple(setting.items()) for setting in self.dials.values()}) == 1


@dataclass(frozen=True, slots=True)
class VisitedSetting:
    """One setting and the segments in which it was in force: its visits."""

    dials: Settings
    segments: Sequence[Segment]

    @property
    def settled_s(self) -> int:
        """How many seconds count."""
        return sum(segment.settled_s for segment in self.segments)

    @property
    def tokens(self) -> float:
        """Output tokens of both lanes in the seconds that count."""
        return sum(sum(self.tps(lane)) for lane in self.dials)

    @property
    def pairs(self) -> list[Pair] | None:
        """Adjoining blocks of lanes that took turns, by the seconds of `tps`; None for lanes measured together."""
        if len(self.dials) < len(LANES) or not any(segment.in_turns for segment in self.segments):
            return None
        return pairs_of_visits([{lane: one.lane(lane).at_s for lane in LANES} for one in self.segments])

    def tps(self, lane: Lane) -> list[float]:
        """The output tokens of every second that counts."""
        return [value for segment in self.segments for value in segment.lane(lane).tps]

    def spans(self, lane: Lane) -> list[Span]:
        """When the lane was measured."""
        return [span for segment in self.segments for span in segment.spans(lane)]

    def latencies(self, lane: Lane, metric: str) -> Latencies:
        """Of the requests sent in settled time, with the time between visits taken out.

        Lanes that take turns keep their times: their turns are identified by them.
        """
        parts, joined_ns = [], 0
        for segment in self.segments:
            part = segment.latencies(lane, metric)
            moved_s = 0.0
            if not segment.in_turns:
                for start_ns, end_ns in segment.spans(lane):
                    moved_s = (start_ns - joined_ns) / 1e9
                    joined_ns += end_ns - start_ns
            parts.append(replace(part, t_s=part.t_s - moved_s))
        return Latencies(
            np.concatenate([part.t_s for part in parts]),
            np.concatenate([part.ms for part in parts]),
            sum(part.failed for part in parts),
        )

    def unknown(self, lane: Lane) -> Mapping[str, str]:
        """The figures that most answers do not support, each with the reason."""
        doubts = np.concatenate([segment.doubts(lane) for segment in self.segments])
        return unknown_figures(doubts_of_most(doubts))

    def circumstances(self, session: Circumstances) -> Circumstances:
        """What decides whether the lanes may be compared at this setting."""
        outcomes = {lane: [segment.outcomes(lane) for segment in self.segments] for lane in self.dials}
        return replace(
            session,
            dials=self.dials,
            settled_s=self.settled_s,
            bound_s=sum(segment.bound_s for segment in self.segments),
            down_s=sum(segment.down_s for segment in self.segments),
            ok={lane: sum(ok for ok, _ in visits) for lane, visits in outcomes.items()},
            failed={lane: sum(failed for _, failed in visits) for lane, visits in outcomes.items()},
            work={lane: sum((one.lane(lane).work for one in self.segments), Work()) for lane in self.dials},
            unknown={lane: self.unknown(lane) for lane in self.dials},
        )

    def verdict(self, figure: str, *, delta: float, frozen: bool, limits: Limits = NO_LIMITS) -> Verdict:
        """A against B by `output_tps`, `goodput` or a latency percentile (`ttft_p95`), without regard to obstacles.

        `frozen`: this is the only look.
        """
        verdict = self._verdict(figure, delta, limits, frozen=frozen)
        return replace(verdict, measured_s=self.settled_s, watched=not frozen)

    def _verdict(self, figure: str, delta: float, limits: Limits, *, frozen: bool) -> Verdict:
        pairs = self.pairs
        if figure == "output_tps":
            a, b = (self._by_second([one.lane(lane).tps for one in self.segments]) for lane in LANES)
            if pairs is not None:
                return turns_verdict(a, b, pairs, delta=delta, frozen=frozen)
            return throughput_verdict(a, b, delta=delta, frozen=frozen, balances=self._balances())
        if figure == "goodput":
            a, b = (self._by_second([one.good(lane, limits) for one in self.segments]) for lane in LANES)
            return goodput_verdict(a, b, delta=delta, frozen=frozen, pairs=pairs)
        one, other = (self.latencies(lane, figure.rpartition("_")[0]) for lane in LANES)
        if pairs is not None:
            return latency_turns_verdict(figure, (one, other), pairs, delta=delta, frozen=frozen)
        return latency_verdict(figure, one, other, delta=delta, frozen=frozen)

    def row(self, session: Circumstances, *, delta: float, frozen: bool) -> LedgerRow:
        at = self.circumstances(session)
        why = obstacle(at, "output_tps")
        counted = {lane: self.tps(lane) for lane in self.dials}
        return LedgerRow(
            dials=self.dials,
            visits=len(self.segments),
            settled_s=self.settled_s,
            tps={lane: sum(values) / max(len(values), 1) for lane, values in counted.items()},
            requests=at.ok,
            failed=at.failed,
            bound=at.bound_s > at.settled_s,
            verdict=not_comparable("output_tps", why)
            if why
            else replace(self.verdict("output_tps", delta=delta, frozen=frozen), note=work_note(at)),
            figures={lane: lane_figures(tps, self.latencies(lane, "ttft")) for lane, tps in counted.items()},
        )

    def _balances(self) -> list[Balance]:
        """Of the seconds that count (see `segments.BALANCES`)."""

        def count(lane: Lane, name: str) -> Floats:
            return np.array(self._by_second([getattr(one.lane(lane), name) for one in self.segments]))

        return [
            Balance((count("a", one), count("a", other)), (count("b", one), count("b", other)))
            for one, other in BALANCES
        ]

    def _by_second(self, visits: Sequence[Sequence[float]]) -> Sequence[float]:
        """A value of every second that counts; of several visits each is cut so that no batch holds two."""
        if len(visits) == 1:
            return visits[0]
        joined, all_count = array("d"), self.pairs is not None
        for segment, visit in zip(self.segments, visits, strict=True):
            joined.extend(visit if all_count else visit[: segment.settled_s // BATCH_S * BATCH_S])
        return joined


def visited(tables: Tables) -> list[VisitedSetting]:
    """The settings of a session in order of their first visit; without dial events each segment is a setting."""
    visits: dict[str, tuple[Settings, list[Segment]]] = {}
    dials_are_known = any(event.kind == "dial" for event in tables.events)
    for segment, setting in _segments_and_settings(tables):
        key = repr(setting) if dials_are_known else str(segment.number)
        visits.setdefault(key, (setting, []))[1].append(segment)
    return [VisitedSetting(dials, pooled) for dials, pooled in visits.values()]


def _segments_and_settings(tables: Tables) -> list[tuple[Segment, Settings]]:
    """A report asks for them in five places, and of a long session they take seconds."""
    if "segments" not in tables.known:
        tables.known["segments"] = _cut(tables)
    return tables.known["segments"]  # type: ignore[no-any-return]


def _cut(tables: Tables) -> list[tuple[Segment, Settings]]:
    session = tables.session
    settled_ns = sorted(event.t_ns for event in tables.events if event.kind == "settled")
    parts = segments(tables.seconds, tables.requests, settled_ns)
    in_force = settings_at(session.profile, session.lanes, tables.events, list(map(_turned_by, parts)))
    return list(zip(parts, in_force, strict=True))


def _turned_by(segment: Segment) -> int:
    """A turn is in force for the whole of the second in which it was made: `Segment` counts whole seconds."""
    return segment.start_ns + NS_PER_S - 1


def steps_held(tables: Tables) -> dict[int, VisitedSetting]:
    """The steps of the plan or sweep that ran, each by the number of the event that began it."""
    starts = [event.t_ns for event in tables.events if event.kind == "plan" and event.name == "step"]
    parts = _segments_and_settings(tables) if starts else []
    steps: dict[int, VisitedSetting] = {}
    for segment, setting in parts:
        number = bisect_right(starts, _turned_by(segment)) - 1
        if number >= 0:
            held = steps[number].segments if number in steps else []
            steps[number] = VisitedSetting(setting, [*held, segment])
    return steps


_Setting = TypeVar("_Setting", LedgerRow, VisitedSetting)


def main_setting(settings: Sequence[_Setting]) -> _Setting | None:
    """The setting with the most data: longest in force, in whole batches; among equals the busiest."""
    return max(settings, key=lambda one: (one.settled_s // BATCH_S, one.tokens), default=None)


def ledger(tables: Tables, *, frozen: bool | None = None) -> list[LedgerRow]:
    """A row for each setting of one session in order of its first visit, judged with the session's own δ.

    Who watched could stop when he liked what he saw, so intervals are those that hold at every look. The length of
    another session was set before, and its end is the one look. `frozen` says which, whatever the session says.
    """
    session, delta = tables.circumstances, tables.margin.delta
    frozen = not tables.session.watched if frozen is None else frozen
    return [visit.row(session, delta=delta, frozen=frozen) for visit in visited(tables)]


def lane_figures(tps: Sequence[float], ttft: Latencies) -> LaneFigures:
    """From the tokens of each settled second and the TTFT of each request sent in them."""
    return LaneFigures(
        rate_of(np.asarray(tps, dtype=np.float64)), {name: latency_figure(ttft, name) for name in CURVE_PERCENTILES}
    )
