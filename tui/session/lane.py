"""The life of one lane: detect the server, start its driver and its gauges, and begin again when something dies."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field

from tui.engines.adapt import probe_and_adapt
from tui.engines.detect import DetectedServer, detect_lane
from tui.engines.probe import FailedAnswerError, RefusedError
from tui.load.driver import Driver, LanePlan, Setting
from tui.model.dials import Dials
from tui.model.profile import LaneProfile, Profile
from tui.model.rows import EventKind, EventRow, Frame, GaugeRow, Lane
from tui.model.session import LaneInfo
from tui.model.text import UserError
from tui.session.clock import Clock
from tui.session.messages import DriverEnded, EventHappened, FrameReceived, GaugesRead, Messages, ServerDetected
from tui.telemetry.gpus import gpu_reader
from tui.telemetry.server import ServerScraper
from tui.traffic.index import Index
from tui.traffic.playlist import PlaylistPlan

FIRST_LOOK_S = 30.0  # how long a run waits for it, or as long as a request may take
PROBE_S = 10.0  # how long a screen waits for the first answer of a server before it loads it all the same
REFUSED_FOR_GOOD = (400, 401, 403, 404, 405, 422)  # the load would be refused as well
FREE_FRAMES = 10  # a second without it ends the span in which the client was the limit
STOPPED = Setting(0, Dials(concurrency=0))


@dataclass(frozen=True, slots=True)
class DataCount:
    """What a lane played of its traffic file, in requests; `dropped` are rows that were left out."""

    sent: int = 0
    dropped: int = 0
    wrapped: int = 0  # times


@dataclass(slots=True)
class LaneRun:
    """One lane from the first try to reach its server until the session ends. What happens is posted.

    The load waits for `go`; from then on the driver does what `setting` says.
    """

    lane: Lane
    profile: Profile
    server: LaneProfile
    salt: str
    messages: Messages
    clock: Clock
    go: asyncio.Event
    retry_s: float
    traffic: Index | None = None
    through: bool = False  # the traffic file was played to its end
    setting: Setting = STOPPED
    ready: asyncio.Event = field(default_factory=asyncio.Event)  # it has a driver
    detected: DetectedServer | None = None
    _adapted: tuple[DetectedServer, DetectedServer] | None = None  # as detected, and as requests are made for it
    driver: Driver | None = None
    _back: asyncio.Event = field(default_factory=asyncio.Event)  # the server answers again
    _down: str = ""
    _starts: int = 0  # of drivers before this one
    _bound_for: int = 0  # frames until the client is no longer called the limit
    _position: int = 0  # in the list of requests, as far as a frame says: each is sent once
    _sent: int = 0  # by drivers before this one
    _dropped: int = 0
    _data: DataCount = DataCount()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            detected = self.detected = await self._detect()
            self.messages.put_nowait(ServerDetected(self.lane))
            async with asyncio.TaskGroup() as tasks:
                watchers = [tasks.create_task(watch) for watch in (*self._watchers(detected), self._detect_again())]
                await self._drive(detected)
                for watcher in watchers:
                    watcher.cancel()
            await self.clock.sleep(self.retry_s)

    async def first_look(self) -> LaneInfo:
        """Detect the server once. UserError when it cannot be measured."""
        server = self.detected = await detect_lane(self.server, timeout_s=self.profile.load.connect_timeout_s)
        self.detected = await self._adapt(server, max(FIRST_LOOK_S, self.profile.load.read_timeout_s))
        return self.detected.info

    @property
    def info(self) -> LaneInfo | None:
        """The server as it was detected."""
        return self.detected.info if self.detected else None

    @property
    def up(self) -> bool:
        """Whether a driver runs."""
        return self.driver is not None

    def apply(self, setting: Setting) -> None:
        self.setting = setting
        if self.driver is not None and self.go.is_set():
            self.driver.set(setting)

    async def stop(self) -> None:
        """End the driver; its last frame is posted before it is gone."""
        if self.driver is not None:
            await self.driver.stop()

    def _event(self, kind: EventKind, name: str = "", text: str = "", *, new: str = "") -> None:
        row = EventRow(self.lane, self.clock.now_ns(), kind, name=name, new=new, text=text)
        self.messages.put_nowait(EventHappened(row))

    async def _detect(self) -> DetectedServer:
        while True:
            try:
                server = await self._detect_once()
            except UserError as error:
                self._set_down(str(error))
                await self.clock.sleep(self.retry_s)
            else:
                self._set_down("")
                info = server.info
                self._event("start", text=f"{info.title} {info.version}, {info.model}, at {info.url}")
                for sentence in info.adapted:
                    self._event("adapted", text=sentence)
                return server

    async def _detect_once(self) -> DetectedServer:
        """Detect the server, and what it refuses. UserError when nobody is there, or nothing suits it.

        A server that is there and fails otherwise gets its load: that shows how it fails.
        """
        server = await detect_lane(self.server, timeout_s=self.profile.load.connect_timeout_s)
        if (known := self._adapted) is not None and known[0] == server:
            return known[1]
        try:
            return await self._adapt(server, PROBE_S)
        except RefusedError as refusal:
            if refusal.answer.status in REFUSED_FOR_GOOD:
                raise
            return server
        except UserError:
            return server

    async def _adapt(self, server: DetectedServer, timeout_s: float) -> DetectedServer:
        """Find out what the server refuses. UserError when it does not stream."""
        try:
            adapted, _ = await probe_and_adapt(server, timeout_s=timeout_s)
        except FailedAnswerError as failed:  # it streams: the load counts what fails
            return failed.server or server
        self._adapted = (server, adapted)
        return adapted

    def _plan(self, server: DetectedServer) -> LanePlan:
        load = self.profile.load
        return LanePlan(
            lane=self.lane,
            url=server.info.url,
            path=server.request_path,
            engine=server.info.engine,
            model=server.info.model,
            endpoint=server.info.endpoint,
            prompt_form=server.info.prompt_form,
            usage=self.server.usage,
            token_pool=server.token_pool,
            seed=load.seed,
            first_request=self._position,
            salt=f"{self.salt} {self._starts}",  # a driver started again must not find its prompts cached
            output_jitter=load.output_jitter,
            think_s=load.think_s,
            connect_timeout_s=load.connect_timeout_s,
            read_timeout_s=load.read_timeout_s,
            verify_tls=self.server.verify_tls,
            headers=dict(server.headers),
            changes=server.changes,
            traffic=self._playlist(),
            session_header=self.profile.data.session_header,
        )

    def _playlist(self) -> PlaylistPlan | None:
        """What is played in place of synthetic prompts; both lanes play the same."""
        if self.traffic is None:
            return None
        data = self.profile.data
        return PlaylistPlan(
            index=self.traffic,
            order=data.order,
            wrap=data.repeat != "stop",
            max_input=data.max_input,
            max_output=data.max_output,
            seed=self.profile.load.seed,
            salt=self.salt[:4] if data.salt else "",
        )

    @property
    def data(self) -> DataCount | None:
        """How much of the traffic file was played; None where there is none."""
        return None if self.traffic is None else self._data

    async def _drive(self, server: DetectedServer) -> None:
        """Run one driver until it ends by itself, which it should not."""
        driver = self.driver = await Driver.start(self._plan(server), STOPPED)
        self._starts += 1
        self.ready.set()
        try:
            await self.go.wait()
            driver.set(self.setting)
            async for frame in driver.frames():
                self._position = frame.position
                self._count_data(frame)
                self._set_down(frame.down)
                self._set_bound(frame.bound)
                self.messages.put_nowait(FrameReceived(self.lane, frame))
        finally:
            self.driver = None
            self._sent, self._dropped = self._data.sent, self._data.dropped
            await driver.stop()
            self.messages.put_nowait(DriverEnded(self.lane))
        if driver.reason:  # none where it was asked to end: the session is over, and the server as well as it was
            self._set_down(f"the load driver ended: {driver.reason}; it is started again")

    def _count_data(self, frame: Frame) -> None:
        """Follow the traffic file, and say when it begins again or is through."""
        if self.traffic is None:
            return
        wraps = max(frame.position - 1, 0) // self.traffic.conversations
        if wraps > self._data.wrapped:
            self._event("data", "again", "the traffic file begins again: prefix caches may know its prompts now")
        if frame.through and not self.through:
            self._event("data", "through", "the traffic file is through")
        self.through = frame.through
        self._data = DataCount(self._sent + frame.started_total, self._dropped + frame.dropped_total, wraps)

    async def _detect_again(self) -> None:
        """See what came back each time the server was down: other settings may be comparable, or no longer.

        A driver that was made for another engine, model or vocabulary is ended, and one is started for this.
        """
        while True:
            await self._back.wait()
            self._back.clear()
            try:
                server = await self._detect_once()
            except UserError:
                continue  # down again already, which the driver reports
            before, self.detected = self.detected, server
            self.messages.put_nowait(ServerDetected(self.lane))
            if self.driver and before and (before.info, before.token_pool) != (server.info, server.token_pool):
                self.driver.reason = "another server came back"
                await self.driver.stop()
                return

    def _set_down(self, why: str) -> None:
        if why and why != self._down:
            self._event("down", text=why)
        elif self._down and not why:
            self._event("up")
            self._back.set()
        self._down = why

    def _set_bound(self, why: str) -> None:
        """Mark where a span begins in which the client is the limit, and where it ends."""
        if why and not self._bound_for:
            self._event("bound", text=why, new="on")
        elif self._bound_for == 1 and not why:
            self._event("bound", new="off")
        self._bound_for = FREE_FRAMES if why else max(self._bound_for - 1, 0)

    def _watchers(self, server: DetectedServer) -> list[Coroutine[None, None, None]]:
        scraper = ServerScraper(self.lane, server)
        reader = gpu_reader(self.lane, url=server.info.url, server=self.server)
        return [
            scraper.run(self._post_gauges, lambda text: self._event("fault", "server", text)),
            reader.run(self._post_gauges, lambda text: self._event("fault", "gpu", text)),
        ]

    def _post_gauges(self, rows: list[GaugeRow]) -> None:
        self.messages.put_nowait(GaugesRead(rows))
