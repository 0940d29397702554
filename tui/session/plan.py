"""A plan while it runs: each step's dials in force for a time, or until so many requests ended in each lane."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from tui.profile.model import Step
from tui.records.dials import DIAL, Dials, check, dial_text
from tui.records.errors import UserError
from tui.records.rows import Lane, RequestRow

Put = Callable[[dict[Lane, Dials]], None]
More = Callable[[Step], Sequence[Step]]


@dataclass(slots=True)
class PlanRun:
    """Steps from `base`, the dials as the plan begins; each step turns its own and leaves the others as they were.

    Of lanes that take turns each gets the whole time of a step: only the seconds of its own turns count for it.

    `put` puts dials in force, `in_force` tells what is. `more` is asked for further steps as each one ends.
    """

    steps: list[Step]
    base: dict[Lane, Dials]
    put: Put
    in_force: Callable[[Lane], Dials]
    more: More = lambda _: ()
    at: int = -1  # the step that runs
    paused: bool = False
    _since_s: float = 0.0
    _held_s: dict[Lane, float] = field(default_factory=dict)
    _ended: Counter[Lane] = field(default_factory=Counter)

    @property
    def over(self) -> bool:
        """Whether every step has been held."""
        return self.at >= len(self.steps)

    def begin(self, now_s: float) -> None:
        """The first step."""
        self._go_to(0, now_s)

    def toggle(self, now_s: float) -> None:
        """Pause, or take the step up again from its beginning."""
        self.paused = not self.paused
        if not self.paused:
            self._go_to(self.at, now_s)

    def second(
        self, now_s: float, segment: int, requests: Iterable[RequestRow], resting: Collection[Lane] = ()
    ) -> None:
        """A second is complete: go on when the step has been held. A dial that was turned pauses the plan."""
        if self.over or self.paused:
            return
        if any(self.in_force(lane) != dials for lane, dials in self._dials(self.at).items()):
            self.paused = True
            return
        passed_s, self._since_s = now_s - self._since_s, now_s
        for lane in self.base.keys() - set(resting):
            self._held_s[lane] += passed_s
        self._ended.update(row.lane for row in requests if row.segment == segment and row.outcome != "cancelled")
        if all(map(self.enough, self.base)):
            self.steps += self.more(self.steps[self.at])
            self._go_to(self.at + 1, now_s)

    def text(self) -> str:
        """`plan 2/3  conc 16  0:41 left`; empty when it is over."""
        if self.over or self.at < 0:
            return ""
        step = self.steps[self.at]
        place = f"plan {self.at + 1}/{len(self.steps)}  {setting_text(step)}"
        if self.paused:
            return f"{place}  paused: a dial was turned, P goes on"
        if step.requests is not None:
            return f"{place}  {self._fewest()}/{step.requests} requests"
        later = [one.for_s or 0 for one in self.steps[self.at + 1 :] if one.requests is None]
        left_s = round(max((step.for_s or 0) - min(self._held_s.values()), 0) + sum(later))
        return f"{place}  {left_s // 60}:{left_s % 60:02d} left"

    def enough(self, lane: Lane) -> bool:
        """Whether the lane has had all of the step that runs."""
        if self.over or self.paused:
            return False
        step = self.steps[self.at]
        by_time = step.for_s is not None and self._held_s[lane] >= step.for_s
        return by_time or (step.requests is not None and self._ended[lane] >= step.requests)

    def _fewest(self) -> int:
        return min(self._ended[lane] for lane in self.base)

    def _go_to(self, at: int, now_s: float) -> None:
        self.at, self._since_s, self._held_s = at, now_s, dict.fromkeys(self.base, 0.0)
        self._ended.clear()
        if not self.over:
            self.put(self._dials(at))

    def _dials(self, at: int) -> dict[Lane, Dials]:
        found = dict(self.base)
        for step in self.steps[: at + 1]:
            found = {lane: turned(dials, step) for lane, dials in found.items()}
        return found


def turned(dials: Dials, step: Step) -> Dials:
    """The dials with those of the step. UserError when a value cannot be."""
    try:
        found = msgspec.convert(msgspec.structs.asdict(dials) | step.dials, Dials)
    except msgspec.ValidationError as error:
        raise UserError(f"a step of the plan cannot be put in force: {error}") from error
    if problem := check(found):
        raise UserError(f"a step of the plan cannot be put in force: {problem}")
    return found


def checked(steps: Sequence[Step], base: dict[Lane, Dials]) -> list[Step]:
    """The steps of a plan that can be run. UserError when there is none, or one has no end or a wrong value."""
    if not steps:
        raise UserError("the profile has no [[plan]] step")
    for number, step in enumerate(steps, 1):
        if (step.for_s or 0) <= 0 and (step.requests or 0) <= 0:
            raise UserError(f"step {number} of the plan needs for_s or requests above 0")
        base = {lane: turned(dials, step) for lane, dials in base.items()}
    return list(steps)


def setting_text(step: Step) -> str:
    """`conc 16 out 256`."""
    return " ".join(
        f"{spec.label} {dial_text(spec, step.dials[name])}"
        for name, spec in ((name, DIAL[name]) for name in step.dials)
    )
