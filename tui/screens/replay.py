"""The replay screen: the picture of a recording, and what each key does to time."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Final, Protocol, runtime_checkable

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from tui.records.errors import UserError
from tui.records.marking import NOTE
from tui.records.text import clean
from tui.screens.boxes import BoxResult, ExportBox, TextBox
from tui.screens.keys import LOOK_KEYS, SESSION_KEYS
from tui.screens.looking import LookingScreen
from tui.screens.replay_aim import Aim
from tui.screens.replay_keys import MOUSE, TRANSPORT_KEYS
from tui.screens.replay_times import HOW, Recorded, moment_at, moment_from, moments_at, moments_text, shown_at
from tui.screens.replay_view import window_headline, with_marks
from tui.session.source import Source
from tui.session.transport import SPEEDS, Moment, Transport, WindowView
from tui.session.view import View
from tui.widgets.dial import Dial
from tui.widgets.timeline import Timeline
from tui.widgets.transport_strip import TransportState, TransportStrip, Words, clock_in, speed_text
from tui.widgets.verdict_line import Headline
from tui.widgets.window_table import WindowTable

NS: Final = 1_000_000_000
READ_ONLY: Final = "the dials are as recorded"
AGE_EVERY_S: Final = 1.0
MESSAGE_S: Final = 4.0


@runtime_checkable
class ReplayedSource(Source, Transport, Protocol):
    """What this screen shows: a source that can be moved in time."""


class ReplayScreen(LookingScreen):
    """The same picture as live, with time under the operator's hands."""

    BINDINGS: ClassVar[list[BindingType]] = [*TRANSPORT_KEYS]
    HELP_KEYS = (*TRANSPORT_KEYS, *LOOK_KEYS, *SESSION_KEYS)
    HELP_MOUSE = MOUSE

    def __init__(self, source: ReplayedSource, session: str = "") -> None:
        super().__init__(source)
        self._session = session  # what a command calls the recording; empty: its own name
        self.transport: Transport = source
        self.window: tuple[float, float | None] | None = None  # marked on the timeline; None: its end is to come
        self.window_view: WindowView | None = None
        self._aim = Aim(self, self._seek)
        self._said = ""
        self._moments: Sequence[Moment] = ()
        self._moments_of_s = -1.0  # the length of the recording that they were asked for

    def compose_strip(self) -> ComposeResult:
        """The timeline."""
        yield TransportStrip()

    def on_mount(self) -> None:
        """The end of a recording that is followed grows older between two pictures. The base is mounted by itself."""
        self.set_interval(AGE_EVERY_S, self._grow_older)

    # The picture.

    def tick(self) -> None:
        """The picture moved: show it, unless keys have gone ahead of it, as they do while one is held."""
        if self._aim.at_s is None:
            super().tick()
        else:
            self.show_time()

    def take(self, view: View) -> None:
        """The picture with the marks that stand beside the recording."""
        super().take(with_marks(view, self.moments()))
        self.show_time()

    def _show_numbers(self, view: View) -> None:
        super()._show_numbers(view)
        if self.look == "window":
            self.query_one(WindowTable).show(self.window_view)

    def headline_of(self, view: View) -> Headline:
        """The verdict of the window that is marked, else that of the position."""
        if self.window_view is None:
            return super().headline_of(view)
        return window_headline(self.window_view, self.objective)

    def fit_to_size(self) -> None:
        """The timeline has another room, too."""
        super().fit_to_size()
        self.call_after_refresh(self.show_time)

    def moments(self) -> Sequence[Moment]:
        """Everything on the timeline, asked for again when the recording has grown."""
        if self.transport.duration_s != self._moments_of_s:
            self._ask_for_moments()
        return self._moments

    def _ask_for_moments(self) -> None:
        self._moments = [replace(moment, text=clean(moment.text, 80)) for moment in self.transport.moments()]
        self._moments_of_s = self.transport.duration_s

    def show_time(self) -> None:
        """Where the picture stands, or where the keys have gone ahead of it."""
        if not self.is_attached:
            return
        transport, here_s = self.transport, self.here_s
        duration_s = transport.duration_s
        began_s = self._began_wall_s
        near = moments_text(moments_at(self.moments(), here_s, duration_s))
        self.query_one(TransportStrip).show(
            TransportState(
                position_s=here_s,
                duration_s=duration_s,
                playing=transport.playing,
                speed=transport.speed,
                opened=duration_s > 0 or began_s is not None,
                live=transport.following,
                age_s=max(time.time() - (began_s or 0.0) - duration_s, 0.0),
                wall_s=None if began_s is None else began_s + here_s,
                moments=self.moments(),
                window=self.window,
                said=self._said or near,
            )
        )

    @property
    def here_s(self) -> float:
        """Where one is, though the picture may not be there yet."""
        return self.transport.position_s if self._aim.at_s is None else self._aim.at_s

    @property
    def _began_wall_s(self) -> float | None:
        return self.view.wall_ns / NS if self.view is not None and self.view.wall_ns else None

    def _grow_older(self) -> None:
        if self.transport.following:
            self.show_time()

    def say(self, text: str) -> None:
        """Beside the time until the next key; where there is no room for it, over the picture for a moment."""
        self._said = text
        if text and self.has_class("-narrow"):
            self.app.notify(text, markup=False, timeout=MESSAGE_S)
        self.show_time()

    # Time.

    async def _seek(self, t_s: float) -> None:
        await self.transport.seek(t_s)

    def _go(self, t_s: float) -> None:
        self._said = ""
        self._aim.go(min(max(t_s, 0.0), self.transport.duration_s))
        self.show_time()

    def action_play(self) -> None:
        """Play or pause."""
        self._said = ""
        self.transport.toggle()
        self.show_time()

    def action_step(self, seconds: int) -> None:
        """By a second; who steps wants to look, so time stops."""
        if self.transport.playing:
            self.transport.toggle()
        self._go(self.here_s + seconds)

    def action_skip(self, seconds: int) -> None:
        """By more; a key that is held goes further each time."""
        self._go(self.here_s + seconds * self._aim.stride)

    def action_to_end(self, end: bool) -> None:
        """To one end."""
        self._go(self.transport.duration_s if end else 0.0)

    def action_speed(self, way: int) -> None:
        """Slower, faster, or (0) at the speed of life."""
        at = SPEEDS.index(self.transport.speed) + way
        if 0 <= at < len(SPEEDS):
            self.transport.set_speed(SPEEDS[at] if way else 1.0)
            self._said = ""
        else:
            self._said = f"{speed_text(self.transport.speed)} is as {'fast' if way > 0 else 'slow'} as it goes"
        self.show_time()

    def action_moment(self, way: int) -> None:
        """To the next or the previous thing that happened."""
        duration_s = self.transport.duration_s
        found = moment_from(self.moments(), self.here_s, way, duration_s)
        if found:
            self._go(shown_at(found[0], duration_s))
        else:
            self.say(f"nothing is marked {'after' if way > 0 else 'before'} this")

    def action_go(self) -> None:
        """To a moment that is typed."""
        self.app.push_screen(TextBox("Go to", HOW, self._no_moment), self._gone)

    def _no_moment(self, text: str) -> str:
        try:
            moment_at(text, self._recorded)
        except UserError as error:
            return str(error)
        return ""

    def _gone(self, text: BoxResult) -> None:
        if isinstance(text, str):
            self._go(moment_at(text, self._recorded))

    @property
    def _recorded(self) -> Recorded:
        return Recorded(self.transport.duration_s, self._began_wall_s)

    def on_timeline_pointed(self, message: Timeline.Pointed) -> None:
        """A click or a drag on the bar."""
        self._go(float(round(message.t_s)))
        if message.released:
            self._aim.land()

    def on_words_clicked(self, _: Words.Clicked) -> None:
        """A click on the time."""
        self.action_play()

    def on_dial_turned(self, _: Dial.Turned) -> None:
        """Dials do not turn here."""
        self.say(READ_ONLY)

    # The window.

    async def action_select(self) -> None:
        """Begin a window here, or end it here and show it."""
        here_s = self.here_s
        if self.window is None or self.window[1] is not None:
            await self._drop_window()
            self.window = (here_s, None)
            if self.has_class("-narrow"):  # elsewhere there is room to say it beside the time
                self.say("a window begins here: move, then z ends it")
                return
        elif self.window[0] == here_s:
            self.say("move to where the window ends")
            return
        else:
            start_s, end_s = sorted((self.window[0], here_s))
            self.window = (start_s, end_s)
            await self.look_at("window")
            self._title_window()
            self.run_worker(self._work_out(start_s, end_s), group="window", exclusive=True)
        self.say("")

    def _title_window(self) -> None:
        if self.window is not None and self.window[1] is not None:
            start_s, end_s = (clock_in(t_s, self.transport.duration_s) for t_s in (self.window[0], self.window[1]))
            title = f"Window {start_s} to {end_s}   {self.window[1] - self.window[0]:.0f} s   esc goes back"
            self.query_one("#window-box", Vertical).border_title = title

    async def _work_out(self, start_s: float, end_s: float) -> None:
        try:
            found = await self.transport.window(start_s, end_s)
        except UserError as error:
            found = WindowView(start_s, end_s, note=str(error))
        if self.window == (start_s, end_s):
            self.window_view = found
            self.redraw()

    async def _drop_window(self) -> None:
        self.window = self.window_view = None
        if self.look == "window":
            await self.look_at("lanes")
        self.redraw()

    async def action_back(self) -> None:
        """Out of the window first."""
        if self.window is not None:
            await self._drop_window()
        else:
            await super().action_back()

    async def action_look(self, look: str) -> None:
        """The window's figures only where there is a window."""
        if look == "window" and (self.window is None or self.window[1] is None):
            self.say("no window is marked: z begins one")
        else:
            await super().action_look(look)  # type: ignore[arg-type]  # bindings give one of the looks
            if look == "window":
                self._title_window()

    # The session.

    def action_note(self) -> None:
        """A note at this moment."""
        self.app.push_screen(TextBox("Note", "what should be remembered; kept beside the recording"), self._noted)

    def _noted(self, text: BoxResult) -> None:
        if text and isinstance(text, str):
            self._marked(f"{NOTE}{text}")

    def _marked(self, text: BoxResult) -> None:
        if not isinstance(text, str):
            return
        try:
            self.source.mark(text)
        except UserError as error:
            self.say(str(error))
        self._ask_for_moments()
        if self.view is not None:
            self.take(self.view)

    def action_export(self) -> None:
        """How to export the window, or all."""
        flags = ""
        if self.window is not None and self.window[1] is not None:
            flags = f" --from {self.window[0]:g} --until {self.window[1]:g}"
        name = self._session or (self.view.recording if self.view else "")
        self.app.push_screen(ExportBox(clean(name), flags))
