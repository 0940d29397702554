"""The picture of a recording and the keys that move it in time.

What a replay adds to the picture: the marks beside the recording, and the verdict of a window.

Where keys and mouse have gone, ahead of the picture.

A key that is pressed once moves the picture at once. While it is held, or the mouse drags, only the timeline moves,
and the picture follows when they have rested: a picture for every repeat would queue up behind the hand.

The replay screen: what a recording lets one do besides moving in it: mark a window, make notes, export.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar, Final, Protocol, runtime_checkable

from msgspec import structs
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.timer import Timer

from tui.model.rows import EventRow
from tui.model.text import UserError, sanitize
from tui.model.units import NS_PER_S
from tui.session.source import SPEEDS, Moment, Source, Transport, WindowView
from tui.session.view import VerdictView, View
from tui.ui.comparison import OBJECTIVES, Objective
from tui.ui.dialogs import BoxResult, TextBox
from tui.ui.goto import HOW, Recorded, moment_at, moment_from, moments_at, moments_text, shown_at
from tui.ui.keys import LOOK_KEYS, MOUSE, SESSION_KEYS, TRANSPORT_KEYS
from tui.ui.main_screen import Export, Look, LookingScreen
from tui.ui.widgets.dials import Dial
from tui.ui.widgets.header import Headline
from tui.ui.widgets.timeline import Timeline, TransportState, TransportStrip, Words, clock_in, speed_text
from tui.ui.widgets.window_table import WindowTable, ratio_of


def with_marks(view: View, moments: Iterable[Moment]) -> View:
    """The view with the marks beside the recording among its events, those that lie ahead left out."""
    beside = [
        EventRow(moment.lane, view.t0_ns + round(moment.t_s * NS_PER_S), "note" if moment.kind == "note" else "mark",
                 text=moment.text if moment.text != moment.kind else "")
        for moment in moments
        if moment.beside and moment.t_s <= view.second
    ]  # fmt: skip
    known = [event for event in view.events if event not in beside]
    return structs.replace(view, events=sorted([*known, *beside], key=lambda event: event.t_ns)) if beside else view


def window_headline(window: WindowView, objective: Objective) -> Headline:
    """The verdict on a window by the figure that the operator chose."""
    found = window.verdicts.get(objective.kind) or VerdictView("undecided")
    forbidden = found.word == "not comparable"
    others = ((o.label, ratio_of(window, o.kind)) for o in OBJECTIVES if o != objective)
    return Headline(
        found.word,
        objective.label,
        ratio_of(window, objective.kind),
        found.low,
        found.high,
        note=f"this window of {window.end_s - window.start_s:.0f} s",
        beside=tuple((label, ratio) for label, ratio in others if ratio is not None),
        warning=found.reason if forbidden else "",
    )


REST_S: Final = 0.15
REPEATS_A_STRIDE: Final = 10  # at 30 repeats a second, a third of a second
LONGEST_STRIDE: Final = 8


class Aim:
    """Sends the picture of `screen` to where it is aimed at, by `seek`."""

    def __init__(self, screen: Screen[None], seek: Callable[[float], Awaitable[None]]) -> None:
        self._screen, self._seek = screen, seek
        self._rest: Timer | None = None
        self._repeats = 0
        self._sought_s: float | None = None  # where the picture was sent last
        self.at_s: float | None = None  # None: the picture is where it should be

    @property
    def stride(self) -> int:
        """How many steps the next repeat is worth."""
        return min(1 + self._repeats // REPEATS_A_STRIDE, LONGEST_STRIDE)

    def go(self, t_s: float) -> None:
        """Aim there. The first time the picture goes, too; soon after that it waits until this rests."""
        self.at_s = t_s
        if self._rest is None:
            self._send()
            self._rest = self._screen.set_timer(REST_S, self.land)
        else:
            self._repeats += 1
            self._rest.reset()

    def land(self) -> None:
        """Bring the picture to where it is aimed at."""
        if self._rest is not None:
            self._rest.stop()
        self._rest, self._repeats = None, 0
        if self.at_s is not None and self.at_s != self._sought_s:
            self._send()

    def _send(self) -> None:
        assert self.at_s is not None
        self._sought_s = self.at_s
        self._screen.run_worker(self._go(self.at_s), group="seek")

    async def _go(self, t_s: float) -> None:
        await self._seek(t_s)
        if self.at_s == t_s:
            self.at_s = self._sought_s = None


AGE_EVERY_S: Final = 1.0
MESSAGE_S: Final = 4.0


@runtime_checkable
class ReplayedSource(Source, Transport, Protocol):
    """What this screen shows: a source that can be moved in time."""


class TransportScreen(LookingScreen):
    """The same picture as live, with time under the operator's hands."""

    BINDINGS: ClassVar[list[BindingType]] = [*TRANSPORT_KEYS]
    HELP_KEYS = (*TRANSPORT_KEYS, *LOOK_KEYS, *SESSION_KEYS)
    HELP_MOUSE = MOUSE

    def __init__(self, source: ReplayedSource, named: Callable[[str], str]) -> None:
        super().__init__(source, named)
        self.transport: Transport = source
        self.window: tuple[float, float | None] | None = None  # marked on the timeline; None: its end is to come
        self._aim = Aim(self, source.seek)
        self._said = ""
        self._hush: Timer | None = None
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
        self._moments = [replace(moment, text=sanitize(moment.text, 80)) for moment in self.transport.moments()]
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
        return self.view.wall_ns / NS_PER_S if self.view is not None and self.view.wall_ns else None

    def _grow_older(self) -> None:
        if self.transport.following:
            self.show_time()

    def say(self, text: str) -> None:
        """Beside the time for 4 s or until the next key; where there is no room for it, over the picture."""
        self._say(text)
        self.show_time()
        if text not in self.query_one(TransportStrip).plain:
            self.app.notify(text, markup=False, timeout=MESSAGE_S)

    def _say(self, text: str) -> None:
        """Keep a sentence that the timeline is about to show."""
        self._said = text
        if self._hush is not None:
            self._hush.stop()
        self._hush = self.set_timer(MESSAGE_S, partial(self.say, "")) if text else None

    # Time.

    def _go(self, t_s: float) -> None:
        self._say("")
        self._aim.go(min(max(t_s, 0.0), self.transport.duration_s))
        self.show_time()

    def action_play(self) -> None:
        """Play or pause."""
        self.transport.toggle()
        self.say("")

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
            self.say("")
        else:
            self.say(f"{speed_text(self.transport.speed)} is as {'fast' if way > 0 else 'slow'} as it goes")

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


READ_ONLY: Final = "the dials are as recorded"


class ReplayScreen(TransportScreen):
    """A window and its figures, marks and notes, export."""

    NOTE_HINT = "what should be remembered; kept beside the recording"

    def __init__(
        self, source: ReplayedSource, named: Callable[[str], str] = str, export: Export | None = None
    ) -> None:
        super().__init__(source, named)
        self.window_view: WindowView | None = None
        self._export = export

    def _show_numbers(self, view: View) -> None:
        super()._show_numbers(view)
        if self.look == "window":
            self.query_one(WindowTable).show(self.window_view)

    def headline_of(self, view: View) -> Headline:
        """The verdict of the window that is marked, else that of the position."""
        if self.window_view is None:
            return super().headline_of(view)
        return window_headline(self.window_view, self.objective)

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

    async def action_look(self, look: Look) -> None:
        """The window's figures only where there is a window."""
        if look == "window" and (self.window is None or self.window[1] is None):
            self.say("no window is marked: z begins one")
        else:
            await super().action_look(look)
            if look == "window":
                self._title_window()

    # The session.

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
        """Write the window, or all, as CSV where one is."""
        if self._export is None:
            super().action_export()
            return
        start_s, end_s = self.window if self.window is not None and self.window[1] is not None else (None, None)
        self.say("exporting …")
        self.run_worker(self._write(self._export, start_s, end_s), group="export", exclusive=True)

    async def _write(self, export: Export, start_s: float | None, end_s: float | None) -> None:
        try:
            told = await asyncio.to_thread(export, start_s, end_s)
        except UserError as error:
            told = str(error)
        self.say(sanitize(told))
