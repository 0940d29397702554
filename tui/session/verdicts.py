"""The ledger and the verdicts of a session while it runs, folded a second at a time from the rows alone, so that a
replay says the same words.

Needs numpy and Polars: imported after the first paint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Self

import msgspec

from tui.judge.ledger import LedgerRow, VisitedSetting
from tui.judge.obstacles import Circumstances
from tui.judge.segments import LaneSegment, Segment, first_settings
from tui.judge.tables import Requests, Seconds
from tui.model.profile import Limits, Profile
from tui.model.rows import LANES, EventRow, Lane, RequestRow, SecondRow
from tui.stats.distributions import Met, share_met
from tui.stats.latency import SHARE
from tui.stats.verdict import DELTA, HOLD_LOOKS, Hysteresis, Verdict

# One of these a second, in turn: each costs a sort of the segment's requests, and no tail moves in five seconds.
TIMED_FIGURES: Final = ("ttft_p50", "ttft_p95", "ttft_p99", "tpot_p95", "e2e_p95")


@dataclass(slots=True)
class LiveLedger:
    """All settings visited, in the order of their first visit, and the one now in force."""

    now: dict[Lane, dict[str, str]] = field(default_factory=dict)
    visits: dict[str, VisitedSetting] = field(default_factory=dict)
    _rows: dict[str, LedgerRow] = field(default_factory=dict)  # of settings that are not in force
    _rows_in: tuple[Circumstances, float] | None = None  # what these rows were made under

    def turn(self, event: EventRow, segment: Segment) -> None:
        """A dial was turned: what was counted until then belongs to the setting before."""
        if any(lane.tps for lane in segment.lanes.values()):
            key = repr(self.now)
            self.visits[key] = self._with(segment)
            self._rows.pop(key, None)
        for lane, setting in self.now.items():
            if event.lane in ("", lane):
                setting[event.name] = event.new

    def add_late(self, lane: Lane, requests: Requests) -> None:
        """Requests that ended after the segment in which they were sent."""
        if not requests.sent_ns.size:
            return
        for key, visit in self.visits.items():
            for segment in visit.segments:
                chosen = segment.measured(lane, requests.sent_ns)
                if chosen.any():
                    segment.add_requests(lane, requests[chosen])
                    self._rows.pop(key, None)

    def rows(self, segment: Segment, delta: float, session: Circumstances) -> tuple[list[LedgerRow], int]:
        """Every setting as a row, and which of them is in force."""
        if (session, delta) != self._rows_in:
            self._rows, self._rows_in = {}, (session, delta)
        key = repr(self.now)
        now = self._with(segment).row(session, delta=delta, frozen=False) if self.now else None
        for other, visit in self.visits.items():
            if other != key and other not in self._rows:
                self._rows[other] = visit.row(session, delta=delta, frozen=False)
        rows = [now if other == key and now is not None else self._rows[other] for other in self.visits]
        if key in self.visits:
            return rows, list(self.visits).index(key)
        return [*rows, *([now] if now is not None else [])], len(rows) - (now is None)

    def _with(self, segment: Segment) -> VisitedSetting:
        """The setting in force, with the segment as one more visit."""
        visit = self.visits.get(repr(self.now))
        if visit is not None:
            return VisitedSetting(visit.dials, [*visit.segments, segment])
        return VisitedSetting({lane: dict(setting) for lane, setting in self.now.items()}, [segment])


@dataclass(slots=True)
class LiveVerdicts:
    """The lanes compared on the segment of the dials now in force. `limits` and `delta` are the profile's."""

    limits: Limits = field(default_factory=Limits)
    delta: float = DELTA
    lanes: Sequence[Lane] = LANES
    segment: Segment = field(default_factory=Segment)
    verdicts: dict[str, Verdict] = field(default_factory=dict)  # by figure, with the word that is shown
    ledger: LiveLedger = field(default_factory=LiveLedger)
    _words: dict[str, Hysteresis] = field(default_factory=dict)
    _looks: int = 0  # at timed figures

    @classmethod
    def under(cls, profile: Profile) -> Self:
        """With the limits and the δ of a profile: those of the recording, in a replay."""
        settings = first_settings(msgspec.to_builtins(profile), profile.lanes)
        return cls(profile.slo, profile.delta or DELTA, list(profile.lanes), ledger=LiveLedger(settings))

    def turn(self, event: EventRow) -> None:
        """A dial was turned: nothing of before counts for the verdict; the ledger keeps it."""
        self.ledger.turn(event, self.segment)
        self.restart(event.t_ns)

    def limit(self, limits: Limits) -> None:
        """Goodput counts by these limits from now on: its verdict begins anew."""
        self.limits = limits
        self.verdicts.pop("goodput", None)
        self._words.pop("goodput", None)

    def restart(self, start_ns: int) -> None:
        """A segment begins."""
        self.segment = Segment(start_ns, lanes={lane: LaneSegment() for lane in self.lanes})
        self.verdicts, self._words, self._looks = {}, {}, 0

    def take(self, rows: Sequence[SecondRow], requests: Sequence[RequestRow], slow_ms: float) -> None:
        """Fold in one second of all lanes, and look at the figures once."""
        segment = self.segment
        seconds = {row.lane: row for row in rows}
        ended = {lane: Requests.from_rows([r for r in requests if r.lane == lane]) for lane in seconds}
        segment.settle(seconds, ended, slow_ms)
        if len(seconds) < len(segment.lanes):
            return
        segment.add_seconds({lane: Seconds.from_rows([row]) for lane, row in seconds.items()})
        for lane, lane_requests in ended.items():
            segment.add_requests(lane, lane_requests)
            self.ledger.add_late(lane, lane_requests[lane_requests.sent_ns < segment.start_ns])
        segment.forget_oldest()
        if len(seconds) == len(LANES):
            self._look()

    def circumstances(self, session: Circumstances) -> Circumstances:
        """What decides whether the lanes may be compared on the segment that runs."""
        return self._setting.circumstances(session)

    def limits_met(self, lane: Lane) -> Met | None:
        """Whether 99 % of the lane's requests meet every limit, by MLPerf's rule; None where there is no limit."""
        if not self.limits.by_metric:
            return None
        good, total = self.segment.good_share(lane, self.limits)
        return share_met(total - good, total, SHARE)

    @property
    def _setting(self) -> VisitedSetting:
        return VisitedSetting(self.ledger.now, [self.segment])

    def _look(self) -> None:
        figures = ["output_tps"]
        if self.segment.settled_ns is not None:
            figures += ["goodput"] if self.limits.by_metric else []
            figures.append(TIMED_FIGURES[self._looks % len(TIMED_FIGURES)])
            self._looks += 1
        setting = self._setting
        for figure in figures:
            verdict = setting.verdict(figure, delta=self.delta, frozen=False, limits=self.limits)
            calm = self._words.get(figure, Hysteresis())
            for _ in range(HOLD_LOOKS if figure in TIMED_FIGURES else 1):  # a look in five seconds counts for all
                calm = calm.look(verdict, self.delta)
            self._words[figure] = calm
            self.verdicts[figure] = replace(verdict, word=calm.shown)
