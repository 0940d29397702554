"""The ledger while it runs: every setting visited, its settled seconds pooled. Needs Polars, through its row."""

from array import array
from dataclasses import dataclass, field

import msgspec
import numpy as np

from tui.analysis.intervals.batches import BATCH_S
from tui.analysis.intervals.turns import Pair
from tui.analysis.ledger import MOST_FAILED, LaneFigures, LedgerRow, lane_figures
from tui.analysis.settings import first_settings
from tui.analysis.verdict.latency import Latencies
from tui.analysis.verdict.throughput import throughput_verdict, turns_verdict
from tui.analysis.verdict.word import Verdict, not_comparable
from tui.profile.model import Profile
from tui.records.rows import LANES, EventRow, Lane
from tui.session.verdict.segment import MOST_REQUESTS, SegmentSoFar

Settings = dict[Lane, dict[str, str]]


@dataclass(slots=True)
class VisitSoFar:
    """One setting and what was counted under it, all visits together."""

    dials: Settings
    visits: int = 0
    tps: dict[Lane, "array[float]"] = field(default_factory=lambda: {lane: array("d") for lane in LANES})
    sent_s: dict[Lane, "array[float]"] = field(default_factory=lambda: {lane: array("d") for lane in LANES})
    ttft_ms: dict[Lane, "array[float]"] = field(default_factory=lambda: {lane: array("d") for lane in LANES})
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

    def with_segment(self, segment: SegmentSoFar) -> "VisitSoFar":
        """What it would be with one more visit, which still runs."""
        tps, sent_s, ttft_ms = (
            {lane: array("d", values) for lane, values in column.items()}
            for column in (self.tps, self.sent_s, self.ttft_ms)
        )
        counted = (dict(self.ok), dict(self.failed), self.bound_s, self.down_s, self.pairs)
        more = VisitSoFar(self.dials, self.visits, tps, sent_s, ttft_ms, *counted)
        more.add(segment)
        return more

    def row(self, delta: float, refused: str = "") -> LedgerRow:
        """As the ledger of a recording has it, with the interval that holds at every look."""
        lanes = list(self.dials)
        settled_s = min(len(self.tps[lane]) for lane in lanes)
        why = refused or self._obstacle(settled_s)
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

    def _obstacle(self, settled_s: int) -> str:
        reasons = (
            ("there is one lane", len(self.dials) < len(LANES)),
            ("the lanes were asked for different loads", len({tuple(s.items()) for s in self.dials.values()}) > 1),
            ("the client was the limit in most seconds", self.bound_s > settled_s),
            ("a lane was down in most seconds", self.down_s > settled_s),
        )
        if why := next((text for text, holds in reasons if holds), ""):
            return why
        for lane, failed in self.failed.items():
            if failed > MOST_FAILED * (self.ok[lane] + failed):
                return f"{failed} of {self.ok[lane] + failed} requests failed in lane {lane.upper()}"
        return ""


@dataclass(slots=True)
class LiveLedger:
    """All settings visited, in the order of their first visit, and the one now in force."""

    now: Settings = field(default_factory=dict)
    visits: dict[str, VisitSoFar] = field(default_factory=dict)
    _rows: dict[str, LedgerRow] = field(default_factory=dict)  # of visits that are over: they change no more

    @classmethod
    def of(cls, profile: Profile) -> "LiveLedger":
        """Before the first dial was turned."""
        lanes = ["a"] if profile.b is None else ["a", "b"]
        return cls(first_settings(msgspec.to_builtins(profile), lanes))

    def turn(self, event: EventRow, segment: SegmentSoFar) -> None:
        """A dial was turned: what was counted until then belongs to the setting before."""
        if any(lane.tps for lane in segment.lanes.values()):
            key = repr(self.now)
            self.visits.setdefault(key, VisitSoFar(self._copy())).add(segment)
            self._rows.pop(key, None)
        for lane, setting in self.now.items():
            if event.lane in ("", lane):
                setting[event.name] = event.new

    def rows(self, segment: SegmentSoFar, delta: float, refused: str) -> tuple[list[LedgerRow], int]:
        """Every setting as a row, and which of them is in force."""
        now = repr(self.now)
        found = []
        for key, visit in self.visits.items():
            if key == now:
                found.append(visit.with_segment(segment).row(delta, refused))
            elif refused:
                found.append(visit.row(delta, refused))
            else:
                if key not in self._rows:
                    self._rows[key] = visit.row(delta)
                found.append(self._rows[key])
        if now in self.visits:
            return found, list(self.visits).index(now)
        if self.now:
            found.append(VisitSoFar(self._copy()).with_segment(segment).row(delta, refused))
        return found, len(found) - 1

    def _copy(self) -> Settings:
        return {lane: dict(setting) for lane, setting in self.now.items()}
