"""What each lane is to do now: the dials in force, the step of a plan that holds, and whose turn it is.

Two engines that share a GPU take turns: ABBA blocks, with a drain between, so that neither measures the other.

The order A B B A cancels a drift that is linear in time, such as a GPU that warms up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from tui.load.pipe import Setting
from tui.model.dials import Dials
from tui.model.profile import Profile, Step
from tui.model.rows import LANES, EventRow, Lane, RequestRow
from tui.profile.reading import lane_dials
from tui.session.dial_board import DialBoard, dial_events, stopped
from tui.session.plan import More, PlanRun, checked

BLOCK_S = 30.0  # that count
RAMP_S = 3.0  # of a turn at least, until its streams are all under way: not counted
LONGEST_RAMP_S = 120.0  # of a server that is down, say: then it is the other one's turn
LONGEST_DRAIN_S = 120.0
LOOK_S = 0.1


def abba() -> Iterator[Lane]:
    """A B B A, again and again."""
    a, b = LANES
    while True:
        yield from (a, b, b, a)


class Alternation(msgspec.Struct):
    """Whose turn it is. `turn` is told when that changes; `in_flight` says how many streams a lane still has.

    A turn counts once its streams are no longer `ramping`, and not before `slow_ms` are over. `enough` says that a
    lane needs no more of the setting now in force: its turn ends, so that a plan's steps are turns of A B, B A, A B.
    """

    turn: Callable[[Lane | None], None]
    in_flight: Callable[[Lane], int]
    slow_ms: Callable[[], float] = lambda: 0.0
    enough: Callable[[Lane], bool] = lambda _: False
    ramping: Callable[[Lane], bool] = lambda _: False
    block_s: float = BLOCK_S
    active: Lane | None = None
    _since_s: float = 0.0

    async def run(self) -> None:
        """Take turns until cancelled."""
        for lane in abba():
            if self.enough(lane):
                await asyncio.sleep(LOOK_S)  # both may have enough, until the next setting is in force
                continue
            if lane != self.active:
                await self._drain()
                self._give(lane)
            await self._block(lane)

    def counts(self, lane: Lane) -> bool:
        """Whether what the lane does now is measured: it has the turn, and its streams are under way."""
        ramp_s = max(RAMP_S, self.slow_ms() / 1000)
        is_long = asyncio.get_running_loop().time() - self._since_s > ramp_s
        return lane == self.active and is_long and not self.ramping(lane)

    def restart(self) -> None:
        """The dials were turned: what the lane did so far in this turn is of another setting."""
        self._since_s = asyncio.get_running_loop().time()

    async def _block(self, lane: Lane) -> None:
        """Until so much of the turn has counted: with answers that take long, most of it is the ramp."""
        ramp_s = counted_s = 0.0
        while counted_s < self.block_s and ramp_s < LONGEST_RAMP_S and not self.enough(lane):
            await asyncio.sleep(LOOK_S)
            if self.counts(lane):
                counted_s += LOOK_S
            else:
                ramp_s += LOOK_S

    async def _drain(self) -> None:
        """Nobody has the turn until the last stream of the lane that had it is over."""
        left, self.active = self.active, None
        self.turn(None)
        if left is not None:
            for _ in range(round(LONGEST_DRAIN_S / LOOK_S)):
                if not self.in_flight(left):
                    break
                await asyncio.sleep(LOOK_S)

    def _give(self, lane: Lane) -> None:
        self.active, self._since_s = lane, asyncio.get_running_loop().time()
        self.turn(lane)


class Measured(Protocol):
    """What the orders depend on that only the measurement knows."""

    def in_flight(self, lane: Lane) -> int:
        """Streams of the lane, as its driver last said."""
        ...

    def ramping(self, lane: Lane) -> bool:
        """Whether the lane's streams are on their way to the number asked for."""
        ...

    def slow_ms(self) -> float:
        """About how long a stream takes in the slower lane; 0 before one ended."""
        ...

    def settling(self) -> bool:
        """Whether the figures still mix two settings."""
        ...


class Orders:
    """`give` hands a lane's driver what `setting` says of it; `tell` hears of each move of a dial, plan or turn."""

    def __init__(
        self,
        profile: Profile,
        measured: Measured,
        give: Callable[[Lane, Setting], None],
        tell: Callable[[EventRow], None],
    ) -> None:
        dials = {lane: lane_dials(profile, server) for lane, server in profile.lanes.items()}
        self.board = DialBoard(dials, self._apply)
        self.plan: PlanRun | None = None
        self.alternation: Alternation | None = None
        if profile.mode == "alternate" and profile.b is not None:
            self.alternation = Alternation(
                self._turn, measured.in_flight, self._under_way_ms, self._enough, measured.ramping
            )
        self.segment = 0
        self._asked = {lane: self.board.asked(lane) for lane in dials}
        self._repeat = profile.repeat
        self._sweeps = False
        self._is_afresh = False  # nothing of an older setting runs: the turn began with the dials in force
        self._measured, self._give, self._tell = measured, give, tell

    @property
    def asked(self) -> Mapping[Lane, Dials]:
        """What each lane is asked for, whoever has the turn."""
        return self._asked

    def setting(self, lane: Lane) -> Setting:
        """What the lane's driver is to do."""
        waits = self.alternation is not None and self.alternation.active != lane
        asked = self._asked[lane]
        most = None if self.plan is None else self.plan.most(lane, asked)
        begun = 0 if self.plan is None else self.plan.begun
        dials = stopped(asked) if waits else asked
        off = not self.board.load_on  # at once: a server is not to go on while the screen says that it stopped
        return Setting(self.segment, dials, cancel=off, requests=most, plan_step_id=begun, ramp=self._spreads)

    def rests(self, lane: Lane) -> bool:
        """Whether what the lane does now is another's turn, or the beginning of its own."""
        return self.alternation is not None and not self.alternation.counts(lane)

    def start_plan(self, steps: Sequence[Step], more: More, *, settled_only: bool) -> None:
        """Run these steps from now on. UserError when there is none, or one cannot be put in force."""
        base = {lane: self.board.in_force(lane) for lane in self._asked}
        self.plan = PlanRun(
            checked(steps, base), base, self.board.jump, self.board.asked, more, self._tell_plan, self._repeat
        )
        self._sweeps = settled_only
        if settled_only:
            self.plan.settling = self._measured.settling
        self.plan.begin(time.monotonic())

    def second(
        self, end_s: float, requests: Iterable[RequestRow], resting: Collection[Lane], down: Collection[Lane]
    ) -> None:
        """A second is complete: the plan may go on to its next step."""
        if self.plan is not None:
            self.plan.second(end_s, self.segment, requests, resting, down)

    def _apply(self, asked: Mapping[Lane, Dials]) -> None:
        """The board put dials in force."""
        self.segment += 1
        self._is_afresh = False
        if self.alternation is not None:
            self.alternation.restart()
        for event in dial_events(self._asked, asked, time.monotonic_ns()):
            self._tell(event)
        self._asked = dict(asked)
        self._give_all()

    def _turn(self, lane: Lane | None) -> None:
        """The lanes take turns: load goes to this one alone, or to none while the other drains."""
        self._is_afresh = True
        self._give_all()
        if lane is not None:
            self._tell(EventRow(lane, time.monotonic_ns(), "plan", name="turn", text="its turn"))

    @property
    def _spreads(self) -> bool:
        """Whether streams begin evenly far apart: in a turn and in a sweep, but not where requests are counted.

        An operator's own move is to be in force within a second, and a study's hundred requests are sent as it says.
        """
        counts_requests = self.plan is not None and self.plan.counts_requests
        return (self.alternation is not None or self._sweeps) and not counts_requests

    def _under_way_ms(self) -> float:
        """How long after the beginning of a turn, or a move in it, streams of before may run; 0 where none can."""
        closed = all(dials.arrival == "closed" for dials in self._asked.values())
        return 0.0 if self._is_afresh and closed and self._spreads else self._measured.slow_ms()

    def _tell_plan(self, lane: Lane | Literal[""], word: str, text: str) -> None:
        self._tell(EventRow(lane, time.monotonic_ns(), "plan", name=word, text=text))
        if not lane:  # how many requests the step wants is no dial: the drivers are told of it here
            self._give_all()

    def _enough(self, lane: Lane) -> bool:
        return self.plan is not None and self.plan.enough(lane)

    def _give_all(self) -> None:
        for lane in self._asked:
            self._give(lane, self.setting(lane))
