"""A sweep of one dial: doubling first, then the middle of the steps around each lane's knee."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tui.analysis.sweep import Point, halving, knee
from tui.profile.model import Step
from tui.records.rows import LANES, Lane
from tui.session.view import View


def first_pass(text: str, for_s: float) -> list[Step]:
    """The steps of `concurrency=1..256`. UserError that says how a sweep is written."""
    from tui.analysis.plans import sweep_plan

    return [Step(dials=dict(step.dials), for_s=step.for_s) for step in sweep_plan(text, for_s)]


@dataclass(slots=True)
class Sweep:
    """What each step so far measured, and from it the steps that follow."""

    dial: str
    for_s: float
    left: set[int]  # settings planned and not measured
    points: Mapping[Lane, list[Point]] = field(default_factory=lambda: {lane: [] for lane in LANES})

    @classmethod
    def of(cls, steps: Sequence[Step], for_s: float) -> "Sweep":
        """Before the first step."""
        (dial,) = steps[0].dials
        return cls(dial, for_s, {int(step.dials[dial]) for step in steps})

    def measured(self, step: Step, view: View) -> list[Step]:
        """Take the step that ends; gives the next pass once this one is complete, empty when it is fine enough."""
        setting = int(step.dials[self.dial])
        self.left.discard(setting)
        for lane, shown in view.lanes.items():
            tps, ttft = view.segment_tps.get(lane, ()), shown.latencies["ttft"]
            latency = ttft.p95 if ttft.p95 is not None else ttft.p50
            if tps and latency is not None:
                self.points[lane].append(Point(setting, sum(tps) / len(tps), latency))
        if self.left:
            return []
        visited = {int(point.setting) for points in self.points.values() for point in points}
        knees = {found for points in self.points.values() if (found := knee(points)) is not None}
        wanted = halving(visited, knees)
        self.left = set(wanted)
        return [Step(dials={self.dial: value}, for_s=self.for_s) for value in wanted]
