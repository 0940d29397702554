"""The life of one lane: find the server, start its driver and its gauges, and begin again when something dies."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Protocol

from tui.engines.detect import DetectedServer, detect_lane
from tui.engines.probe import probe_stream
from tui.load.driver import Driver
from tui.load.pipe import LanePlan, Setting
from tui.model.dials import Dials
from tui.model.profile import LaneProfile, Profile
from tui.model.rows import EventKind, EventRow, Frame, GaugeRow, Lane
from tui.model.session import LaneInfo
from tui.model.text import UserError
from tui.telemetry.gpus import gpu_reader
from tui.telemetry.server import ServerScraper

RETRY_S = 2.0
FREE_FRAMES = 10  # a second without it ends the span in which the client was the limit
STOPPED = Setting(0, Dials(concurrency=0))


class Inbox(Protocol):
    """Where a lane puts what it hears."""

    def frame(self, lane: Lane, frame: Frame) -> None:
        """A driver's frame."""
        ...

    def gauges(self, rows: list[GaugeRow]) -> None:
        """Readings of the server or of GPUs."""
        ...

    def event(self, row: EventRow) -> None:
        """Something happened."""
        ...

    def found(self, lane: Lane) -> None:
        """A server was recognised, for the first time or again."""
        ...

    def driver_gone(self, lane: Lane) -> None:
        """The driver ended, and its streams with it."""
        ...


@dataclass(slots=True)
class LaneRun:
    """One lane from the first try to reach its server until the session ends."""

    lane: Lane
    profile: Profile
    server: LaneProfile
    salt: str
    inbox: Inbox
    asked: Callable[[], Setting]
    go: asyncio.Event
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    found: DetectedServer | None = None
    driver: Driver | None = None
    _back: asyncio.Event = field(default_factory=asyncio.Event)  # the server answers again
    _down: str = ""
    _starts: int = 0  # of drivers before this one
    _bound_for: int = 0  # frames until the client is no longer called the limit
    _requests: int = 0  # begun in this session, as far as a frame told: a number is given once

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            found = self.found = await self._find()
            self.inbox.found(self.lane)
            async with asyncio.TaskGroup() as tasks:
                watchers = [tasks.create_task(watch) for watch in (*self._watchers(found), self._look_again())]
                await self._drive(found)
                for watcher in watchers:
                    watcher.cancel()
            await asyncio.sleep(RETRY_S)

    async def first_look(self) -> LaneInfo:
        """Find the server once. UserError when it cannot be measured."""
        self.found = await self._recognise()
        await probe_stream(self.found)
        return self.found.info

    @property
    def info(self) -> LaneInfo | None:
        """The server as found."""
        return self.found.info if self.found else None

    def apply(self, setting: Setting) -> None:
        """Turn the driver's dials."""
        if self.driver is not None and self.go.is_set():
            self.driver.set(setting)

    def event(self, kind: EventKind, name: str = "", text: str = "", *, new: str = "") -> None:
        """Say that something happened in this lane, now."""
        self.inbox.event(EventRow(self.lane, time.monotonic_ns(), kind, name=name, new=new, text=text))

    async def _find(self) -> DetectedServer:
        while True:
            try:
                found = await self._recognise()
            except UserError as error:
                self._set_down(str(error))
                await asyncio.sleep(RETRY_S)
            else:
                self._set_down("")
                info = found.info
                self.event("start", text=f"{info.title} {info.version}, {info.model}, at {info.url}")
                return found

    async def _recognise(self) -> DetectedServer:
        return await detect_lane(self.server, timeout_s=self.profile.load.connect_timeout_s)

    def _plan(self, found: DetectedServer) -> LanePlan:
        load = self.profile.load
        return LanePlan(
            lane=self.lane,
            url=found.info.url,
            engine=found.info.engine,
            model=found.info.model,
            endpoint=found.info.endpoint,
            prompt_form=found.info.prompt_form,
            usage=self.server.usage,
            token_pool=found.token_pool,
            seed=load.seed,
            first_request=self._requests,
            salt=f"{self.salt} {self._starts}",  # a driver started again must not find its own prompts cached
            output_jitter=load.output_jitter,
            think_s=load.think_s,
            connect_timeout_s=load.connect_timeout_s,
            read_timeout_s=load.read_timeout_s,
            verify_tls=self.server.verify_tls,
            headers=dict(found.headers),
            extra_body=dict(self.server.extra_body),
        )

    async def _drive(self, found: DetectedServer) -> None:
        """Run one driver until it ends by itself, which it should not."""
        driver = self.driver = await Driver.start(self._plan(found), STOPPED)
        self._starts += 1
        before = self._requests
        self.ready.set()
        try:
            await self.go.wait()
            driver.set(self.asked())
            async for frame in driver.frames():
                self._requests = before + frame.started_total
                self._set_down(frame.down)
                self._set_bound(frame.bound)
                self.inbox.frame(self.lane, frame)
        finally:
            self.driver = None
            await driver.stop()
            self.inbox.driver_gone(self.lane)
        if driver.reason:  # none where it was asked to end: the session is over, and the server as well as it was
            self._set_down(f"the load driver ended: {driver.reason}; it is started again")

    async def _look_again(self) -> None:
        """See what came back each time the server was down: other settings may be comparable, or no longer.

        A driver that was made for another engine, model or vocabulary is ended, and one is started for this.
        """
        while True:
            await self._back.wait()
            self._back.clear()
            try:
                found = await self._recognise()
            except UserError:
                continue  # down again already, which the driver tells
            before, self.found = self.found, found
            self.inbox.found(self.lane)
            if self.driver and before and (before.info, before.token_pool) != (found.info, found.token_pool):
                self.driver.reason = "another server came back"
                await self.driver.stop()
                return

    def _set_down(self, why: str) -> None:
        if why and why != self._down:
            self.event("down", text=why)
        elif self._down and not why:
            self.event("up")
            self._back.set()
        self._down = why

    def _set_bound(self, why: str) -> None:
        """Tell where a span begins in which the client is the limit, and where it ends."""
        if why and not self._bound_for:
            self.event("bound", text=why, new="on")
        elif self._bound_for == 1 and not why:
            self.event("bound", new="off")
        self._bound_for = FREE_FRAMES if why else max(self._bound_for - 1, 0)

    def _watchers(self, found: DetectedServer) -> list[Coroutine[None, None, None]]:
        scraper = ServerScraper(self.lane, found)
        reader = gpu_reader(self.lane, url=found.info.url, dcgm_url=self.server.dcgm, gpus=self.server.gpus)
        return [
            scraper.run(self.inbox.gauges, lambda text: self.event("fault", "server", text)),
            reader.run(self.inbox.gauges, lambda text: self.event("fault", "gpu", text)),
        ]
