"""A session without a screen: what ends it, and the rows that its summary is made of."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tui.model.rows import LANES, Batch, EventRow, Lane, RequestRow, SecondRow
from tui.model.session import SessionInfo
from tui.session.seconds import ChunkGaps
from tui.session.state import LatencyHistogram

if TYPE_CHECKING:
    from tui.session.live import LiveSession


class Interruption:
    """Set by the first signal that asks for an end, which it keeps."""

    def __init__(self) -> None:
        self.signal = 0
        self.event = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._interrupt, number)

    def _interrupt(self, number: int) -> None:
        self.signal = self.signal or number
        self.event.set()


Complete = Callable[["LiveSession"], Coroutine[None, None, None]]  # returns when a session has done its work


async def run_until(session: LiveSession, complete: Complete, interrupted: asyncio.Event | None = None) -> None:
    """Start a session; return when it is complete or interrupted. Raises the error that ended it."""
    await session.reach()
    await session.start(lambda: None)
    ended = asyncio.create_task(session.ended())
    completed = asyncio.create_task(complete(session))
    tasks: list[asyncio.Task[Any]] = [ended, completed, asyncio.create_task((interrupted or asyncio.Event()).wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in (ended, completed):
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])


class CollectedRows:
    """A listener that keeps what a summary needs; the recording is not read back.

    `on_second` is given the rows of each complete second, one a lane.
    """

    def __init__(self, on_second: Callable[[list[SecondRow]], None]) -> None:
        self._on_second = on_second
        self._requests: list[RequestRow] = []
        self._seconds: list[SecondRow] = []
        self._events: list[EventRow] = []
        self._gaps: dict[Lane, ChunkGaps] = {lane: ChunkGaps() for lane in LANES}
        self._itl: dict[Lane, LatencyHistogram] = {lane: LatencyHistogram() for lane in LANES}

    def __call__(self, batch: Batch) -> None:
        """Add a batch."""
        self._requests += batch.requests
        self._events += batch.events
        for lane, chunks in batch.chunks:
            gaps = self._gaps[lane].feed(chunks)
            self._itl[lane].add(gaps.itl_ms, gaps.tokens)
        for lane in LANES:
            self._gaps[lane].forget([r.request for r in batch.requests if r.lane == lane])
        self._seconds += batch.seconds
        if batch.seconds:
            self._on_second(batch.seconds)

    def down(self) -> list[Lane]:
        """The lanes whose server no longer answered as the run ended."""
        last = {row.lane: row for row in self._seconds}
        return [lane for lane, row in last.items() if not row.up]

    def summary(self, info: SessionInfo) -> dict[str, Any]:
        """The object of `run --json`."""
        from tui.recording.schema import frame_of_rows
        from tui.report.summary import summary

        requests, seconds = frame_of_rows("requests", self._requests), frame_of_rows("seconds", self._seconds)
        return summary(info, requests, seconds, self._itl, self._events)
