"""What a verdict may use of the dials now in force: the settled seconds of their segment, and its latencies."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tui.analysis.intervals.turns import Pair, pairs_of
from tui.profile.model import Slo
from tui.records.metrics import e2e_ms, tpot_ms, ttft_ms
from tui.records.rows import LANES, Lane, RequestRow, SecondRow
from tui.records.units import NS_PER_S

LEAST_SETTLING_S: Final = 5.0
MOST_SETTLING_S: Final = 60.0
MOST_REQUESTS: Final = 40_000  # a lane; 1.3 MB, and a percentile of them takes 2 ms. Beyond it the oldest half goes
MOST_SECONDS: Final = 14_400  # four hours; beyond it the oldest hour goes, whole batches of 20 s
FORGOTTEN_S: Final = 3_600
TIMED = {"ttft": ttft_ms, "tpot": tpot_ms, "e2e": e2e_ms}


def _floats() -> "array[float]":
    return array("d")


@dataclass(slots=True)
class LaneSegment:
    """One lane's share of it. Latencies are columns of one length, nan where a request has no such value."""

    tps: "array[float]" = field(default_factory=_floats)  # output tokens of each second that counts
    good: "array[float]" = field(default_factory=_floats)  # requests of that second within every limit
    at_s: "array[float]" = field(default_factory=_floats)  # when that second began
    sent_s: "array[float]" = field(default_factory=_floats)
    ms: Mapping[str, "array[float]"] = field(default_factory=lambda: {name: _floats() for name in TIMED})
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
