"""The picture of a recording and the keys that move it in time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar, Final, Protocol, runtime_checkable

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.timer import Timer

from tui.records.errors import UserError
from tui.records.text import clean
from tui.records.units import NS_PER_S
from tui.screens.boxes import BoxResult, TextBox
from tui.screens.keys import LOOK_KEYS, SESSION_KEYS
from tui.screens.looking import LookingScreen
from tui.screens.replay_aim import Aim
from tui.screens.replay_keys import MOUSE, TRANSPORT_KEYS
from tui.screens.replay_times import HOW, Recorded, moment_at, moment_from, moments_at, moments_text, shown_at
from tui.screens.replay_view import with_marks
from tui.session.source import Source
from tui.session.transport import SPEEDS, Moment, Transport
from tui.session.view import View
from tui.widgets.timeline import Timeline
from tui.widgets.transport_strip import TransportState, TransportStrip, Words, speed_text

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
