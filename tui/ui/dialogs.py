"""The dialogs over the screen, which is not updated while one is open: quit, a line of text, a time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui.model.text import UserError
from tui.session.source import Moment
from tui.ui.widgets.numbers import short_clock

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer | None]):
    """A frame in the middle; escape closes it without an answer."""

    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background; }
    Dialog .box {
      width: auto; max-width: 100%; height: auto; max-height: 100%; padding: 0 1; overflow-x: hidden;
      border: round $accent; background: $background; border-title-color: $foreground; scrollbar-size: 1 1;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "back")]

    def action_close(self) -> None:
        self.dismiss(None)


class QuitDialog(Dialog[bool]):
    """Asks once: the load would stop."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,y,enter,ctrl+c,ctrl+q", "yes", "stop the load and quit"),
        Binding("n", "close", "go on", show=False),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Quit?"
            box.styles.width = 46
            yield Static("Load is running.", markup=False)
            yield Static("q or enter: stop it and quit  esc: go on", markup=False)

    def action_yes(self) -> None:
        self.dismiss(True)


class TextDialog(Dialog[str]):
    """One line of text; enter gives it, escape gives nothing.

    What `problem` says about the text, if anything, is shown under it, and the dialog stays open.
    """

    DEFAULT_CSS = """
    TextDialog .box { width: 60; }
    TextDialog .problem { color: $warning; display: none; }
    TextDialog Input, TextDialog Input:focus { border: none; height: 1; padding: 0; background: $background; }
    """

    def __init__(self, title: str, hint: str, problem: Callable[[str], str] = lambda _: "", known: str = "") -> None:
        """`known`: the text to begin with."""
        super().__init__()
        self._title, self._hint, self._problem, self._known = title, hint, problem, known
        self._problem_line = Static("", markup=False, classes="problem")

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = self._title
            yield Input(self._known, placeholder=self._hint, max_length=200)
            yield self._problem_line

    def on_mount(self) -> None:
        """A blinking cursor would send bytes for nothing."""
        self.query_one(Input).cursor_blink = False

    def on_input_submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if problem := self._problem(text):
            self._problem_line.update(problem)
            self._problem_line.display = True
        else:
            self.dismiss(text)


TIME_EXAMPLES: Final = "1:30, 90, 14:03:10 (UTC), 50%"
_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_SECONDS: Final = re.compile(r"(\d+(?:\.\d+)?)\s*s?")
_CLOCK: Final = re.compile(r"(?:(\d{1,3}):)?(\d{1,3}):(\d{2})")


@dataclass(frozen=True, slots=True)
class RecordingTimes:
    """How long a recording is, and when it began by the wall clock (None: not known)."""

    duration_s: float
    began_wall_s: float | None


def parse_time(text: str, times: RecordingTimes) -> float:
    """The second of the recording that a typed time means; UserError where it means none.

    Three numbers are a time of the day (UTC) if the recording has that time, else hours, minutes and seconds into it.
    """
    text = text.strip()
    if share := _SHARE.fullmatch(text):
        return _checked(text, float(share[1]) / 100 * times.duration_s, times)
    if seconds := _SECONDS.fullmatch(text):
        return _checked(text, float(seconds[1]), times)
    clock = _CLOCK.fullmatch(text)
    if clock is None:
        raise UserError(f"{text or 'an empty text'} is not a time: type one like {TIME_EXAMPLES}")
    hours, minutes, seconds_s = (int(part or 0) for part in clock.groups())
    if seconds_s > 59 or (clock[1] and minutes > 59):
        raise UserError(f"{text} is not a time: minutes and seconds end at 59")
    into_s = 3600.0 * hours + 60 * minutes + seconds_s
    if clock[1] is None or times.began_wall_s is None:
        return _checked(text, into_s, times)
    began, ended = (datetime.fromtimestamp(times.began_wall_s + at, UTC) for at in (0.0, times.duration_s))
    since_s = _since(began, into_s)
    if since_s <= times.duration_s:
        return since_s
    if into_s <= times.duration_s:
        return into_s
    raise UserError(f"{text} is not in the recording, which runs from {began:%H:%M:%S} to {ended:%H:%M:%S} UTC")


def _checked(text: str, t_s: float, times: RecordingTimes) -> float:
    if t_s > times.duration_s:
        raise UserError(f"{text} is after the end: the recording is {short_clock(times.duration_s)} long")
    return t_s


def _since(began: datetime, time_of_day_s: float) -> float:
    """Seconds from the beginning until it is that time of the day."""
    at = began.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(seconds=time_of_day_s)
    while at < began.replace(microsecond=0):  # a whole second is meant, and the recording may have begun within it
        at += timedelta(days=1)
    return max((at - began).total_seconds(), 0.0)


def shown_at(moment: Moment, duration_s: float) -> float:
    """The whole second at which the screen shows what happened in the second before it."""
    return float(min(math.ceil(moment.t_s), math.floor(duration_s)))


def moment_from(moments: Iterable[Moment], here_s: float, way: int, duration_s: float) -> list[Moment]:
    """What happened at the nearest second after (1) or before (-1) this one; empty when there is nothing more."""
    beyond = [m for m in moments if (shown_at(m, duration_s) - here_s) * way > 0]
    if not beyond:
        return []
    nearest_s = min((shown_at(m, duration_s) for m in beyond), key=lambda t_s: abs(t_s - here_s))
    return moments_at(beyond, nearest_s, duration_s)


def moments_at(moments: Iterable[Moment], here_s: float, duration_s: float) -> list[Moment]:
    """What the screen shows first at this second."""
    return [moment for moment in moments if shown_at(moment, duration_s) == here_s]


def moments_text(moments: Sequence[Moment]) -> str:
    """`conc 8→16`, `B read timeout ×3`, `mark after warm-up (next to the recording)`."""
    return ", ".join(_text(moment) for moment in moments)


def _text(moment: Moment) -> str:
    word = "" if moment.kind == "dial" or moment.text.startswith(moment.kind) else moment.kind
    annotation = "(next to the recording)" if moment.is_annotation else ""
    return " ".join(part for part in (moment.lane.upper(), word, moment.text, annotation) if part)
