"""Two engines that share a GPU take turns: ABBA blocks, with a drain between, so that neither measures the other.

The order A B B A cancels a drift that is linear in time, such as a GPU that warms up.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tui.records.rows import LANES, Lane

BLOCK_S = 30.0
RAMP_S = 3.0  # of a block, until its streams are all under way: not counted
LONGEST_DRAIN_S = 120.0
LOOK_S = 0.1


def abba() -> Iterator[Lane]:
    """A B B A, again and again."""
    a, b = LANES
    while True:
        yield from (a, b, b, a)


@dataclass(slots=True)
class Alternation:
    """Whose turn it is. `turn` is told when that changes; `in_flight` says how many streams a lane still has."""

    turn: Callable[[Lane | None], None]
    in_flight: Callable[[Lane], int]
    block_s: float = BLOCK_S
    active: Lane | None = None
    _since_s: float = field(default=0.0)

    async def run(self) -> None:
        """Take turns until cancelled."""
        for lane in abba():
            if lane != self.active:
                await self._drain()
                self._give(lane)
            await asyncio.sleep(self.block_s)

    def counts(self, lane: Lane) -> bool:
        """Whether what the lane does now is measured: it has the turn, and its streams are under way."""
        return lane == self.active and asyncio.get_running_loop().time() - self._since_s > RAMP_S

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
