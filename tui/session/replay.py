"""A replay: the seconds of a recording, at any speed, through the same state and views as a live session.

What needs numpy or Polars is imported once the recording is opened, because the screen paints before that.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tui.model.dials import SYNTHETIC, DialName, Dials, DialValue, TrafficKind
from tui.model.metrics import NS_PER_S
from tui.model.profile import Limits, Profile
from tui.model.rows import EventRow, Lane
from tui.model.text import UserError
from tui.session.source import SPEEDS, Lanes, Moment, WindowView
from tui.session.timeline import first_dials, moments_of, recorded_traffic
from tui.session.view import WINDOWS_S, View, blank_view

if TYPE_CHECKING:
    from tui.recording.marks import Marks
    from tui.recording.tape import Tape
    from tui.session.recorded_state import Judgements, Playback


AS_RECORDED = "the dials are as recorded"


class ReplayBoard:
    """Implements `Board`. `dials` are those at the position."""

    read_only = True
    first_rate: float | None = None

    def __init__(self, dials: Mapping[Lane, Dials], traffic: TrafficKind = SYNTHETIC) -> None:
        self.traffic = traffic
        self.dials: Mapping[Lane, Dials] = {}
        self.linked = True  # both lanes were asked for the same
        self.show(dials)

    def show(self, dials: Mapping[Lane, Dials]) -> None:
        """Show the dials of another moment."""
        self.dials = dials
        self.linked = len(set(dials.values())) <= 1

    def shown(self, lane: Lane) -> Dials:
        return self.dials.get(lane, self.dials["a"])

    def in_force(self, lane: Lane) -> Dials:
        return self.shown(lane)

    def step(self, name: DialName, notches: int, lanes: Lanes = "both") -> bool:
        return False

    def scale(self, name: DialName, factor: float, lanes: Lanes = "both") -> bool:
        return False

    def set(self, name: DialName, value: DialValue, lanes: Lanes = "both") -> str:
        return AS_RECORDED

    def jump(self, dials: dict[Lane, Dials]) -> None:
        """They stay as recorded."""

    def undo(self) -> bool:
        return False

    def toggle_load(self) -> bool:
        """Whether there was load."""
        return any(dials.concurrency > 0 or dials.arrival != "closed" for dials in self.dials.values())

    def toggle_link(self) -> bool:
        return self.linked


DRAW_EVERY_S: Final = 0.1  # at most: more pictures a second nobody reads
BUSY_S: Final = 0.05  # folding at once, before the screen has its turn
PAUSE_S: Final = 0.02  # for the screen, between two of these
REFRESH_S: Final = 0.5  # for new seconds of a session that is still recorded


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How a replay begins. `start_at` gives the second to begin at, from the length of the recording in seconds."""

    speed: float = 1.0
    start_at: Callable[[float], float] = lambda _: 0.0
    follow: bool = False  # watch a session that is still recorded as it grows


class ReplaySource:
    """Implements `Source`, and moves in time: seconds are since the load began. `open_tape` runs in a thread."""

    replay = True

    def __init__(
        self,
        profile: Profile,
        open_tape: Callable[[], Tape],
        options: ReplayOptions = ReplayOptions(),
        marks: Marks | None = None,
    ) -> None:
        self.profile = profile
        self._board = ReplayBoard(first_dials(profile), recorded_traffic(profile))
        self._open_tape, self._start_at, self._marks = open_tape, options.start_at, marks
        self._speed = options.speed
        self._follow = self._at_end_of_live = options.follow
        self._playing = True
        self._playback: Playback | None = None
        self._woken = asyncio.Event()
        self._ready = asyncio.Event()
        self._reading = asyncio.Lock()
        self._judgements: Judgements | None = None
        self._window_s = max(WINDOWS_S[:2])  # as last asked for
        self._wanted: object = None
        self._on_second: Callable[[], None] = lambda: None
        self._task: asyncio.Task[None] | None = None

    # Source.

    @property
    def board(self) -> ReplayBoard:
        return self._board

    async def start(self, on_second: Callable[[], None]) -> None:
        """Open the recording and play. `on_second` is called whenever the picture moved."""
        self._on_second = on_second
        self._task = asyncio.create_task(self._run())

    async def ended(self) -> None:
        """Wait until the replay ends, which it does by itself only in error: then that error is raised."""
        if self._task is not None:
            await self._task

    async def opened(self) -> None:
        """Wait until the recording can be moved in. Raises what `ended` raises."""
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait({ready, *([self._task] if self._task else [])}, return_when=asyncio.FIRST_COMPLETED)
        if not self._ready.is_set():
            ready.cancel()
            await self.ended()

    def view(self, window_s: int) -> View:
        """The numbers at the position."""
        if self._playback is None:
            return blank_view(self.profile, self._board.dials, window_s)
        self._window_s = window_s
        view = self._playback.view(window_s)
        self._board.show({lane: shown.dials for lane, shown in view.lanes.items()})
        return view

    def toggle_plan(self) -> str:
        return "a replay runs no plan"

    def set_limits(self, limits: Limits) -> str:
        return "the limits are as recorded: `dragstrip report --goodput` counts by others"

    def mark(self, text: str) -> None:
        """Keep a mark at this moment, next to the recording."""
        if self._marks is not None and self._playback is not None:
            self._marks.add(self._playback.state.t_ns, text)

    async def stop(self, why: str) -> None:
        """End the replay; the recording is as it was."""
        if self._judgements is not None:
            self._judgements.stop()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError, UserError):
                await self._task

    # Moving in time.

    @property
    def position_s(self) -> float:
        """The second that is shown."""
        return float(self._playback.second) if self._playback else 0.0

    def visits_s(self, wanted: Mapping[Lane, Mapping[str, str]]) -> list[float]:
        """When each visit to a setting began."""
        from msgspec import to_builtins

        from tui.judge.segments import settings_at

        if self._playback is None:
            return []
        moves = sorted({event.t_ns for event in self._tape.events if event.kind == "dial"})
        moments = [self._tape.t0_ns, *moves]
        profile = to_builtins(self.profile)
        settings = settings_at(profile, self.profile.lanes, self._tape.events, moments)
        return [
            (t_ns - self._tape.t0_ns) / NS_PER_S for t_ns, one in zip(moments, settings, strict=True) if one == wanted
        ]

    @property
    def duration_s(self) -> float:
        """How long the recording is, so far."""
        return (self._tape.t_end_ns - self._tape.t0_ns) / NS_PER_S if self._playback else 0.0

    @property
    def playing(self) -> bool:
        return self._playing

    @property
    def speed(self) -> float:
        """One of SPEEDS."""
        return self._speed

    @property
    def following(self) -> bool:
        """Whether the recording is still written and the picture stays at its end."""
        return self._at_end_of_live and self._playing

    def toggle(self) -> None:
        """Play or pause; at the end, play again from the start."""
        again = not self._playing and self._playback is not None and self._playback.at_end and not self._follow
        self._playing = not self._playing
        self._woken.set()
        if again:
            self._again = asyncio.create_task(self.seek(0.0))

    def set_speed(self, speed: float) -> None:
        """One of SPEEDS. ValueError for any other."""
        if speed not in SPEEDS:
            raise ValueError(f"a replay runs at one of {SPEEDS}, not at {speed}")
        self._speed = speed
        self._woken.set()

    async def seek(self, t_s: float) -> None:
        """Stand at this second, cut to the recording's ends; of several asked for at once, only the last is read."""
        if self._playback is None:
            return
        mine = self._wanted = object()
        async with self._reading:
            if self._wanted is not mine:
                return
            second = int(min(max(0.0, t_s), self.duration_s))
            self._at_end_of_live = self._follow and self._tape.live and second >= math.floor(self.duration_s)
            await self._move_to(second)
        self._woken.set()
        self._on_second()

    def moments(self) -> Sequence[Moment]:
        """Everything worth a jump, in order of time, marks of the replay among them."""
        if self._playback is None:
            return ()
        annotations: Sequence[EventRow] = self._marks.read() if self._marks is not None else ()
        return moments_of(self._tape.events, self._tape.t0_ns, self.duration_s, annotations)

    async def window(self, start_s: float, end_s: float) -> WindowView:
        """The percentiles and verdicts of a part of the session."""
        if self._playback is None:
            return WindowView(start_s, end_s, note="the recording is being opened")
        from tui.session.window import window_of

        async with self._reading:
            return await asyncio.to_thread(window_of, self._tape, self.profile, start_s, end_s)

    # The run.

    @property
    def _tape(self) -> Tape:
        assert self._playback is not None
        return self._playback.tape

    async def _run(self) -> None:
        self._playback = await asyncio.to_thread(self._opened)
        if not self.duration_s and not self._follow:
            raise UserError(f"{self._tape.info.name} holds no whole second: there is nothing to replay")
        await self.seek(self.duration_s if self._follow else self._start_at(self.duration_s))
        self._ready.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._play())
            tasks.create_task(self._judge())
            if self._follow:
                tasks.create_task(self._follow_recording())

    def _opened(self) -> Playback:
        from tui.session.recorded_state import Playback

        return Playback(self._open_tape(), self.profile)

    async def _move_to(self, second: int) -> None:
        """Jump there, while nothing else reads."""
        assert self._playback is not None
        if self._judgements is not None:
            self._judgements.pause()
        try:
            self._playback = await asyncio.to_thread(self._playback.moved_to, second, self._window_s)
        finally:
            if self._judgements is not None:
                self._judgements.go_on()

    async def _judge(self) -> None:
        """Fold the whole session once, meanwhile; when that has come to the position, show the verdicts."""
        judgements = self._judgements = await asyncio.to_thread(self._new_judgements)
        async with self._reading:
            assert self._playback is not None
            self._playback.judgements = judgements
        folding = asyncio.create_task(asyncio.to_thread(judgements.run, follow=self._follow))
        shown = False
        try:
            while not folding.done():
                await asyncio.wait({folding}, timeout=REFRESH_S)
                known = judgements.reached >= self._playback.second
                if known and not shown:
                    self._on_second()
                shown = known
        finally:
            judgements.stop()
        await folding

    def _new_judgements(self) -> Judgements:
        from tui.session.recorded_state import Judgements

        return Judgements(self._open_tape(), self.profile)

    def _runs(self) -> bool:
        return self._playing and self._playback is not None and not self._playback.at_end

    async def _play(self) -> None:
        """Fold the seconds that are due, for as long as time runs."""
        while True:
            self._woken.clear()
            if self._runs():
                await self._play_on()
            else:
                await self._woken.wait()

    async def _play_on(self) -> None:
        """Until a key is pressed or the end is reached; time is counted from 0 again after that."""
        begun_s, done = time.monotonic(), 0
        while self._runs() and not self._woken.is_set():
            endless = self.following or math.isinf(self._speed)
            due = math.inf if endless else (time.monotonic() - begun_s) * self._speed
            folded = await self._fold(due - done)
            done += folded
            if not self._runs() and not self._follow:
                self._playing = False
            if folded:
                self._on_second()
            if due - done >= max(self._speed, 1.0):  # the machine does not keep up: what is owed is let go
                begun_s, done = time.monotonic(), 0
            rest_s = (done + 1) / self._speed - (time.monotonic() - begun_s)
            with suppress(TimeoutError):  # `wait_for` may swallow the cancelling of this task
                async with asyncio.timeout(PAUSE_S if endless else max(rest_s, DRAW_EVERY_S)):
                    await self._woken.wait()

    async def _fold(self, due: float) -> int:
        """Fold whole seconds that are due, but no longer than the screen can wait; returns how many."""
        folded, started_s = 0, time.monotonic()
        async with self._reading:
            assert self._playback is not None
            while folded + 1 <= due and self._playback.may_step and time.monotonic() - started_s < BUSY_S:
                self._playback.step()
                folded += 1
        return folded

    async def _follow_recording(self) -> None:
        """Until the session ends, hear of its new seconds."""
        while self._follow:
            async with self._reading:
                live = self._tape.live
                more = await asyncio.to_thread(self._tape.refresh)
                if not live:
                    self._end_of_live()
            if more and self._judgements is not None:
                self._judgements.look_for_more()
            if more or not live:
                self._woken.set()
                self._on_second()
            await asyncio.sleep(REFRESH_S)

    def _end_of_live(self) -> None:
        assert self._playback is not None
        if self.following:
            self._playback.finish()
            self._playing = False
        self._follow = self._at_end_of_live = False
