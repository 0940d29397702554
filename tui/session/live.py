"""A live head-to-head: two lanes, one clock; every second what happened is cut off and handed on.

Whatever needs numpy or httpx is imported once the session runs, because the screen paints before that.

Frames and rows in, whole seconds and views out. Needs numpy: imported after the first paint.

The machine that makes the load.
"""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol, Self

import msgspec
from msgspec.structs import replace

from tui import __version__
from tui.load.pipe import Setting
from tui.model.profile import Profile, Step
from tui.model.rows import Batch, EventRow, Frame, GaugeRow, Lane, mark_event
from tui.model.session import LaneInfo, SessionInfo
from tui.model.units import NS_PER_S
from tui.session.dial_board import DialBoard, stopped
from tui.session.make_view import make_view
from tui.session.plan import More, PlanRun
from tui.session.schedule import Orders
from tui.session.seconds import LaneCutter, LaneNow, ViewContext
from tui.session.state import SessionState
from tui.session.view import View, blank_view

if TYPE_CHECKING:
    from tui.session.lane import LaneRun


@dataclass(slots=True)
class Rollup:
    """Holds rows until the second that they belong to is complete; then they count."""

    state: SessionState
    cutters: Mapping[Lane, LaneCutter]
    _gauges: list[GaugeRow] = field(default_factory=list)
    _events: list[EventRow] = field(default_factory=list)

    @classmethod
    def of(cls, lanes: list[Lane], t0_ns: int) -> Self:
        """An empty one."""
        return cls(SessionState(t0_ns), {lane: LaneCutter(lane) for lane in lanes})

    def known(self, t_ns: int) -> Batch:
        """What is known before the load starts, for who listens from then on."""
        return Batch(t_ns, gauges=list(self._gauges), events=list(self.state.events))

    def begin(self, t0_ns: int) -> None:
        """The load starts: second 0 is from here."""
        self.state.begin(t0_ns)

    @property
    def elapsed_s(self) -> float:
        """How long the complete seconds are."""
        return (self.state.t_ns - self.state.t0_ns) / 1e9

    def view(self, beside: ViewContext, window_s: int) -> View:
        """What a screen shows now."""
        return make_view(self.state, beside, window_s)

    def in_flight(self, lane: Lane) -> int:
        """Streams of the lane, as its driver last said."""
        return self.cutters[lane].streams

    def ramping(self, lane: Lane) -> bool:
        """Whether the lane's streams are on their way to the number asked for, as its driver last said."""
        return self.cutters[lane].ramping

    def driver_gone(self, lane: Lane) -> None:
        """A driver ended, and its streams with it."""
        self.cutters[lane].reset_flight()

    def add_frame(self, lane: Lane, frame: Frame) -> None:
        """A driver's frame."""
        self.cutters[lane].add(frame)

    def add_gauges(self, rows: list[GaugeRow]) -> None:
        """Readings of a server or of GPUs."""
        self._gauges += rows

    def add_event(self, row: EventRow, *, at_once: bool) -> None:
        """Something happened: it counts at once, or with its second."""
        if at_once:
            self.state.take_event(row)
        else:
            self._events.append(row)

    def complete(self, lane: Lane, t_ns: int) -> bool:
        """Whether the lane's driver has told everything before `t_ns`."""
        return self.cutters[lane].seen_t_ns >= t_ns

    def cut(self, start_ns: int, end_ns: int, segment: int, lanes: Mapping[Lane, LaneNow]) -> Batch:
        """The second from `start_ns` to `end_ns`, folded into the state."""
        batch = Batch(end_ns)
        for lane, now in lanes.items():
            second = self.cutters[lane].cut(start_ns, end_ns, segment, now)
            batch.seconds.append(second.row)
            batch.requests += second.requests
            batch.chunks.append((lane, second.chunks))
        batch.gauges = [row for row in self._gauges if row.t_ns < end_ns]
        batch.events = [row for row in self._events if row.t_ns < end_ns]
        self._gauges = [row for row in self._gauges if row.t_ns >= end_ns]
        self._events = [row for row in self._events if row.t_ns >= end_ns]
        self.state.apply(batch)
        return batch


def host_facts() -> dict[str, str]:
    """What is worth knowing of it when figures are compared later."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"name": socket.gethostname(), "system": platform.platform(), "cores": str(cores)}


FIRST_LANE_WAITS_S = 5.0  # for the other one, so that both start together
FRAME_GRACE_S = 0.4  # a frame is at most 0.1 s behind; a driver that is later is not waited for


class Recording(Protocol):
    """Something that keeps every batch."""

    durable_t_ns: int | None
    written_bytes: int
    note: str

    def __call__(self, batch: Batch) -> None:
        """Take a batch; must not block."""
        ...

    def close(self, ended: str, duration_s: float) -> None:
        """Everything is on the disk when this returns; it may block."""
        ...


Prepare = Callable[[Profile], Awaitable[Profile]]
Record = Callable[[SessionInfo], Recording]
Release = Callable[[], Awaitable[None]]


class LiveSession:
    """Implements `Source` and each lane's `Inbox`.

    `prepare` starts what the profile needs first (simulated engines) and gives the profile with its URLs.
    `record` makes the recorder once the servers are known; it may take a while and runs in a thread.
    `release` ends what `prepare` started.
    """

    replay = False

    def __init__(
        self,
        profile: Profile,
        *,
        prepare: Prepare | None = None,
        record: Record | None = None,
        release: Release | None = None,
    ) -> None:
        self.profile = profile
        self.info: SessionInfo | None = None
        self.recording: Recording | None = None
        self.orders = Orders(profile, self, self._give, self.event)
        self._prepare, self._record, self._release = prepare, record, release
        self._listeners: list[Callable[[Batch], None]] = []
        self._lanes: dict[Lane, LaneRun] = {}
        self._rollup: Rollup | None = None
        self._wall_ns = 0
        self._go = asyncio.Event()
        self._heard = asyncio.Event()
        self._second_over = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._incomparable = ""
        self._settled_ns: int | None = None
        self._on_second: Callable[[], None] = lambda: None
        self._task: asyncio.Task[None] | None = None

    @property
    def board(self) -> DialBoard:
        """The dials."""
        return self.orders.board

    @property
    def plan(self) -> PlanRun | None:
        """The plan that was started last."""
        return self.orders.plan

    def listen(self, listener: Callable[[Batch], None]) -> None:
        """Hand every batch of rows to `listener` as it becomes known, several times a second."""
        self._listeners.append(listener)

    async def start(self, on_second: Callable[[], None]) -> None:
        """Begin. `on_second` is called when a second is complete, and at each event before the load starts."""
        self._on_second = on_second
        self._task = asyncio.create_task(self._run())

    async def reach(self) -> dict[Lane, LaneInfo]:
        """Look at every server before anything starts. UserError when one cannot be measured."""
        await self._prepare_lanes()
        found = await asyncio.gather(*(run.first_look() for run in self._lanes.values()))
        return dict(zip(self._lanes, found, strict=True))

    @property
    def incomparable(self) -> str:
        """What makes the two servers incomparable; empty when nothing does, or it is waived."""
        return self._incomparable

    async def started(self) -> None:
        """Wait until the load runs."""
        await self._go.wait()

    async def elapsed(self, for_s: float) -> None:
        """Wait until the load has run so long and the seconds of it are complete."""
        while self._rollup is None or not self._go.is_set() or self._rollup.elapsed_s < for_s:
            self._second_over.clear()
            await self._second_over.wait()

    def start_plan(self, steps: Sequence[Step], more: More = lambda _: (), *, settled_only: bool = False) -> None:
        """Run these steps from now on. UserError when there is none, or one cannot be put in force."""
        self.orders.start_plan(steps, more, settled_only=settled_only)

    def toggle_plan(self) -> str:
        """Start the profile's plan, pause it or go on; returns one sentence where there is none."""
        runs = self.plan is not None and not self.plan.over
        if not runs and not self.profile.plan:
            return "the profile has no [[plan]]"
        if not self._go.is_set():
            return "the plan can start once the load runs"
        if not self.orders.board.load_on:
            return "the load is stopped: x starts it, and the plan can go on then"
        if self.plan is not None and runs:
            self.plan.toggle(time.monotonic())
        else:
            self.start_plan(self.profile.plan)
        return ""

    async def plan_over(self) -> None:
        """Wait until every step of the plan has been held."""
        while self.plan is None or not self.plan.over:
            self._second_over.clear()
            await self._second_over.wait()

    async def ended(self) -> None:
        """Wait until the session ends, which it does by itself only in error: then that error is raised.

        Who waits no longer does not end the session with it: the drivers' last frames are still to come.
        """
        if self._task is not None:
            await asyncio.shield(self._task)

    def view(self, window_s: int) -> View:
        """The numbers of the last whole second."""
        asked = self.orders.asked
        if self._rollup is None:
            return blank_view(self.profile, asked, window_s)
        view = self._rollup.view(ViewContext(self.profile, self._lane_infos(), asked, self._wall_ns), window_s)
        if self.plan is not None:
            view = replace(view, plan=self.plan.text())
        if self.recording is None:
            return view
        durable_ns = self.recording.durable_t_ns
        return replace(
            view,
            recording=self.info.name if self.info else "",
            recording_note=self.recording.note,
            durable_age_s=None if durable_ns is None else max(0.0, (time.monotonic_ns() - durable_ns) / NS_PER_S),
            recorded_bytes=self.recording.written_bytes,
        )

    def mark(self, text: str) -> None:
        """Put a mark at this moment."""
        self.event(mark_event(time.monotonic_ns(), text))

    async def stop(self, why: str) -> None:
        """End the load and everything started; what was recorded is complete when this returns."""
        await asyncio.gather(*(run.driver.stop() for run in self._lanes.values() if run.driver is not None))
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self.event(EventRow("", time.monotonic_ns(), "end", text=why))
        if self.recording is not None and self.info is not None:
            self._tell_lanes()
            duration_s = (time.monotonic_ns() - self.info.t0_ns) / NS_PER_S
            await asyncio.to_thread(self.recording.close, why, duration_s)
        if self._release is not None:
            await self._release()

    # Each lane's inbox.

    def frame(self, lane: Lane, frame: Frame) -> None:
        """A driver's frame: kept for its second, and handed on at once."""
        if self._rollup is not None:
            self._rollup.add_frame(lane, frame)
        self._heard.set()
        self._hand_on(Batch(frame.t_ns, requests=frame.requests, chunks=[(lane, frame.chunks)]))

    def gauges(self, rows: list[GaugeRow]) -> None:
        """Readings of a server or of GPUs."""
        if self._rollup is not None:
            self._rollup.add_gauges(rows)
        self._hand_on(Batch(time.monotonic_ns(), gauges=rows))

    def event(self, row: EventRow) -> None:
        """Something happened. Before the load runs there is no second to wait for: it is shown at once."""
        self._hand_on(Batch(row.t_ns, events=[row]))
        if self._rollup is not None:
            self._rollup.add_event(row, at_once=not self._go.is_set())
        if not self._go.is_set():
            self._on_second()

    def found(self, lane: Lane) -> None:
        """A server was recognised: the recording hears of it at once, and whether the two may be compared is looked
        at beside everything else.
        """
        self._tell_lanes()
        if self._tasks is not None and len(self._lane_infos()) > 1:
            self._tasks.create_task(self._examine())

    def driver_gone(self, lane: Lane) -> None:
        """The driver ended, and its streams with it."""
        if self._rollup is not None:
            self._rollup.driver_gone(lane)

    # What its orders depend on.

    def in_flight(self, lane: Lane) -> int:
        """Streams of the lane, as its driver last said."""
        return self._rollup.in_flight(lane) if self._rollup is not None else 0

    def ramping(self, lane: Lane) -> bool:
        """Whether the lane's streams are on their way to the number asked for."""
        return self._rollup is not None and self._rollup.ramping(lane)

    def slow_ms(self) -> float:
        """The p95 of E2E in the slower lane over the last minute; 0 before a request ended."""
        return self._rollup.state.slow_ms if self._rollup is not None else 0.0

    def settling(self) -> bool:
        """Whether the figures still mix two settings."""
        return self._rollup is None or self._rollup.state.standing.segment.settled_ns is None

    # The run.

    async def _prepare_lanes(self) -> None:
        if self._lanes:
            return
        if self._prepare is not None:
            self.profile = await self._prepare(self.profile)
        run_of, self._rollup = await asyncio.to_thread(_heavy_parts, list(self.orders.asked), self.profile)
        salt = os.urandom(8).hex()
        for lane, server in self.profile.lanes.items():
            self._lanes[lane] = run_of(
                lane, self.profile, server, salt, self, partial(self.orders.setting, lane), self._go
            )

    async def _run(self) -> None:
        await self._prepare_lanes()
        async with asyncio.TaskGroup() as self._tasks:
            for run in self._lanes.values():
                self._tasks.create_task(run.run())
            await self._all_ready()
            await self._begin()
            if self.orders.alternation is not None:
                self._tasks.create_task(self.orders.alternation.run())
            await self._seconds()

    async def _all_ready(self) -> None:
        """Until every lane has its driver, or one has and the other keeps it waiting too long."""
        waiting = {asyncio.create_task(run.ready.wait()) for run in self._lanes.values()}
        try:
            _, late = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if late:
                await asyncio.wait(late, timeout=FIRST_LANE_WAITS_S)
        finally:
            for task in waiting:
                task.cancel()

    async def _begin(self) -> None:
        """Make the recorder, start the clock, let the load go, in this order."""
        wall = datetime.now(UTC)
        info = SessionInfo(
            name=f"{wall:%Y-%m-%d_%H%M%S}_{self.profile.name}",
            profile=msgspec.to_builtins(self.profile),
            lanes={str(lane): info for lane, info in self._lane_infos().items()},
            t0_ns=time.monotonic_ns(),
            wall_ns=time.time_ns(),
            host=host_facts(),
            version=__version__,
        )
        if self._record is not None:
            self.recording = await asyncio.to_thread(self._record, info)
        assert self._rollup is not None
        self.info, self._wall_ns = info, info.wall_ns
        self._tell_lanes()  # one may have been recognised while the recorder was made
        self._rollup.begin(info.t0_ns)
        if self.recording is not None:
            self.recording(self._rollup.known(info.t0_ns))
            self._listeners.append(self._keep)
        self._go.set()

    async def _seconds(self) -> None:
        assert self._rollup is not None
        end_ns = self._rollup.state.t0_ns
        while True:
            start_ns, end_ns = end_ns, end_ns + NS_PER_S
            await asyncio.sleep(max(0.0, (end_ns - time.monotonic_ns()) / NS_PER_S))
            await self._frames_until(end_ns)
            batch = self._rollup.cut(start_ns, end_ns, self.orders.segment, self._lanes_now())
            self._hand_on(Batch(end_ns, seconds=batch.seconds))
            self._tell_settled()
            resting = {row.lane for row in batch.seconds if row.resting}
            down = {row.lane for row in batch.seconds if not row.up}
            self.orders.second(end_ns / NS_PER_S, batch.requests, resting, down)
            self._second_over.set()
            if end_ns + NS_PER_S > time.monotonic_ns():  # else more seconds are overdue: show only the last
                self._on_second()

    def _lanes_now(self) -> dict[Lane, LaneNow]:
        return {
            lane: LaneNow(self.orders.asked[lane].streams, up=run.driver is not None, resting=self.orders.rests(lane))
            for lane, run in self._lanes.items()
        }

    def _tell_settled(self) -> None:
        """The moment goes into the recording: a report counts the same seconds as the screen did."""
        assert self._rollup is not None
        settled_ns = self._rollup.state.standing.segment.settled_ns
        if settled_ns is not None and settled_ns != self._settled_ns:
            rests = all(dials == stopped(dials) for dials in self.orders.asked.values())
            told = "nothing is in flight any more" if rests else "figures count from here"
            self.event(EventRow("", settled_ns, "settled", text=told))
        self._settled_ns = settled_ns

    async def _frames_until(self, t_ns: int) -> None:
        """Wait for the frames that complete the second, but not for a driver that is late."""
        assert self._rollup is not None
        give_up_ns = t_ns + int(FRAME_GRACE_S * NS_PER_S)
        while any(run.driver and not self._rollup.complete(lane, t_ns) for lane, run in self._lanes.items()):
            left_s = (give_up_ns - time.monotonic_ns()) / NS_PER_S
            if left_s <= 0:
                return
            self._heard.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._heard.wait(), left_s)

    async def _examine(self) -> None:
        """Read both servers' settings; say what makes them incomparable, and again when that changes."""
        from tui.doctor.checks import setting_differences
        from tui.judge.comparable import reason

        why = reason(
            await setting_differences(
                self.profile, {lane: run.found for lane, run in self._lanes.items() if run.found}
            )
        )
        if why != self._incomparable:
            self._incomparable = why
            self.event(EventRow("", time.monotonic_ns(), "incomparable", text=why))

    def _tell_lanes(self) -> None:
        """Servers that are known by now belong to what is known of the session; a recorder writes them down."""
        if self.info is not None:
            self.info.lanes = {str(lane): info for lane, info in self._lane_infos().items()}

    def _lane_infos(self) -> dict[Lane, LaneInfo]:
        return {lane: run.info for lane, run in self._lanes.items() if run.info}

    def _hand_on(self, batch: Batch) -> None:
        for listener in self._listeners:
            listener(batch)

    def _keep(self, batch: Batch) -> None:
        """Hand a batch to the recorder, without its chunks where the profile says so."""
        if self.recording is not None:
            self.recording(batch if self.profile.record.chunks else replace(batch, chunks=[]))

    def _give(self, lane: Lane, setting: Setting) -> None:
        if lane in self._lanes:
            self._lanes[lane].apply(setting)


def _heavy_parts(lanes: list[Lane], profile: Profile) -> tuple[type[LaneRun], Rollup]:
    """Import what needs numpy and httpx: a few tenths of a second, spent in a thread."""
    from tui.session.lane import LaneRun
    from tui.session.verdicts import Standing

    rollup = Rollup.of(lanes, time.monotonic_ns())
    rollup.state.standing = Standing.under(profile)
    return LaneRun, rollup
