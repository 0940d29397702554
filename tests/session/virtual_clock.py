"""A clock whose time a test moves: what sleeps until then happens in order, and takes no real time."""

import asyncio
import heapq
from itertools import count

from tui.model.metrics import NS_PER_S
from tui.session.clock import Clock

START_NS = 1_000 * NS_PER_S
TURNS_OF_THE_LOOP = 30  # in which everything that follows from one moment happens, but for threads and processes
REAL_PAUSE_S = 0.0005  # of `run`, between two moments: threads have their turn


class VirtualClock(Clock):
    def __init__(self) -> None:
        self._now_ns = START_NS
        self._number = count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_ns(self) -> int:
        return self._now_ns

    async def sleep(self, seconds: float) -> None:
        awake = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_ns + round(seconds * NS_PER_S), next(self._number), awake))
        await awake

    async def advance(self, seconds: float) -> None:
        """Let so much time pass."""
        end_ns = self._now_ns + round(seconds * NS_PER_S)
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end_ns:
            await self._next()
            await self._settle()
        self._now_ns = end_ns

    async def run(self) -> None:
        """Move from one moment to the next, until cancelled."""
        while True:
            await asyncio.sleep(REAL_PAUSE_S)
            if self._sleepers:
                await self._next()

    async def _next(self) -> None:
        self._now_ns = max(self._now_ns, self._sleepers[0][0])
        while self._sleepers and self._sleepers[0][0] <= self._now_ns:
            _, _, awake = heapq.heappop(self._sleepers)
            if not awake.done():
                awake.set_result(None)

    async def _settle(self) -> None:
        for _ in range(TURNS_OF_THE_LOOP):
            await asyncio.sleep(0)
