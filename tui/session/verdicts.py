"""The ledger while it runs: every setting visited, its settled seconds pooled. Needs Polars, through its row.

What a verdict may use of the dials now in force: the settled seconds of their segment, and its latencies.

The verdicts while it runs: folded a second at a time from the rows alone, so that a replay says the same words.

Needs numpy and Polars: imported after the first paint.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Self

import msgspec
import numpy as np

from tui.judge.goodput import DEFAULT_SHARE, goodput_verdict
from tui.judge.latency import Latencies, latency_turns_verdict, latency_verdict
from tui.judge.ledger import LaneFigures, LedgerRow, lane_figures
from tui.judge.obstacles import Circumstances, obstacle
from tui.judge.segments import first_settings
from tui.model.metrics import e2e_ms, tpot_ms, ttft_ms
from tui.model.profile import Profile, Slo
from tui.model.rows import LANES, EventRow, Lane, RequestRow, SecondRow
from tui.model.units import NS_PER_S
from tui.session.view import VerdictView
from tui.stats.batches import BATCH_S
from tui.stats.distributions import Met, share_met
from tui.stats.turns import Pair, pairs_of
from tui.stats.verdict import (
    DELTA,
    Calm,
    Now,
    Verdict,
    Watch,
    Word,
    not_comparable,
    throughput_verdict,
    turns_verdict,
)

LEAST_SETTLING_S: Final = 5.0
MOST_SETTLING_S: Final = 60.0
MOST_REQUESTS: Final = 40_000  # a lane; 1.3 MB, and a percentile of them takes 2 ms. Beyond it the oldest half goes
MOST_SECONDS: Final = 14_400  # four hours; beyond it the oldest hour goes, whole batches of 20 s
FORGOTTEN_S: Final = 3_600
TIMED = {"ttft": ttft_ms, "tpot": tpot_ms, "e2e": e2e_ms}


def _floats() -> array[float]:
    return array("d")


@dataclass(slots=True)
class LaneSegment:
    """One lane's share of it. Latencies are columns of one length, nan where a request has no such value."""

    tps: array[float] = field(default_factory=_floats)  # output tokens of each second that counts
    good: array[float] = field(default_factory=_floats)  # requests of that second within every limit
    at_s: array[float] = field(default_factory=_floats)  # when that second began
    sent_s: array[float] = field(default_factory=_floats)
    ms: Mapping[str, array[float]] = field(default_factory=lambda: {name: _floats() for name in TIMED})
    ok: int = 0
    failed: int = 0
    met: int = 0  # of those that ended well, within every limit

    def time(self, request: RequestRow) -> None:
        """Keep the latencies of a request that ended well."""
        if len(self.sent_s) >= MOST_REQUESTS:
            for column in (self.sent_s, *self.ms.values()):
                del column[: MOST_REQUESTS // 2]
        self.sent_s.append((request.t_send_ns or 0) / NS_PER_S)
        for name, of in TIMED.items():
            value = of(request)
            self.ms[name].append(float("nan") if value is None else value)

    def count(self, at_s: float, tokens: float, good: float) -> None:
        """Keep a second that counts."""
        if len(self.tps) >= MOST_SECONDS:
            for column in (self.tps, self.good, self.at_s):
                del column[:FORGOTTEN_S]
        self.tps.append(tokens)
        self.good.append(good)
        self.at_s.append(at_s)


@dataclass(slots=True)
class SegmentSoFar:
    """The segment that began at `start_ns`. It is settled from `settled_ns` on, which stands once it is reached."""

    start_ns: int = 0
    settled_ns: int | None = None
    lanes: dict[Lane, LaneSegment] = field(default_factory=lambda: {lane: LaneSegment() for lane in LANES})
    finished: set[Lane] = field(default_factory=set)  # lanes in which a request of this segment ended well
    bound_s: int = 0  # settled seconds left out because the client was the limit
    down_s: int = 0
    in_turns: bool = False  # the lanes were never measured in the same second

    def pairs(self) -> list[Pair] | None:
        """Of lanes that take turns their blocks side by side; None of lanes that do not."""
        return pairs_of({name: lane.at_s for name, lane in self.lanes.items()}) if self.in_turns else None

    def take(self, rows: Mapping[Lane, SecondRow], requests: Sequence[RequestRow], slow_ms: float, slo: Slo) -> None:
        """Fold a second in: a row of each lane, what ended in it, and the p95 of E2E of late in the slower lane."""
        self.finished |= {r.lane for r in requests if r.outcome == "ok" and (r.t_send_ns or 0) >= self.start_ns}
        end_ns = next(iter(rows.values())).t_ns + NS_PER_S
        if self.settled_ns is None:
            self._settle(end_ns, rows, slow_ms)
            return
        settled_ns = self.settled_ns
        good: dict[Lane, float] = dict.fromkeys(LANES, 0.0)
        for request in requests:
            if (request.t_send_ns or request.t_sched_ns) < settled_ns or rows[request.lane].resting:
                continue
            lane = self.lanes[request.lane]
            if request.outcome == "ok":
                lane.ok += 1
                lane.time(request)
                met = within(request, slo)
                lane.met += met
                good[request.lane] += met
            elif request.outcome == "failed":
                lane.failed += 1
        self._count(rows, good)

    def settling_s(self, now_ns: int, slow_ms: float) -> float:
        """About how long until it is settled; 0 when it is."""
        if self.settled_ns is not None:
            return 0.0
        return max(0.0, settling_s(slow_ms) - (now_ns - self.start_ns) / NS_PER_S)

    def _settle(self, end_ns: int, rows: Mapping[Lane, SecondRow], slow_ms: float) -> None:
        """It is settled when the time is up and every lane that runs has shown how long its requests now take.

        Of lanes that take turns it is at once: what a turn begins with rests, and does not count anyway.
        """
        if any(row.resting for row in rows.values()):
            self.settled_ns = self.start_ns
            return
        age_s = (end_ns - self.start_ns) / NS_PER_S
        waiting = {lane for lane, row in rows.items() if row.up and row.in_flight} - self.finished
        if age_s >= settling_s(slow_ms) and (not waiting or age_s >= MOST_SETTLING_S):
            self.settled_ns = end_ns

    def _count(self, rows: Mapping[Lane, SecondRow], good: Mapping[Lane, float]) -> None:
        in_turns = any(row.resting for row in rows.values())
        self.in_turns |= in_turns
        active = {lane: row for lane, row in rows.items() if not row.resting}
        bound, down = any(row.bound for row in active.values()), not all(row.up for row in active.values())
        self.bound_s += bound
        self.down_s += down
        if active and not bound and not down and (in_turns or len(active) == len(rows)):
            for lane, row in active.items():
                self.lanes[lane].count(row.t_ns / NS_PER_S, float(row.output_tokens), good[lane])


def settling_s(slow_ms: float) -> float:
    """How long after a turn of a dial the figures still mix two settings: twice the p95 of E2E, within limits."""
    return min(max(LEAST_SETTLING_S, 2 * slow_ms / 1000), MOST_SETTLING_S)


def within(request: RequestRow, slo: Slo) -> bool:
    """Whether the request met every limit; a request of one chunk has no TPOT and meets its limit."""
    limits = {"ttft": slo.ttft_ms, "tpot": slo.tpot_ms, "e2e": slo.e2e_ms}
    return all(
        (value := TIMED[name](request)) is None or value <= limit
        for name, limit in limits.items()
        if limit is not None
    )


Settings = dict[Lane, dict[str, str]]


@dataclass(slots=True)
class VisitSoFar:
    """One setting and what was counted under it, all visits together."""

    dials: Settings
    visits: int = 0
    tps: dict[Lane, array[float]] = field(default_factory=lambda: {lane: array("d") for lane in LANES})
    sent_s: dict[Lane, array[float]] = field(default_factory=lambda: {lane: array("d") for lane in LANES})
    ttft_ms: dict[Lane, array[float]] = field(default_factory=lambda: {lane: array("d") for lane in LANES})
    ok: dict[Lane, int] = field(default_factory=lambda: dict.fromkeys(LANES, 0))
    failed: dict[Lane, int] = field(default_factory=lambda: dict.fromkeys(LANES, 0))
    bound_s: int = 0
    down_s: int = 0
    pairs: list[Pair] | None = None  # of lanes that take turns, by the places in `tps`

    def add(self, segment: SegmentSoFar) -> None:
        """Pool a visit. The one before is cut at its last whole batch, so that no batch holds two."""
        self.visits += 1
        self.bound_s += segment.bound_s
        self.down_s += segment.down_s
        self._add_seconds(segment)
        for name, lane in segment.lanes.items():
            for column, more in ((self.sent_s[name], lane.sent_s), (self.ttft_ms[name], lane.ms["ttft"])):
                column.extend(more)
                del column[:-MOST_REQUESTS]
            self.ok[name] += lane.ok
            self.failed[name] += lane.failed

    def _add_seconds(self, segment: SegmentSoFar) -> None:
        pairs = segment.pairs()
        if pairs is not None:
            before = {lane: len(tps) for lane, tps in self.tps.items()}
            self.pairs = [*(self.pairs or ()), *(pair.moved(before) for pair in pairs)]
        added = min(len(lane.tps) for lane in segment.lanes.values())
        for name, lane in segment.lanes.items():
            tps = self.tps[name]
            if pairs is None:
                del tps[len(tps) // BATCH_S * BATCH_S :]
            tps.extend(lane.tps[:added] if pairs is None else lane.tps)

    def with_segment(self, segment: SegmentSoFar) -> VisitSoFar:
        """What it would be with one more visit, which still runs."""
        tps, sent_s, ttft_ms = (
            {lane: array("d", values) for lane, values in column.items()}
            for column in (self.tps, self.sent_s, self.ttft_ms)
        )
        counted = (dict(self.ok), dict(self.failed), self.bound_s, self.down_s, self.pairs)
        more = VisitSoFar(self.dials, self.visits, tps, sent_s, ttft_ms, *counted)
        more.add(segment)
        return more

    def row(self, delta: float, session: Circumstances) -> LedgerRow:
        """As the ledger of a recording has it, with the interval that holds at every look."""
        lanes = list(self.dials)
        settled_s = min(len(self.tps[lane]) for lane in lanes)
        why = obstacle(
            replace(
                session,
                dials=self.dials,
                settled_s=settled_s,
                bound_s=self.bound_s,
                down_s=self.down_s,
                ok=self.ok,
                failed=self.failed,
            )
        )
        return LedgerRow(
            dials=self.dials,
            visits=self.visits,
            settled_s=settled_s,
            tps={lane: sum(self.tps[lane]) / max(len(self.tps[lane]), 1) for lane in lanes},
            requests={lane: self.ok[lane] for lane in lanes},
            failed={lane: self.failed[lane] for lane in lanes},
            bound=self.bound_s > settled_s,
            verdict=not_comparable("output_tps", why) if why else self._verdict(delta),
            figures={lane: self._figures(lane) for lane in lanes},
        )

    def _figures(self, lane: Lane) -> LaneFigures:
        sent_s, ms = np.array(self.sent_s[lane]), np.array(self.ttft_ms[lane])
        order = np.argsort(sent_s, kind="stable")
        order = order[~np.isnan(ms[order])]
        return lane_figures(self.tps[lane], Latencies(sent_s[order], ms[order], self.failed[lane]))

    def _verdict(self, delta: float) -> Verdict:
        if self.pairs is not None:
            return turns_verdict(self.tps["a"], self.tps["b"], self.pairs, delta=delta)
        return throughput_verdict(self.tps["a"], self.tps["b"], delta=delta)


@dataclass(slots=True)
class LiveLedger:
    """All settings visited, in the order of their first visit, and the one now in force."""

    now: Settings = field(default_factory=dict)
    visits: dict[str, VisitSoFar] = field(default_factory=dict)
    _rows: dict[str, LedgerRow] = field(default_factory=dict)  # of visits that are over: they change no more
    _rows_in: Circumstances | None = None  # what was known of the session when these rows were made

    @classmethod
    def of(cls, profile: Profile) -> LiveLedger:
        """Before the first dial was turned."""
        return cls(first_settings(msgspec.to_builtins(profile), list(profile.lanes)))

    def turn(self, event: EventRow, segment: SegmentSoFar) -> None:
        """A dial was turned: what was counted until then belongs to the setting before."""
        if any(lane.tps for lane in segment.lanes.values()):
            key = repr(self.now)
            self.visits.setdefault(key, VisitSoFar(self._copy())).add(segment)
            self._rows.pop(key, None)
        for lane, setting in self.now.items():
            if event.lane in ("", lane):
                setting[event.name] = event.new

    def rows(self, segment: SegmentSoFar, delta: float, session: Circumstances) -> tuple[list[LedgerRow], int]:
        """Every setting as a row, and which of them is in force."""
        if session != self._rows_in:
            self._rows, self._rows_in = {}, session
        now = repr(self.now)
        found = []
        for key, visit in self.visits.items():
            if key == now:
                found.append(visit.with_segment(segment).row(delta, session))
            else:
                if key not in self._rows:
                    self._rows[key] = visit.row(delta, session)
                found.append(self._rows[key])
        if now in self.visits:
            return found, list(self.visits).index(now)
        if self.now:
            found.append(VisitSoFar(self._copy()).with_segment(segment).row(delta, session))
        return found, len(found) - 1

    def _copy(self) -> Settings:
        return {lane: dict(setting) for lane, setting in self.now.items()}


# One of these a second, in turn: each costs a sort of the segment's requests, and no tail moves in five seconds.
TIMED_FIGURES: Final = ("ttft_p50", "ttft_p95", "ttft_p99", "tpot_p95", "e2e_p95")


@dataclass(slots=True)
class Standing:
    """Where the lanes stand on the segment of the dials now in force. `slo` and `delta` are the profile's."""

    slo: Slo = field(default_factory=Slo)
    delta: float = DELTA
    segment: SegmentSoFar = field(default_factory=SegmentSoFar)
    told: dict[str, VerdictView] = field(default_factory=dict)
    ledger: LiveLedger = field(default_factory=LiveLedger)
    _pairs: list[Pair] | None = None
    _watch: Watch = field(default_factory=Watch)
    _calm: dict[str, Calm] = field(default_factory=dict)
    _looks: int = 0  # at timed figures

    @classmethod
    def under(cls, profile: Profile) -> Self:
        """With the limits and the δ of a profile: those of the recording, in a replay."""
        return cls(slo=profile.slo, delta=profile.delta or DELTA, ledger=LiveLedger.of(profile))

    def turn(self, event: EventRow) -> None:
        """A dial was turned: nothing of before counts for the verdict; the ledger keeps it."""
        self.ledger.turn(event, self.segment)
        self.restart(event.t_ns)

    def restart(self, start_ns: int) -> None:
        """A segment begins."""
        self.segment = SegmentSoFar(start_ns)
        self.told, self._calm, self._looks = {}, {}, 0

    def take(self, rows: Sequence[SecondRow], requests: Sequence[RequestRow], slow_ms: float) -> None:
        """Fold in one second of all lanes, and look at the figures once."""
        self.segment.take({row.lane: row for row in rows}, requests, slow_ms, self.slo)
        if len(rows) < len(LANES):
            return
        self._pairs = self.segment.pairs()
        self._look_at_tokens()
        if self.segment.settled_ns is None:
            return
        self._look_at_goodput()
        figure = TIMED_FIGURES[self._looks % len(TIMED_FIGURES)]
        self._looks += 1
        a, b = (latencies_of(self.segment.lanes[lane], figure) for lane in LANES)
        if self._pairs is None:
            self._tell(figure, latency_verdict(figure, a, b, delta=self.delta))
        else:
            self._tell(figure, latency_turns_verdict(figure, (a, b), self._pairs, delta=self.delta))

    def circumstances(self, session: Circumstances) -> Circumstances:
        """What decides whether the lanes may be compared on the segment that runs."""
        lanes = self.segment.lanes
        return replace(
            session,
            settled_s=min(len(lane.tps) for lane in lanes.values()),
            bound_s=self.segment.bound_s,
            down_s=self.segment.down_s,
            ok={name: lane.ok for name, lane in lanes.items()},
            failed={name: lane.failed for name, lane in lanes.items()},
        )

    def limits_met(self, lane: Lane) -> Met | None:
        """Whether 99 % of the lane's requests meet every limit, by MLPerf's rule; None where there is no limit."""
        if not self._has_limits:
            return None
        own = self.segment.lanes[lane]
        total = own.ok + own.failed
        return share_met(total - own.met, total, DEFAULT_SHARE)

    @property
    def _has_limits(self) -> bool:
        return any(limit is not None for limit in (self.slo.ttft_ms, self.slo.tpot_ms, self.slo.e2e_ms))

    def _look_at_tokens(self) -> None:
        segment = self.segment
        self._watch.delta = self.delta
        tps: dict[Lane, Sequence[float]] = {lane: segment.lanes[lane].tps for lane in LANES}
        looked = self._watch.look(Now(segment.start_ns, tps, self._pairs))
        self.told["output_tps"] = shown(looked.word, looked.verdict)

    def _look_at_goodput(self) -> None:
        if not self._has_limits:
            return
        a, b = (self.segment.lanes[lane].good for lane in LANES)
        self._tell("goodput", goodput_verdict(a, b, delta=self.delta, pairs=self._pairs))

    def _tell(self, figure: str, found: Verdict) -> None:
        calm = self._calm[figure] = self._calm.get(figure, Calm()).look(found, self.delta)
        self.told[figure] = shown(calm.shown, found)


def shown(word: Word, found: Verdict) -> VerdictView:
    """A verdict as the view carries it, under the calm word."""
    return VerdictView(word, found.ratio, found.low, found.high, found.need_s, found.reason)


def latencies_of(lane: LaneSegment, figure: str) -> Latencies:
    """One lane's values behind `ttft_p95` and the like, in the order in which the requests were sent."""
    sent_s = np.array(lane.sent_s)
    ms = np.array(lane.ms[figure.partition("_")[0]])
    order = np.argsort(sent_s, kind="stable")
    kept = order[~np.isnan(ms[order])]
    return Latencies(sent_s[kept], ms[kept], lane.failed)
