"""The screen of a recording: the timeline and the keys that move it, a window and its figures, marks, export."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from msgspec import structs
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from tui.model.metrics import NS_PER_S
from tui.model.rows import EventRow
from tui.model.text import UserError, sanitize
from tui.session.source import SPEEDS, Moment, WindowView
from tui.session.view import View
from tui.ui.comparison import compare_window
from tui.ui.dialogs import TIME_EXAMPLES, RecordingTimes, moment_from, moments_at, moments_text, parse_time, shown_at
from tui.ui.keys import REPLAY_KEYS, REPLAY_MOUSE, SESSION_KEYS, VIEW_KEYS
from tui.ui.layout import Middle
from tui.ui.main_screen import MainScreen, SessionFolder
from tui.ui.widgets import numbers
from tui.ui.widgets.dials import Dial
from tui.ui.widgets.panel import Panel, ScreenState
from tui.ui.widgets.timeline import Timeline, TimelineBar, TimelineState, TimelineText, clock_in, speed_text

if TYPE_CHECKING:
    from tui.judge.ledger import LedgerRow
    from tui.session.replay import ReplaySource
    from tui.ui.export_dialog import ExportPart

SEEK_REST_S: Final = 0.15
REPEATS_PER_STRIDE: Final = 10  # at 30 repeats a second, a third of a second
MAX_STRIDE: Final = 8
AGE_EVERY_S: Final = 1.0
READ_ONLY: Final = "the dials are as recorded"


class Seeker:
    """Sends the replay of `screen` to where keys and mouse want it, by `seek`.

    A key that is pressed once moves the replay at once. While it is held, or the mouse drags, only the timeline
    moves, and the replay follows when they rest: a seek for every repeat would queue up behind the hand.
    """

    def __init__(self, screen: Screen[None], seek: Callable[[float], Awaitable[None]]) -> None:
        self._screen, self._seek = screen, seek
        self._rest: Timer | None = None
        self._repeats = 0
        self._sent_s: float | None = None
        self.target_s: float | None = None  # None: the replay is where it should be

    @property
    def stride(self) -> int:
        """How many steps the next repeat is worth."""
        return min(1 + self._repeats // REPEATS_PER_STRIDE, MAX_STRIDE)

    def go(self, t_s: float) -> None:
        self.target_s = t_s
        if self._rest is None:
            self._send(t_s)
            self._rest = self._screen.set_timer(SEEK_REST_S, self.land)
        else:
            self._repeats += 1
            self._rest.reset()

    def land(self) -> None:
        """Send the replay to its target without waiting any longer."""
        if self._rest is not None:
            self._rest.stop()
        self._rest, self._repeats = None, 0
        if self.target_s is not None and self.target_s != self._sent_s:
            self._send(self.target_s)

    def _send(self, t_s: float) -> None:
        self._sent_s = t_s
        self._screen.run_worker(self._go(t_s), group="seek")

    async def _go(self, t_s: float) -> None:
        await self._seek(t_s)
        if self.target_s == t_s:
            self.target_s = self._sent_s = None


def with_annotations(view: View, moments: Iterable[Moment]) -> View:
    """The view with the marks kept next to the recording among its events, without those that lie ahead."""
    annotations = [
        EventRow(moment.lane, view.t0_ns + round(moment.t_s * NS_PER_S), "note" if moment.kind == "note" else "mark",
                 text=moment.text if moment.text != moment.kind else "")
        for moment in moments
        if moment.is_annotation and moment.t_s <= view.second
    ]  # fmt: skip
    if not annotations:
        return view
    return structs.replace(view, events=sorted([*view.events, *annotations], key=lambda event: event.t_ns))


class ReplayScreen(MainScreen):
    BINDINGS: ClassVar[list[BindingType]] = [*REPLAY_KEYS]
    HELP_KEYS = (*REPLAY_KEYS, *VIEW_KEYS, *SESSION_KEYS)
    HELP_MOUSE = REPLAY_MOUSE
    NOTE_HINT = "what should be remembered; kept next to the recording"

    def __init__(
        self,
        source: ReplaySource,
        session_argument: Callable[[str], str] = str,
        session_folder: SessionFolder | None = None,
    ) -> None:
        super().__init__(source, session_argument, session_folder)
        self.replay = source
        self.window: tuple[float, float | None] | None = None  # marked on the timeline; None for its end: to come
        self.window_view: WindowView | None = None
        self.seeker = Seeker(self, source.seek)
        self._moments: Sequence[Moment] = ()
        self._moments_until_s = -1.0  # the length of the recording that they were read from

    def compose_timeline(self) -> Iterable[Widget]:
        yield Timeline()

    def on_mount(self) -> None:
        """The end of a recording that is followed grows older between two views."""
        self.set_interval(AGE_EVERY_S, self._grow_older)

    # What is shown.

    def next_second(self) -> None:
        """The replay moved: show it, unless keys have gone ahead of it, as they do while one is held."""
        if self.seeker.target_s is None:
            super().next_second()
        else:
            self.show_time()

    def new_view(self) -> View:
        return with_annotations(super().new_view(), self.moments())

    def draw(self, view: View) -> None:
        super().draw(view)
        self.show_time()

    def screen_state(self, view: View) -> ScreenState:
        """With the verdict of the marked window in place of that of the position."""
        state = super().screen_state(view)
        if self.window_view is None:
            return state
        comparison = compare_window(self.window_view, self.objective, view)
        return replace(state, comparison=comparison, window=self.window_view)

    def fit_to_size(self) -> None:
        super().fit_to_size()
        self.call_after_refresh(self.show_time)

    def moments(self) -> Sequence[Moment]:
        """Everything on the timeline, read again when the recording has grown."""
        if self.replay.duration_s != self._moments_until_s:
            self._read_moments()
        return self._moments

    def _read_moments(self) -> None:
        self._moments = [replace(moment, text=sanitize(moment.text, 80)) for moment in self.replay.moments()]
        self._moments_until_s = self.replay.duration_s

    def show_time(self) -> None:
        if not self.is_attached:
            return
        replay, here_s, times = self.replay, self.here_s, self._times
        began_s, duration_s = times.began_wall_s, times.duration_s
        near = moments_text(moments_at(self.moments(), here_s, duration_s))
        self.query_one(Timeline).show(
            TimelineState(
                position_s=here_s,
                duration_s=duration_s,
                moments=self.moments(),
                window=self.window,
                playing=replay.playing,
                speed=replay.speed,
                opened=duration_s > 0 or began_s is not None,
                following=replay.following,
                age_s=max(time.time() - (began_s or 0.0) - duration_s, 0.0),
                wall_s=None if began_s is None else began_s + here_s,
                message=self.message or near,
            )
        )

    @property
    def here_s(self) -> float:
        """The position, or where the keys have gone ahead of it."""
        return self.replay.position_s if self.seeker.target_s is None else self.seeker.target_s

    @property
    def _times(self) -> RecordingTimes:
        began_s = self.view.wall_ns / NS_PER_S if self.view is not None and self.view.wall_ns else None
        return RecordingTimes(self.replay.duration_s, began_s)

    def _grow_older(self) -> None:
        if self.replay.following:
            self.show_time()

    def place_message(self) -> bool:
        """Next to the time."""
        self.show_time()
        return self.message in self.query_one(Timeline).plain

    def on_dial_turned(self, _: Dial.Turned) -> None:
        self.show_message(READ_ONLY)

    def go_to_setting(self, row: LedgerRow) -> None:
        """To the next visit of a setting, and from the last one to the first."""
        visits = self.replay.visits_s(row.dials)
        if visits:
            t_s = next((t_s for t_s in visits if t_s > self.here_s), visits[0])
            self.go(float(min(math.ceil(t_s) + 1, math.floor(self.replay.duration_s))))

    def event_clicked(self, panel: Panel, row: int) -> None:
        """Go to the second that shows it first."""
        if self.view is not None and row < len(shown := self.view.events[-panel.content_size.height :]):
            t_s = (shown[row].t_ns - self.view.t0_ns) / NS_PER_S
            self.go(float(min(max(math.ceil(t_s), 0), math.floor(self.replay.duration_s))))

    # Time.

    def go(self, t_s: float) -> None:
        self.set_message("")
        self.seeker.go(min(max(t_s, 0.0), self.replay.duration_s))
        self.show_time()

    def action_play(self) -> None:
        self.replay.toggle()
        self.show_message("")

    def action_step(self, seconds: int) -> None:
        """Who steps wants to look, so time stops."""
        if self.replay.playing:
            self.replay.toggle()
        self.go(self.here_s + seconds)

    def action_skip(self, seconds: int) -> None:
        """A key that is held goes further each time."""
        self.go(self.here_s + seconds * self.seeker.stride)

    def action_to_end(self, end: bool) -> None:
        self.go(self.replay.duration_s if end else 0.0)

    def action_speed(self, way: int) -> None:
        """Slower (-1), faster (1) or normal (0)."""
        at = SPEEDS.index(self.replay.speed) + way
        if 0 <= at < len(SPEEDS):
            self.replay.set_speed(SPEEDS[at] if way else 1.0)
            self.show_message("")
        else:
            self.show_message(f"{speed_text(self.replay.speed)} is as {'fast' if way > 0 else 'slow'} as it goes")

    def action_moment(self, way: int) -> None:
        """To the next (1) or the previous (-1) thing that happened."""
        duration_s = self.replay.duration_s
        if moments := moment_from(self.moments(), self.here_s, way, duration_s):
            self.go(shown_at(moments[0], duration_s))
        else:
            self.show_message(f"nothing is marked {'after' if way > 0 else 'before'} this")

    def action_go(self) -> None:
        """To a time that is typed."""

        def problem(text: str) -> str:
            try:
                parse_time(text, self._times)
            except UserError as error:
                return str(error)
            return ""

        self.ask("Go to", TIME_EXAMPLES, lambda text: self.go(parse_time(text, self._times)), problem)

    def on_timeline_bar_pointed(self, message: TimelineBar.Pointed) -> None:
        self.go(float(round(message.t_s)))
        if message.released:
            self.seeker.land()

    def on_timeline_text_clicked(self, _: TimelineText.Clicked) -> None:
        self.action_play()

    # The window.

    @property
    def marked(self) -> tuple[float, float] | None:
        """The window once both its ends are marked."""
        return None if self.window is None or self.window[1] is None else (self.window[0], self.window[1])

    async def action_select(self) -> None:
        """Begin a window here, or end it here and show it."""
        here_s = self.here_s
        if self.window is None or self.marked:
            await self._drop_window()
            self.window = (here_s, None)
            # Elsewhere there is room to say it next to the time.
            self.show_message("a window begins here: move, then z ends it" if self.has_class("-narrow") else "")
        elif self.window[0] == here_s:
            self.show_message("move to where the window ends")
        else:
            start_s, end_s = sorted((self.window[0], here_s))
            self.window = (start_s, end_s)
            await self._show_window()
            self.run_worker(self._read_window(start_s, end_s), group="window", exclusive=True)
            self.show_message("")

    async def _show_window(self) -> None:
        assert self.marked is not None
        await self.set_middle("window")
        start, end = (clock_in(t_s, self.replay.duration_s) for t_s in self.marked)
        title = f"Window {start} to {end}   {self.marked[1] - self.marked[0]:.0f} s   esc goes back"
        self.query_one("#window-box", Vertical).border_title = title

    async def _read_window(self, start_s: float, end_s: float) -> None:
        try:
            window = await self.replay.window(start_s, end_s)
        except UserError as error:
            window = WindowView(start_s, end_s, note=str(error))
        if self.window == (start_s, end_s):
            self.window_view = window
            self.redraw()

    async def _drop_window(self) -> None:
        self.window = self.window_view = None
        if self.middle == "window":
            await self.set_middle("lanes")
        self.redraw()

    async def action_back(self) -> None:
        """Drop the window first."""
        if self.window is not None:
            await self._drop_window()
        else:
            await super().action_back()

    async def action_show(self, middle: Middle) -> None:
        """The window's figures only where there is a window."""
        if middle != "window" or self.middle == "window":
            await super().action_show(middle)
        elif self.marked is None:
            self.show_message("no window is marked: z begins one")
        else:
            self._uncover_lanes()
            await self._show_window()

    # The session.

    def mark(self, text: str) -> None:
        try:
            super().mark(text)
        except UserError as error:
            self.show_message(str(error))
        self._read_moments()
        self.update_view()

    def export_parts(self) -> list[ExportPart]:
        """With the whole recording, and the window where one is marked."""
        from tui.export.process import Part
        from tui.ui.export_dialog import ExportPart

        whole, window, setting = super().export_parts()
        whole = replace(whole, label=f"whole session {numbers.clock(self.replay.duration_s)}")
        if self.marked is not None:
            start_s, end_s = self.marked
            ends = " – ".join(clock_in(t_s, self.replay.duration_s) for t_s in self.marked)
            window = ExportPart(f"window {ends}", Part(start_s, end_s))
        return [whole, window, setting]
