"""Two engines that share a GPU take turns: ABBA blocks, with a drain between, so that neither measures the other.

The order A B B A cancels a drift that is linear in time, such as a GPU that warms up.
"""

import asyncio
from collections.abc import Callable, Iterator

import msgspec

from tui.records.rows import LANES, Lane

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
