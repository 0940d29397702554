"""The monotonic clock that a session runs by. Tests pass one whose time they move themselves."""

import asyncio
import time

from tui.model.metrics import NS_PER_S


class Clock:
    """Time in ns since an arbitrary moment; the drivers' stamps are of the same clock."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def now_s(self) -> float:
        return self.now_ns() / NS_PER_S

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def sleep_until(self, t_ns: int) -> None:
        await self.sleep(max(0.0, (t_ns - self.now_ns()) / NS_PER_S))

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait for the event, but no longer than this; returns whether it is set."""
        waiting = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(self.sleep(seconds))]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        return event.is_set()
