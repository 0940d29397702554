"""The verdicts while it runs: folded a second at a time from the rows alone, so that a replay says the same words.

Needs numpy and Polars: imported after the first paint.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np

from tui.analysis.intervals.fractions import Met, share_met
from tui.analysis.intervals.turns import Pair
from tui.analysis.ledger import MOST_FAILED
from tui.analysis.verdict.calm import Calm
from tui.analysis.verdict.goodput import DEFAULT_SHARE, goodput_verdict
from tui.analysis.verdict.latency import Latencies, latency_turns_verdict, latency_verdict
from tui.analysis.verdict.watching import Now, Watch
from tui.analysis.verdict.word import DELTA, Verdict, Word
from tui.profile.model import Profile, Slo
from tui.records.rows import LANES, EventRow, Lane, RequestRow, SecondRow
from tui.session.verdict.ledger import LiveLedger
from tui.session.verdict.segment import LaneSegment, SegmentSoFar
from tui.session.view import VerdictView

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

    def obstacle(self) -> str:
        """What in the settled seconds forbids any word; empty when nothing does."""
        segment = self.segment
        counted = min(len(lane.tps) for lane in segment.lanes.values())
        if segment.bound_s > counted:
            return "the client was the limit in most seconds"
        if segment.down_s > counted:
            return "a lane was down in most seconds"
        for name, lane in segment.lanes.items():
            if lane.failed > MOST_FAILED * (lane.ok + lane.failed):
                return f"{lane.failed} of {lane.ok + lane.failed} requests failed in lane {name.upper()}"
        return ""

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
