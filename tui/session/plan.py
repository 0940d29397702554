"""A plan while it runs: each step's dials in force for a time, or until so many requests ended in each lane."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from tui.model.dials import DIAL, Dials, check, dial_text, implied_traffic
from tui.model.metrics import NS_PER_S
from tui.model.profile import Step
from tui.model.rows import Batch, Lane
from tui.model.text import UserError
from tui.session.messages import PlanMoved
from tui.stats.verdict import MIN_SETTLED_S, State

FurtherSteps = Callable[[Step], Sequence[Step]]  # what a sweep measures next, from the step that ended

StepEnd = Literal["time", "settled", "verdict"]
"""What ends a step of a time: that time, that much settled time, or the verdict and at the latest that time."""

MAX_DOWN_S: Final = 60.0  # then the lane is given up for this step: until then its server may be restarted


class PlanProgress(msgspec.Struct, frozen=True):
    """How far a plan is, in the slower lane."""

    number: int  # of the step that runs, from 1
    of: int
    setting: str
    held_s: float
    for_s: float | None
    ended: int  # requests
    requests: int | None
    left_s: float  # of this step and of those after it that have a time; at most, where a verdict ends them


class PlanRun(msgspec.Struct):
    """Steps from `base`, the dials as the plan begins; each step turns its dials and leaves the others as they were.

    Of lanes that take turns each gets the whole time of a step: only the seconds of its turns count for it. With
    `repeat` the steps are held so many times, every other time backwards, so that a drift of a server affects all
    equally; each puts the same in force. What happens is returned: the caller puts the dials of a step in force.
    """

    steps: list[Step]
    base: dict[Lane, Dials]
    more: FurtherSteps = lambda _: ()
    repeat: int = 1
    step_end: StepEnd = "time"
    at: int = -1  # the place in `order` of the step that runs
    begun: int = 0  # how often a step was begun, repeats included
    paused: bool = False
    order: list[int] = msgspec.field(default_factory=list)  # of the steps, by their number
    _since_s: float = 0.0
    _settles: bool = False
    _state: State | None = None  # of the verdict at the setting in force
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

    def begin(self, now_s: float) -> PlanMoved:
        return self._go_to(0, now_s)

    def toggle(self, now_s: float) -> PlanMoved:
        """Pause, or take the step up again from its beginning."""
        if not self.paused:
            return self._pause("by the operator")
        self.paused = False
        return self._go_to(self.at, now_s)

    def second(
        self,
        batch: Batch,
        segment: int,
        asked: Mapping[Lane, Dials],
        *,
        settling: bool = False,
        state: State | None = None,
    ) -> list[PlanMoved]:
        """A second is complete: go on when the step has been held. A dial that was turned pauses the plan.

        `settling`: the time of the step does not run. `state`: where the verdict on the dials in force is.
        """
        if self.over or self.paused:
            return []
        if any(asked[lane] != dials for lane, dials in self._dials(self.at).items()):
            return [self._pause("a dial was turned, or the load stopped")]
        now_s = batch.t_ns / NS_PER_S
        passed_s, self._since_s = now_s - self._since_s, now_s
        if settling or self._settles:  # the second at whose end it was settled does not count
            self._settles = settling
            return []
        self._state = state
        moves = []
        for row in batch.seconds:
            if not row.resting:
                self._held_s[row.lane] += passed_s
                moves += self._give_up(row.lane, 0.0 if row.up else passed_s)
        self._ended.update(
            row.lane for row in batch.requests if row.segment == segment and row.outcome != "cancelled"
        )
        if all(map(self.enough, self.base)):
            more = self.more(self.step)
            self.order += range(len(self.steps), len(self.steps) + len(more))
            self.steps += more
            moves.append(self._go_to(self.at + 1, now_s))
        return moves

    def text(self) -> str:
        """`plan 2/3  conc 16  0:41 left`; empty when it is over."""
        if (now := self.progress()) is None:
            return ""
        place = f"plan {now.number}/{now.of}  {now.setting}"
        if self.paused:
            return f"{place}  paused: P goes on"
        if now.requests is not None:
            return f"{place}  {now.ended}/{now.requests} requests"
        left_s = round(now.left_s)
        return f"{place}  {left_s // 60}:{left_s % 60:02d} left"

    def progress(self) -> PlanProgress | None:
        """None before it began and once it is over."""
        if self.over or self.at < 0:
            return None
        step, held_s = self.step, min(self._held_s.values())
        later = [self.steps[number].for_s or 0 for number in self.order[self.at + 1 :]]
        left_s = max((step.for_s or 0) - held_s, 0) + sum(later)
        return PlanProgress(
            number=self.at + 1,
            of=len(self.order),
            setting=setting_text(step),
            held_s=held_s,
            for_s=step.for_s,
            ended=self._fewest(),
            requests=step.requests,
            left_s=left_s,
        )

    def enough(self, lane: Lane) -> bool:
        """Whether the lane has had all of the step that runs."""
        if self.over or self.paused:
            return False
        step = self.step
        if step.for_s is not None:
            return self._held_s[lane] >= step.for_s or self._has_fallen(lane)
        return self._ended[lane] >= (step.requests or 0) or self._down_s.get(lane, 0.0) >= MAX_DOWN_S

    def _has_fallen(self, lane: Lane) -> bool:
        """Whether there is no more to wait for: what cannot be told now may be told once a lane is back."""
        if self.step_end != "verdict" or self._state not in {"decided", "cannot_tell"}:
            return False
        return self._state == "decided" or self._held_s[lane] >= MIN_SETTLED_S

    def max_requests(self, lane: Lane, dials: Dials) -> int | None:
        """How many requests the step sends a lane that has its dials; None: as many as there is time for."""
        if self.over or self.paused or self.at < 0 or self._dials(self.at)[lane] != dials:
            return None
        return self.step.requests

    def _give_up(self, lane: Lane, down_s: float) -> list[PlanMoved]:
        """A lane that stays down would hold a step of requests for ever."""
        before_s = self._down_s.get(lane, 0.0)
        self._down_s[lane] = before_s + down_s if down_s else 0.0
        if self.step.requests is None or not before_s < MAX_DOWN_S <= self._down_s[lane]:
            return []
        why = f"down for {MAX_DOWN_S:g} s: {self._place()} is over for this lane"
        return [PlanMoved(lane, "given up", f"{why}, with {self._ended[lane]} of {self.step.requests} requests")]

    def _pause(self, why: str) -> PlanMoved:
        self.paused = True
        return PlanMoved("", "paused", f"{self._place()} is paused: {why}")

    def _place(self) -> str:
        return f"step {self.at + 1} of {len(self.order)}"

    def _fewest(self) -> int:
        return min(self._ended[lane] for lane in self.base)

    def _go_to(self, at: int, now_s: float) -> PlanMoved:
        self.at, self._since_s, self._held_s = at, now_s, dict.fromkeys(self.base, 0.0)
        self._settles, self._state = False, None
        self._ended.clear()
        self._down_s.clear()
        self.begun += 1
        if self.over:
            return PlanMoved("", "over", "every step of the plan has been held")
        text = f"{self._place()}: {setting_text(self.step)}".removesuffix(": ")
        return PlanMoved("", "step", text, self._dials(at))

    def _dials(self, at: int) -> dict[Lane, Dials]:
        """What a step puts in force: its dials, and those of the steps written before it."""
        dials = dict(self.base)
        for step in self.steps[: self.order[at] + 1]:
            dials = {lane: turned(before, step) for lane, before in dials.items()}
        return dials


def there_and_back(count: int, times: int) -> list[int]:
    """0 to count - 1 so many times, every other time backwards."""
    return [number for turn in range(times) for number in (range(count) if turn % 2 == 0 else reversed(range(count)))]


def turned(dials: Dials, step: Step) -> Dials:
    """The dials with those of the step. UserError when a value cannot be."""
    try:
        new = msgspec.convert(msgspec.structs.asdict(dials) | step.dials, Dials)
    except msgspec.ValidationError as error:
        raise UserError(f"a step of the plan cannot be put in force: {error}") from error
    if problem := check(new, implied_traffic(dials)):
        raise UserError(f"a step of the plan cannot be put in force: {problem}")
    return new


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
