"""A plan while it runs: each step's dials in force for a time, or until so many requests ended in each lane."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, Literal

import msgspec

from tui.model.dials import DIAL, Dials, check, dial_text
from tui.model.profile import Step
from tui.model.rows import Lane, RequestRow
from tui.model.text import UserError

Put = Callable[[dict[Lane, Dials]], None]
More = Callable[[Step], Sequence[Step]]
Say = Callable[[Lane | Literal[""], str, str], None]

GIVEN_UP_S: Final = 60.0  # of a lane that is down: a server may be started anew meanwhile


class PlanRun(msgspec.Struct):
    """Steps from `base`, the dials as the plan begins; each step turns its own and leaves the others as they were.

    Of lanes that take turns each gets the whole time of a step: only the seconds of its own turns count for it.

    `put` puts dials in force, `in_force` tells what is. `more` is asked for further steps as each one ends. `say` is
    told what happened: the lane or both, a word, and a sentence. With `repeat` the steps are held so many times,
    every other time backwards, so that a drift of a server falls on all alike; each puts the same in force.
    """

    steps: list[Step]
    base: dict[Lane, Dials]
    put: Put
    in_force: Callable[[Lane], Dials]
    more: More = lambda _: ()
    say: Say = lambda _lane, _word, _text: None
    repeat: int = 1
    settling: Callable[[], bool] = lambda: False  # while it says so the time of a step does not run
    at: int = -1  # the place in `order` of the step that runs
    begun: int = 0  # how often a step was, again or anew
    paused: bool = False
    order: list[int] = msgspec.field(default_factory=list)  # of the steps, by their number
    _since_s: float = 0.0
    _settles: bool = False
    _held_s: dict[Lane, float] = msgspec.field(default_factory=dict)
    _ended: Counter[Lane] = msgspec.field(default_factory=Counter)
    _down_s: dict[Lane, float] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.order = there_and_back(len(self.steps), self.repeat)

    @property
    def over(self) -> bool:
        """Whether every step has been held."""
        return self.at >= len(self.order)

    @property
    def step(self) -> Step:
        """The one that runs."""
        return self.steps[self.order[self.at]]

    @property
    def counts_requests(self) -> bool:
        """Whether the step that runs is one of so many requests, not of a time."""
        return not self.over and self.at >= 0 and self.step.requests is not None

    def begin(self, now_s: float) -> None:
        """The first step."""
        self._go_to(0, now_s)

    def toggle(self, now_s: float) -> None:
        """Pause, or take the step up again from its beginning."""
        if self.paused:
            self.paused = False
            self._go_to(self.at, now_s)
        else:
            self._pause("by the operator")

    def second(
        self,
        now_s: float,
        segment: int,
        requests: Iterable[RequestRow],
        resting: Collection[Lane] = (),
        down: Collection[Lane] = (),
    ) -> None:
        """A second is complete: go on when the step has been held. A dial that was turned pauses the plan."""
        if self.over or self.paused:
            return
        if any(self.in_force(lane) != dials for lane, dials in self._dials(self.at).items()):
            self._pause("a dial was turned, or the load stopped")
            return
        passed_s, self._since_s = now_s - self._since_s, now_s
        if self.settling():
            self._settles = True
            return
        if self._settles:  # the second at whose end it was settled does not count
            self._settles = False
            return
        for lane in self.base.keys() - set(resting):
            self._held_s[lane] += passed_s
            self._look_whether_down(lane, passed_s if lane in down else 0.0)
        self._ended.update(row.lane for row in requests if row.segment == segment and row.outcome != "cancelled")
        if all(map(self.enough, self.base)):
            more = self.more(self.step)
            self.order += range(len(self.steps), len(self.steps) + len(more))
            self.steps += more
            self._go_to(self.at + 1, now_s)

    def text(self) -> str:
        """`plan 2/3  conc 16  0:41 left`; empty when it is over."""
        if self.over or self.at < 0:
            return ""
        step = self.step
        place = f"plan {self.at + 1}/{len(self.order)}  {setting_text(step)}"
        if self.paused:
            return f"{place}  paused: P goes on"
        if step.requests is not None:
            return f"{place}  {self._fewest()}/{step.requests} requests"
        later = [self.steps[number].for_s or 0 for number in self.order[self.at + 1 :]]
        left_s = round(max((step.for_s or 0) - min(self._held_s.values()), 0) + sum(later))
        return f"{place}  {left_s // 60}:{left_s % 60:02d} left"

    def enough(self, lane: Lane) -> bool:
        """Whether the lane has had all of the step that runs."""
        if self.over or self.paused:
            return False
        step = self.step
        if step.for_s is not None:
            return self._held_s[lane] >= step.for_s
        return self._ended[lane] >= (step.requests or 0) or self._down_s.get(lane, 0.0) >= GIVEN_UP_S

    def most(self, lane: Lane, dials: Dials) -> int | None:
        """How many requests the step sends a lane that has its dials; None: as many as there is time for."""
        if self.over or self.paused or self.at < 0 or self._dials(self.at)[lane] != dials:
            return None
        return self.step.requests

    def _look_whether_down(self, lane: Lane, down_s: float) -> None:
        """A lane that stays down would hold a step of requests for ever."""
        before_s = self._down_s.get(lane, 0.0)
        self._down_s[lane] = before_s + down_s if down_s else 0.0
        if self.step.requests is not None and before_s < GIVEN_UP_S <= self._down_s[lane]:
            why = f"down for {GIVEN_UP_S:g} s: {self._place()} is over for this lane"
            self.say(lane, "given up", f"{why}, with {self._ended[lane]} of {self.step.requests} requests")

    def _pause(self, why: str) -> None:
        self.paused = True
        self.say("", "paused", f"{self._place()} is paused: {why}")

    def _place(self) -> str:
        return f"step {self.at + 1} of {len(self.order)}"

    def _fewest(self) -> int:
        return min(self._ended[lane] for lane in self.base)

    def _go_to(self, at: int, now_s: float) -> None:
        self.at, self._since_s, self._held_s = at, now_s, dict.fromkeys(self.base, 0.0)
        self._settles = False
        self._ended.clear()
        self._down_s.clear()
        self.begun += 1
        if self.over:
            self.say("", "over", "every step of the plan has been held")
        else:
            self.put(self._dials(at))
            self.say("", "step", f"{self._place()}: {setting_text(self.step)}".removesuffix(": "))

    def _dials(self, at: int) -> dict[Lane, Dials]:
        """What a step puts in force: its own, and those of the steps written before it."""
        found = dict(self.base)
        for step in self.steps[: self.order[at] + 1]:
            found = {lane: turned(dials, step) for lane, dials in found.items()}
        return found


def there_and_back(count: int, times: int) -> list[int]:
    """0 to count - 1 so many times, every other time backwards."""
    return [number for turn in range(times) for number in (range(count) if turn % 2 == 0 else reversed(range(count)))]


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
        if step.requests and any(dials.arrival == "closed" and not dials.concurrency for dials in base.values()):
            raise UserError(f"step {number} of the plan waits for requests, but has no stream that could send one")
    return list(steps)


def setting_text(step: Step) -> str:
    """`conc 16 out 256`."""
    return " ".join(
        f"{spec.label} {dial_text(spec, step.dials[name])}"
        for name, spec in ((name, DIAL[name]) for name in step.dials)
    )
