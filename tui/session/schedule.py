"""What each lane is to do now: the dials in force, the step of a plan that holds, and whose turn it is.

Two engines that share a GPU take turns: ABBA blocks, with a drain between, so that neither measures the other.
The order A B B A cancels a drift that is linear in time, such as a GPU that warms up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from tui.load.driver import Setting
from tui.model.dials import Dials
from tui.model.metrics import NS_PER_S
from tui.model.profile import Profile, Step
from tui.model.rows import LANES, Batch, EventRow, Lane
from tui.session.dial_board import dial_events, stopped
from tui.session.load_limits import LoadLimits
from tui.session.messages import PlanMoved, TurnGiven
from tui.session.plan import FurtherSteps, PlanRun, StepEnd, checked
from tui.stats.verdict import State

if TYPE_CHECKING:
    from tui.session.seconds import LaneCutter

BLOCK_S = 30.0  # that count
MIN_RAMP_S = 3.0  # of a turn, until its streams are all under way: not counted
MAX_RAMP_S = 120.0  # of a server that is down, say: then it is the other one's turn
MAX_DRAIN_S = 120.0
TICKS_PER_S = 10

Cutters = Mapping[Lane, "LaneCutter"]


def abba() -> Iterator[Lane]:
    """A B B A, again and again."""
    a, b = LANES
    while True:
        yield from (a, b, b, a)


class Turns(msgspec.Struct):
    """Whose turn it is, moved on by `tick` several times a second.

    A turn counts once its streams are no longer ramping, and not before `slow_ms` are over: until then requests of
    the turn's beginning may run. A lane that has enough of the setting now in force ends its turn, so that a plan's
    steps are turns of A B, B A, A B.
    """

    block_s: float = BLOCK_S
    min_ramp_s: float = MIN_RAMP_S
    max_ramp_s: float = MAX_RAMP_S
    max_drain_s: float = MAX_DRAIN_S
    active: Lane | None = None
    counts: bool = False  # whether what the active lane does now is measured
    _order: Iterator[Lane] = msgspec.field(default_factory=abba)
    _phase: Literal["next", "drain", "block"] = "next"
    _upcoming: Lane = "a"  # has the turn once the other one has drained
    _drains: Lane | None = None
    _since_s: float = 0.0  # of the drain, or of the turn under the dials in force
    _looked_s: float = 0.0
    _ramp_s: float = 0.0
    _counted_s: float = 0.0

    def tick(self, now_s: float, cutters: Cutters, slow_ms: float, enough: Collection[Lane] = ()) -> TurnGiven | None:
        """Go on at this moment; returns whose turn it is when that changes."""
        passed_s, self._looked_s = now_s - self._looked_s, now_s
        if self._phase == "drain":
            return self._drain(now_s, cutters)
        if self._phase == "block" and self._holds(now_s, passed_s, cutters, slow_ms, enough):
            return None
        lane = next(self._order)
        self._phase, self._ramp_s, self._counted_s = "next", 0.0, 0.0
        if lane in enough:
            return None  # both may have enough, until the next setting is in force
        if lane == self.active:
            self._phase = "block"
            return None
        self._phase, self._upcoming, self._drains = "drain", lane, self.active
        self.active, self.counts, self._since_s = None, False, now_s
        return TurnGiven(None)

    def restart(self, now_s: float) -> None:
        """The dials were turned: what the lane did so far in this turn is of another setting."""
        self._since_s, self.counts = now_s, False

    def _holds(
        self, now_s: float, passed_s: float, cutters: Cutters, slow_ms: float, enough: Collection[Lane]
    ) -> bool:
        """Whether the turn goes on: with answers that take long, most of it is the ramp."""
        assert self.active is not None
        is_long = now_s - self._since_s > max(self.min_ramp_s, slow_ms / 1000)
        self.counts = is_long and not cutters[self.active].ramping
        if self.counts:
            self._counted_s += passed_s
        else:
            self._ramp_s += passed_s
        return self._counted_s < self.block_s and self._ramp_s < self.max_ramp_s and self.active not in enough

    def _drain(self, now_s: float, cutters: Cutters) -> TurnGiven | None:
        """Nobody has the turn until the last stream of the lane that had it is over."""
        if self._drains and cutters[self._drains].streams and now_s - self._since_s < self.max_drain_s:
            return None
        self.active, self._phase, self._since_s = self._upcoming, "block", now_s
        return TurnGiven(self.active)


class LoadSchedule:
    """Changed by a move of the dials, a step of the plan and a turn; `settings` says what follows for the drivers."""

    def __init__(self, profile: Profile, dials: Mapping[Lane, Dials]) -> None:
        self.segment = 0
        self.context = 0  # the most tokens that every server takes, as far as is known
        self.dials = dict(dials)  # what each lane is asked for, whoever has the turn
        self.plan: PlanRun | None = None
        self.turns = Turns() if profile.mode == "alternate" and profile.b is not None else None
        self.limits = LoadLimits()
        self._repeat = profile.repeat
        self._sweeps = False
        self._turn_is_fresh = False  # no request of an older setting runs: the turn began with the dials in force

    def settings(self, *, load_on: bool) -> dict[Lane, Setting]:
        """What each driver is to do."""
        return {lane: self._setting(lane, dials, load_on=load_on) for lane, dials in self.dials.items()}

    def _setting(self, lane: Lane, dials: Dials, *, load_on: bool) -> Setting:
        waits = self.turns is not None and self.turns.active != lane
        return Setting(
            self.segment,
            stopped(dials) if waits else self.limits.allowed(lane, dials),
            cancel=not load_on,  # at once: a server is not to go on while the screen says that it stopped
            requests=None if self.plan is None else self.plan.max_requests(lane, dials),
            plan_step_id=0 if self.plan is None else self.plan.begun,
            ramp=self._spreads,
            context=self.context,
        )

    def rests(self, lane: Lane) -> bool:
        """Whether what the lane does now is another's turn, or the beginning of its own."""
        return self.turns is not None and not (self.turns.counts and self.turns.active == lane)

    def set_dials(self, dials: Mapping[Lane, Dials], now_ns: int) -> list[EventRow]:
        """A segment begins under these dials."""
        self.segment += 1
        self.limits.restart()
        self._turn_is_fresh = False
        if self.turns is not None:
            self.turns.restart(now_ns / NS_PER_S)
        events = dial_events(self.dials, dials, now_ns)
        self.dials = dict(dials)
        return events

    def start_plan(
        self,
        steps: Sequence[Step],
        base: dict[Lane, Dials],
        more: FurtherSteps,
        now_ns: int,
        step_end: StepEnd = "time",
    ) -> PlanMoved:
        """Run these steps from now on. UserError when there is none, or one cannot be put in force.

        Settled time runs once the figures no longer mix two settings.
        """
        self.plan = PlanRun(checked(steps, base), base, more, self._repeat, step_end)
        self._sweeps = step_end != "time"
        return self.plan.begin(now_ns / NS_PER_S)

    @property
    def waits_for_verdict(self) -> bool:
        """Whether the step that runs ends with its verdict."""
        return self.plan is not None and self.plan.step_end == "verdict" and not self.plan.over

    def second(
        self, batch: Batch, asked: Mapping[Lane, Dials], *, settling: bool, state: State | None = None
    ) -> list[PlanMoved]:
        """A second is complete: the plan may go on to its next step."""
        if self.plan is None:
            return []
        return self.plan.second(batch, self.segment, asked, settling=settling and self._sweeps, state=state)

    def tick(self, now_ns: int, cutters: Cutters, slow_ms: float) -> TurnGiven | None:
        """Turns go on; returns whose turn it is when that changes."""
        if self.turns is None:
            return None
        plan = self.plan
        enough = [] if plan is None else [lane for lane in self.dials if plan.enough(lane)]
        turn = self.turns.tick(now_ns / NS_PER_S, cutters, self._under_way_ms(slow_ms), enough)
        self._turn_is_fresh |= turn is not None
        return turn

    @property
    def _spreads(self) -> bool:
        """Whether streams start at even intervals: at first, in a turn and in a sweep.

        Not where requests are counted: a study's hundred requests are sent as it says. An operator's later move is to
        be in force within a second.
        """
        counts_requests = self.plan is not None and self.plan.counts_requests
        return (self.segment == 0 or self.turns is not None or self._sweeps) and not counts_requests

    def _under_way_ms(self, slow_ms: float) -> float:
        """How long after the beginning of a turn, or a move in it, older streams may run; 0 where none can."""
        closed = all(dials.arrival == "closed" for dials in self.dials.values())
        return 0.0 if self._turn_is_fresh and closed and self._spreads else slow_ms
