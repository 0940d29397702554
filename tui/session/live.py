"""A live head-to-head: two lanes, one clock; each second is cut, folded into the state and shown.

Lanes and the dial board post messages to one queue, which is read here. What needs numpy or httpx is imported once
the session runs, because the screen paints before that.
"""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tui import __version__
from tui.model.dials import TrafficKind
from tui.model.metrics import NS_PER_S
from tui.model.profile import Limits, Profile, Step, limits_text
from tui.model.rows import Batch, EventRow, Lane, mark_event
from tui.model.session import LaneInfo, SessionInfo
from tui.profile.reading import lane_dials
from tui.session.clock import Clock
from tui.session.dial_board import DialBoard, stopped
from tui.session.load_limits import LoadLimits
from tui.session.messages import (
    DialsSet,
    DriverEnded,
    EventHappened,
    FrameReceived,
    GaugesRead,
    Message,
    Messages,
    PlanMoved,
    ServerDetected,
)
from tui.session.plan import FurtherSteps, PlanRun, StepEnd
from tui.session.schedule import TICKS_PER_S, LoadSchedule
from tui.session.timeline import dials_after
from tui.session.view import HISTORY_S, Judgement, View, blank_view
from tui.stats.verdict import DELTA, METHOD, Verdict

if TYPE_CHECKING:
    from tui.recording.recorder import Recorder
    from tui.session.lane import DataCount, LaneRun
    from tui.session.seconds import LaneCondition, SessionCutter, ViewContext
    from tui.session.state import SessionState
    from tui.simulator.process import SimulatedLanes
    from tui.traffic.index import Index

RETRY_S = 2.0  # after a server did not answer, or a driver died
FIRST_LANE_WAITS_S = 5.0  # for the other one, so that both start together
FRAME_GRACE_S = 0.4  # a frame is at most 0.1 s behind; a driver that is later is not waited for

Record = Callable[[SessionInfo], "Recorder"]


def traffic_kind(profile: Profile, index: Index | None) -> TrafficKind:
    """What the traffic gives dials a meaning."""
    if index is None:
        return TrafficKind(pauses=profile.load.think_s > 0)
    return TrafficKind(file=True, times=index.has_times, pauses=index.max_turns > 1, shared_prefix=False)


def _index_of(profile: Profile) -> Index | None:
    if not profile.data.file:
        return None
    from tui.traffic.index import index_of  # not for synthetic load: the first paint would wait for it

    return index_of(profile.data)


def traffic_record(profile: Profile, index: Index | None) -> dict[str, Any]:
    """What a session says of its traffic file: enough to play it again, and no text of it."""
    if index is None:
        return {}
    return {
        "name": index.name,
        "bytes": index.file_bytes,
        "sha256": index.sha256,
        "form": index.form,
        "conversations": index.conversations,
        "requests": index.requests,
        "skipped": dict(index.skipped),
        "order": profile.data.order,
        "seed": profile.load.seed,
    }


def host_facts() -> dict[str, str]:
    """What is worth knowing of this machine when figures are compared later."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"name": socket.gethostname(), "system": platform.platform(), "cores": str(cores)}


class LiveSession:
    """Implements `Source`.

    `record` makes the recorder once the servers are known; it may take a while and runs in a thread.
    """

    replay = False

    def __init__(
        self,
        profile: Profile,
        *,
        record: Record | None = None,
        clock: Clock | None = None,
        first_lane_waits_s: float = FIRST_LANE_WAITS_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self.profile = profile
        self.info: SessionInfo | None = None
        self.recorder: Recorder | None = None
        self.incomparable = ""  # what makes the servers incomparable; empty when nothing does, or it is waived
        self.clock = clock or Clock()
        self._first_dials = {lane: lane_dials(profile, server) for lane, server in profile.lanes.items()}
        self._messages: Messages = asyncio.Queue()
        self.traffic = _index_of(profile)
        self.board = DialBoard(self._first_dials, self._messages, self.clock, traffic_kind(profile, self.traffic))
        self.schedule = LoadSchedule(profile, self._first_dials)
        self._word = ""  # of the throughput, as last decided
        self.watched = False  # by an operator, who may stop it when he likes what he sees
        self._record = record
        self._first_lane_waits_s, self._retry_s = first_lane_waits_s, retry_s
        self._simulators: SimulatedLanes | None = None
        self._listeners: list[Callable[[Batch], None]] = []
        self._lanes: dict[Lane, LaneRun] = {}
        self._state: SessionState | None = None  # once a lane is prepared, and so the cutter
        self._cutter: SessionCutter | None = None
        self._go = asyncio.Event()
        self._frame_came = asyncio.Event()
        self._second_over = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._settled_ns: int | None = None
        self._judged: Judgement | None = None  # of the last whole second
        self._history: deque[Mapping[str, Verdict]] = deque(maxlen=HISTORY_S)
        self._slow_ms = 0.0
        self._on_second: Callable[[], None] = lambda: None
        self._task: asyncio.Task[None] | None = None

    @property
    def plan(self) -> PlanRun | None:
        """The plan that was started last."""
        return self.schedule.plan

    def limit(self, limits: LoadLimits) -> None:
        """Keep the load within these, from now on."""
        self.schedule.limits = limits
        self.board.max_streams = limits.max_streams

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
        infos = await asyncio.gather(*(run.first_look() for run in self._lanes.values()))
        return dict(zip(self._lanes, infos, strict=True))

    async def started(self) -> None:
        """Wait until the load runs."""
        await self._go.wait()

    async def elapsed(self, for_s: float) -> None:
        """Wait until the load has run so long and the seconds of it are complete."""
        while self._state is None or not self._go.is_set() or self._state.elapsed_s < for_s:
            self._second_over.clear()
            await self._second_over.wait()

    def start_plan(
        self, steps: Sequence[Step], more: FurtherSteps = lambda _: (), step_end: StepEnd = "time"
    ) -> None:
        """Run these steps from now on. UserError when there is none, or one cannot be put in force."""
        base = {lane: self.board.in_force(lane) for lane in self._first_dials}
        self._follow_plan(self.schedule.start_plan(steps, base, more, self.clock.now_ns(), step_end))

    def toggle_plan(self) -> str:
        """Start the profile's plan, pause it or go on; returns one sentence where there is none."""
        runs = self.plan is not None and not self.plan.over
        if not runs and not self.profile.plan:
            return "the profile has no [[plan]]"
        if not self._go.is_set():
            return "the plan can start once the load runs"
        if not self.board.load_on:
            return "the load is stopped: x starts it, and the plan can go on then"
        if self.plan is not None and runs:
            self._follow_plan(self.plan.toggle(self.clock.now_s()))
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
        if self._state is None:
            return blank_view(self.profile, self.schedule.dials, window_s)
        from tui.session.make_view import make_view

        judged = self._judged and replace(self._judged, history=list(self._history))
        view = make_view(self._state, self._context(), window_s, judged)
        if self.plan is not None:
            view = replace(view, plan=self.plan.text())
        if self.recorder is None:
            return view
        durable_ns = self.recorder.durable_t_ns
        return replace(
            view,
            recording=self.info.name if self.info else "",
            recording_note=self.recorder.note,
            durable_age_s=None if durable_ns is None else max(0.0, (self.clock.now_ns() - durable_ns) / NS_PER_S),
            recorded_bytes=self.recorder.written_bytes,
        )

    def set_limits(self, limits: Limits) -> str:
        """Count goodput by these limits from now on; the recording says so."""
        known = self._state.limits if self._state is not None else None
        old = limits_text(self.profile.slo if known is None else known)
        self._add_event(EventRow("", self.clock.now_ns(), "limits", old=old, new=limits_text(limits)))
        return ""

    def mark(self, text: str) -> None:
        self._add_event(mark_event(self.clock.now_ns(), text))

    async def stop(self, why: str) -> None:
        """End the load and everything started; what was recorded is complete when this returns."""
        await asyncio.gather(*(run.stop() for run in self._lanes.values()))
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._read_waiting()  # what the drivers sent last
        self._add_event(EventRow("", self.clock.now_ns(), "end", text=why))
        if self.recorder is not None and self.info is not None:
            self._record_lanes()
            duration_s = (self.clock.now_ns() - self.info.t0_ns) / NS_PER_S
            await asyncio.to_thread(self.recorder.close, why, duration_s)
        if self._simulators is not None:
            await self._simulators.stop()

    # The messages.

    async def _read(self) -> None:
        while True:
            self._take(await self._messages.get())

    def _read_waiting(self) -> None:
        while not self._messages.empty():
            self._take(self._messages.get_nowait())

    def _take(self, message: Message) -> None:
        match message:
            case FrameReceived():
                self._take_frame(message)
            case GaugesRead(rows):
                if self._cutter is not None:
                    self._cutter.gauges += rows
                self._hand_on(Batch(self.clock.now_ns(), gauges=rows))
            case EventHappened(row):
                self._add_event(row)
            case DialsSet(dials):
                for event in self.schedule.set_dials(dials, self.clock.now_ns()):
                    self._add_event(event)
                self._give_settings()
            case ServerDetected():
                self._server_detected()
            case DriverEnded(lane):
                if self._cutter is not None:
                    self._cutter.lanes[lane].reset_flight()

    def _server_detected(self) -> None:
        """The recording names it at once; meanwhile it is looked whether the two may be compared."""
        self._record_lanes()
        contexts = [info.max_model_len for info in self._lane_infos().values() if info.max_model_len]
        if (context := min(contexts, default=0)) != self.schedule.context:
            self.schedule.context = context
            self._give_settings()
        if self._tasks is not None and len(self._lane_infos()) > 1:
            self._tasks.create_task(self._compare_settings())

    def _take_frame(self, message: FrameReceived) -> None:
        """It is kept for its second, and handed on at once."""
        lane, frame = message.lane, message.frame
        chunks = frame.chunks if self._cutter is None else self._cutter.lanes[lane].add(frame)
        self._frame_came.set()
        self._hand_on(Batch(frame.t_ns, requests=frame.requests, chunks=[(lane, chunks)]))
        if frame.requests and (why := self.schedule.limits.take(lane, frame.requests)):
            self._add_event(EventRow(lane, self.clock.now_ns(), "slowed", text=why))
            self._give_settings()

    def _add_event(self, row: EventRow) -> None:
        """It counts with its second; at once where that is over already, or before the load runs."""
        self._hand_on(Batch(row.t_ns, events=[row]))
        if self._state is not None and self._cutter is not None:
            if not self._go.is_set() or row.t_ns < self._state.t_ns:
                self._state.take_event(row)
            else:
                self._cutter.events.append(row)
        if not self._go.is_set():
            self._on_second()

    def _follow_plan(self, move: PlanMoved) -> None:
        if move.dials is not None:
            self.board.jump(move.dials)
            self._read_waiting()  # the dials are in force before the step is
        self._add_event(EventRow(move.lane, self.clock.now_ns(), "plan", name=move.name, text=move.text))
        self._give_settings()  # how many requests the step wants is no dial

    def _give_settings(self) -> None:
        for lane, setting in self.schedule.settings(load_on=self.board.load_on).items():
            if lane in self._lanes:
                self._lanes[lane].apply(setting)

    async def stop_simulator(self, lane: Lane) -> None:
        """End the simulated engine of a lane, as a crash would."""
        if self._simulators is not None:
            await self._simulators.crash(lane)

    async def start_simulator(self, lane: Lane) -> None:
        """Start a simulated engine that was ended again, at its URL."""
        if self._simulators is not None:
            await self._simulators.revive(lane, self.profile.lanes[lane].simulate)

    # The run.

    async def _prepare_lanes(self) -> None:
        if self._lanes:
            return
        if any(server.simulate for server in self.profile.lanes.values()):
            from tui.simulator.process import SimulatedLanes

            self._simulators = SimulatedLanes()
            self.profile = await self._simulators.start(self.profile)
        make_lane, self._state, self._cutter = await asyncio.to_thread(_heavy_parts, self.profile, self.clock)
        salt = os.urandom(8).hex()
        for lane, server in self.profile.lanes.items():
            self._lanes[lane] = make_lane(
                lane, self.profile, server, salt, self._messages, self.clock, self._go, self._retry_s, self.traffic
            )
        self._give_settings()

    async def _run(self) -> None:
        await self._prepare_lanes()
        async with asyncio.TaskGroup() as self._tasks:
            self._tasks.create_task(self._read())
            for run in self._lanes.values():
                self._tasks.create_task(run.run())
            await self._all_ready()
            await self._begin()
            if self.schedule.turns is not None:
                self._tasks.create_task(self._take_turns())
            await self._seconds()

    async def _all_ready(self) -> None:
        """Until every lane has its driver, or one has and the other keeps it waiting too long."""
        ready = {asyncio.create_task(run.ready.wait()) for run in self._lanes.values()}
        try:
            _, late = await asyncio.wait(ready, return_when=asyncio.FIRST_COMPLETED)
            if late:
                patience = asyncio.create_task(self.clock.sleep(self._first_lane_waits_s))
                await asyncio.wait({*late, patience}, return_when=asyncio.FIRST_COMPLETED)
                patience.cancel()
        finally:
            for task in ready:
                task.cancel()

    async def _begin(self) -> None:
        """Make the recorder, start the clock, let the load go, in this order."""
        wall = datetime.now(UTC)
        info = SessionInfo(
            name=f"{wall:%Y-%m-%d_%H%M%S}_{self.profile.name}",
            profile=msgspec.to_builtins(self.profile),
            lanes={str(lane): info for lane, info in self._lane_infos().items()},
            t0_ns=self.clock.now_ns(),
            wall_ns=time.time_ns(),
            host=host_facts(),
            version=__version__,
            verdict_method=METHOD,
            watched=self.watched,
            traffic=traffic_record(self.profile, self.traffic),
        )
        if self._record is not None:
            self.recorder = await asyncio.to_thread(self._record, info)
        self._read_waiting()
        assert self._state is not None
        assert self._cutter is not None
        self.info = info
        self._record_lanes()  # one may have been detected while the recorder was made
        self._state.begin(info.t0_ns)
        if self.recorder is not None:
            known = Batch(info.t0_ns, gauges=list(self._cutter.gauges), events=list(self._state.events))
            self.recorder(known)
            self._listeners.append(self._keep)
        self._go.set()

    async def _seconds(self) -> None:
        assert self._state is not None
        end_ns = self._state.t0_ns
        while True:
            start_ns, end_ns = end_ns, end_ns + NS_PER_S
            await self.clock.sleep_until(end_ns)
            await self._frames_until(end_ns)
            self._read_waiting()  # what happened before the second ended counts in it, as in a replay
            self._cut_second(start_ns, end_ns)
            self._second_over.set()
            if end_ns + NS_PER_S > self.clock.now_ns():  # else more seconds are overdue: show only the last
                self._on_second()

    def _cut_second(self, start_ns: int, end_ns: int) -> None:
        assert self._state is not None
        assert self._cutter is not None
        batch = self._cutter.cut(start_ns, end_ns, self.schedule.segment, self._conditions())
        self._state.apply(batch)
        self._judge()
        self._slow_ms = self._state.slow_ms
        self._hand_on(Batch(end_ns, seconds=batch.seconds))
        self._say_settled()
        asked = {lane: self.board.asked(lane) for lane in self._first_dials}
        settling = self._state.settled_ns is None
        verdict = self.view(1).verdicts.get("output_tps") if self.schedule.waits_for_verdict else None
        state = verdict.state if verdict is not None else None
        for move in self.schedule.second(batch, asked, settling=settling, state=state):
            self._follow_plan(move)

    def _judge(self) -> None:
        """Once a second, whether a screen looks or not: a replay keeps what was said of each."""
        from tui.session.make_view import judgement

        assert self._state is not None
        self._judged = judgement(self._state, self._context())
        self._history.append(self._judged.verdicts)
        self._say_verdict(self._judged.verdicts["output_tps"])

    def _say_verdict(self, verdict: Verdict) -> None:
        """A word on the throughput that falls or is taken back goes into the recording, with its method's number."""
        from tui.judge.sentence import AHEAD, Setup, lane_names, verdict_sentence

        assert self._state is not None
        words = {*AHEAD, "level"}
        word = verdict.word if verdict.word in words else ""
        if word != self._word and (word or verdict.state == "measuring"):
            setup = Setup(names=lane_names(self._lane_infos()), delta=self.profile.delta or DELTA)
            text = verdict_sentence(verdict, setup).text if word else "no longer sure"
            event = EventRow("", self._state.t_ns, "verdict", f"method {verdict.method}", self._word, word, text)
            self._add_event(event)
        self._word = word

    def _context(self) -> ViewContext:
        from tui.session.seconds import ViewContext

        assert self._state is not None
        dials = dials_after(self._first_dials, self._state.dial_events)
        return ViewContext(self.profile, self._lane_infos(), dials, self.info.wall_ns if self.info else 0)

    @property
    def data(self) -> dict[Lane, DataCount]:
        """What each lane played of the traffic file; empty where there is none."""
        return {lane: run.data for lane, run in self._lanes.items() if run.data is not None}

    async def played(self) -> None:
        """Wait until a lane has played the traffic file to its end: there the comparison's sample ends."""
        while not any(run.through for run in self._lanes.values()):
            self._second_over.clear()
            await self._second_over.wait()

    def _conditions(self) -> Mapping[Lane, LaneCondition]:
        from tui.session.seconds import LaneCondition

        dials = {lane: self.schedule.limits.allowed(lane, each) for lane, each in self.schedule.dials.items()}
        sample_over = any(run.through for run in self._lanes.values())
        return {
            lane: LaneCondition(dials[lane].streams, up=run.up, resting=self.schedule.rests(lane) or sample_over)
            for lane, run in self._lanes.items()
        }

    def _say_settled(self) -> None:
        """The moment goes into the recording: a report counts the same seconds as the screen did."""
        assert self._state is not None
        settled_ns = self._state.settled_ns
        if settled_ns is not None and settled_ns != self._settled_ns:
            idle = all(dials == stopped(dials) for dials in self.schedule.dials.values())
            text = "nothing is in flight any more" if idle else "figures count from here"
            self._add_event(EventRow("", settled_ns, "settled", text=text))
        self._settled_ns = settled_ns

    async def _frames_until(self, t_ns: int) -> None:
        """Wait for the frames that complete the second, but not for a driver that is late."""
        assert self._cutter is not None
        give_up_ns = t_ns + int(FRAME_GRACE_S * NS_PER_S)
        cutters = self._cutter.lanes
        while any(run.up and cutters[lane].seen_t_ns < t_ns for lane, run in self._lanes.items()):
            left_s = (give_up_ns - self.clock.now_ns()) / NS_PER_S
            if left_s <= 0:
                return
            self._frame_came.clear()
            await self.clock.wait(self._frame_came, left_s)

    async def _take_turns(self) -> None:
        assert self._cutter is not None
        while True:
            turn = self.schedule.tick(self.clock.now_ns(), self._cutter.lanes, self._slow_ms)
            if turn is not None:
                self._give_settings()
                if turn.lane is not None:
                    self._add_event(EventRow(turn.lane, self.clock.now_ns(), "plan", name="turn", text="its turn"))
            await self.clock.sleep(1 / TICKS_PER_S)

    async def _compare_settings(self) -> None:
        """Read both servers' settings; say what makes them incomparable, and again when that changes."""
        from tui.doctor.checks import setting_differences
        from tui.judge.comparable import reason

        servers = {lane: run.detected for lane, run in self._lanes.items() if run.detected}
        why = reason(await setting_differences(self.profile, servers))
        if why != self.incomparable:
            self.incomparable = why
            self._add_event(EventRow("", self.clock.now_ns(), "incomparable", text=why))

    def _record_lanes(self) -> None:
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
        if self.recorder is not None:
            self.recorder(batch if self.profile.record.chunks else replace(batch, chunks=[]))


def _heavy_parts(profile: Profile, clock: Clock) -> tuple[type[LaneRun], SessionState, SessionCutter]:
    """Import what needs numpy and httpx: a few tenths of a second, spent in a thread.

    One thread each is enough for the little that numpy and Polars have to do here; by default they start one a core.
    """
    for variable in ("POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    from tui.session import make_view  # noqa: F401 - the first view is not to wait for it
    from tui.session.lane import LaneRun
    from tui.session.seconds import LaneCutter, SessionCutter
    from tui.session.state import SessionState
    from tui.session.verdicts import LiveVerdicts

    state = SessionState(clock.now_ns())
    state.live_verdicts = LiveVerdicts.under(profile)
    return LaneRun, state, SessionCutter({lane: LaneCutter(lane) for lane in profile.lanes})
