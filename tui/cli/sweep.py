"""A sweep of one dial: doubling first, then the middle of the steps around each lane's knee. Or just a list."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tui.profile.model import Step
from tui.session.view import View


def first_pass(text: str, for_s: float) -> list[Step]:
    """The steps of `concurrency=1..256` or `concurrency=1,8,64`. UserError that says how a sweep is written."""
    from tui.analysis.plans import sweep_plan

    return [Step(dials=dict(step.dials), for_s=step.for_s) for step in sweep_plan(text, for_s)]


@dataclass(slots=True)
class Sweep:
    """Which settings were held, and from what the ledger says of them those that follow."""

    dial: str
    for_s: float
    left: set[int]  # settings planned and not held yet
    refines: bool = True
    held: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, steps: Sequence[Step], for_s: float, *, refines: bool = True) -> "Sweep":
        """Before the first step."""
        (dial,) = steps[0].dials
        return cls(dial, for_s, {int(step.dials[dial]) for step in steps}, refines)

    def measured(self, step: Step, view: View) -> list[Step]:
        """Take the step that ends; gives the next pass once this one is complete, empty when it is fine enough."""
        from tui.analysis.curve import curve
        from tui.analysis.sweep import halving, knee

        setting = int(step.dials[self.dial])
        self.left.discard(setting)
        self.held.add(setting)
        if self.left or not self.refines:
            return []
        found = curve(view.ledger, self.dial)
        lines = [] if found is None else found.lines.values()
        knees = {at for line in lines if (at := knee(line)) is not None}
        wanted = halving(self.held, knees)
        self.left = set(wanted)
        return [Step(dials={self.dial: value}, for_s=self.for_s) for value in wanted]
