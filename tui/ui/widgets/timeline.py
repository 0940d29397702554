"""Time under the operator's hands: where, how fast, and the bar. On a wide screen two rows, on a narrow one.

The recording as one row: what happened where, a window of it, and where the picture stands.

Every sign is a character of its own, so that neither colour nor more than ASCII is needed to read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from math import isinf
from typing import Final

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize
from textual.message import Message

from tui.session.source import SPEEDS, Moment, MomentKind
from tui.ui.widgets import numbers
from tui.ui.widgets.rows import Row, Rows, Span, fit, length

HERE: Final = ("●", "strong")
PLAYED: Final = ("━", "muted")
AHEAD: Final = ("─", "muted")
# Where several moments share a cell, the one that stands first here is shown.
SIGNS: Final[dict[MomentKind, tuple[str, str]]] = {
    "down": ("✖", "error strong"),
    "fault": ("!", "warn strong"),
    "note": ("≡", "strong"),
    "mark": ("◇", "strong"),
    "dial": ("◆", "strong"),
    "up": ("▲", "strong"),
    "end": ("┤", "muted"),
}
LEGEND: Final[tuple[tuple[MomentKind, str], ...]] = (
    ("dial", "dial"),
    ("fault", "fault"),
    ("down", "down"),
    ("up", "up"),
    ("mark", "mark"),
    ("note", "note"),
)
_RANK: Final = {kind: rank for rank, kind in enumerate(SIGNS)}


@dataclass(frozen=True, slots=True)
class TimelineSpan:
    """What the bar shows, in seconds since the load began. A window without an end is being marked."""

    position_s: float
    duration_s: float
    moments: Sequence[Moment] = ()
    window: tuple[float, float | None] | None = None


class Timeline(Rows):
    """The bar; a click or a drag on it says where to go."""

    DEFAULT_CSS = "Timeline { width: 1fr; height: 1; }"

    class Pointed(Message):
        """The mouse is held at a second, or was let go there."""

        def __init__(self, t_s: float, *, released: bool) -> None:
            super().__init__()
            self.t_s, self.released = t_s, released

    def __init__(self) -> None:
        super().__init__(id="timeline")
        self._span = TimelineSpan(0.0, 0.0)
        self._held = False

    def show(self, span: TimelineSpan) -> None:
        """Take what is to be shown."""
        self._span = span
        if self.content_size.width:
            self.put([bar_row(span, self.content_size.width)])

    def on_resize(self, _: Resize) -> None:
        """Draw again for the new room."""
        self.show(self._span)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin a drag."""
        self._held = True
        self.capture_mouse()
        self._point(event, released=False)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Go with it."""
        if self._held:
            self._point(event, released=False)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """End it."""
        if self._held:
            self._held = False
            self.release_mouse()
            self._point(event, released=True)

    def _point(self, event: events.MouseEvent, *, released: bool) -> None:
        event.stop()
        second = second_at(event.x, self.content_size.width, self._span.duration_s)
        self.post_message(self.Pointed(second, released=released))


def cell_of(t_s: float, width: int, duration_s: float) -> int:
    """Which cell of a bar a second falls on; the last one is the end."""
    return min(max(round(t_s / duration_s * (width - 1)), 0), width - 1) if duration_s else 0


def second_at(cell: int, width: int, duration_s: float) -> float:
    """Which second a cell of a bar stands for; a mouse may be beyond either end."""
    return min(max(cell, 0), width - 1) / max(width - 1, 1) * duration_s


def bar_row(span: TimelineSpan, width: int) -> Row:
    """`━━━◆━━[══!═]━●────◇───`: the position hides a window's ends, these hide moments, grave ones hide mild ones."""
    here = cell_of(span.position_s, width, span.duration_s)
    cells = [PLAYED if at < here else AHEAD for at in range(width)]
    for moment in sorted(span.moments, key=lambda moment: -_RANK[moment.kind]):
        cells[cell_of(moment.t_s, width, span.duration_s)] = SIGNS[moment.kind]
    if span.window is not None:
        _mark_window(cells, span, here)
    cells[here] = HERE
    # Equal neighbours are one span: it is sent with one change of style.
    return tuple(("".join(sign for sign, _ in run), role) for role, run in groupby(cells, key=lambda cell: cell[1]))


def _mark_window(cells: list[tuple[str, str]], span: TimelineSpan, here: int) -> None:
    assert span.window is not None
    start_s, end_s = span.window
    start = cell_of(start_s, len(cells), span.duration_s)
    end = here if end_s is None else cell_of(end_s, len(cells), span.duration_s)
    first, last = min(start, end), max(start, end)
    for at in range(first, last + 1):
        sign, role = cells[at]
        cells[at] = ("═" if sign in {PLAYED[0], AHEAD[0]} else sign, f"{role} reverse")
    cells[start] = ("[" if start == first else "]", "strong reverse")
    if end_s is not None:
        cells[last] = ("]", "strong reverse")


HOUR_S: Final = 3600
STATE_CELLS: Final = 26  # ` ▶ LIVE following, 12 s old`
NARROW_STATE_CELLS: Final = 8  # ` ▶ ×0.25`


@dataclass(frozen=True, slots=True)
class TransportState:
    """Everything the strip shows. Seconds are since the load began."""

    position_s: float
    duration_s: float
    playing: bool
    speed: float
    opened: bool = True
    live: bool = False  # the picture stays at the end of a recording that grows
    age_s: float = 0.0  # of that end
    wall_s: float | None = None  # the wall clock at the position; None: not known
    moments: Sequence[Moment] = ()
    window: tuple[float, float | None] | None = None
    said: str = ""  # a sentence for the operator


class Words(Rows):
    """The text; a click on it plays or pauses."""

    class Clicked(Message):
        """Play or pause."""

    def on_click(self, event: events.Click) -> None:
        """Tell it."""
        event.stop()
        self.post_message(self.Clicked())


class TransportStrip(Container):
    """Hands the bar and the text what they show."""

    DEFAULT_CSS = """
    TransportStrip { height: 2; width: 1fr; layout: vertical; }
    TransportStrip > Words { width: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__(id="transport")
        self._words = Words(id="transport-words")
        self._bar = Timeline()

    def compose(self) -> ComposeResult:
        """Text before bar: side by side where there is one row."""
        yield self._words
        yield self._bar

    @property
    def plain(self) -> str:
        """What is shown, as text."""
        return f"{self._words.plain}\n{self._bar.plain}"

    def show(self, state: TransportState) -> None:
        """Take this moment."""
        width = self.size.width or self.app.size.width
        if self.size.height == 1:
            row = narrow_row(state)
            self._words.styles.width = length(row)
        else:
            row = wide_row(state, width)
            self._words.styles.width = "1fr"
        self._words.put([row])
        self._bar.show(TimelineSpan(state.position_s, state.duration_s, state.moments, state.window))


def speed_text(speed: float) -> str:
    """`×0.25`, `×4`, `×max`."""
    return "×max" if isinf(speed) else f"×{speed:g}"


def clock_in(t_s: float, duration_s: float) -> str:
    """A second as it is written in a recording of that length, so that the cell does not grow."""
    return numbers.clock(t_s) if duration_s >= HOUR_S else numbers.short_clock(t_s)


def narrow_row(state: TransportState) -> Row:
    """` ▶ ×4    01:34/09:48 14:03:22 UTC `."""
    if not state.opened:
        return ((" opening the recording ", "muted"),)
    word = f"LIVE {state.age_s:.0f} s old" if state.live else speed_text(state.speed)
    length_text = "" if state.live else f"/{clock_in(state.duration_s, state.duration_s)}"
    return (
        (f" {_sign(state)} {word}".ljust(NARROW_STATE_CELLS), "strong"),
        (f" {clock_in(state.position_s, state.duration_s)}", "strong"),
        (f"{length_text}{_wall(state, ' ')} ", "muted"),
    )


def wide_row(state: TransportState, width: int) -> Row:
    """` ▶ playing ×4   01:34 / 09:48   14:03:22 UTC   window 01:10 – 01:30   …`, then what fits."""
    if not state.opened:
        return fit([(" opening the recording", "muted")], width)
    spans: list[Span] = [
        (f" {_sign(state)} {_word(state)}".ljust(STATE_CELLS), "strong"),
        (f"  {clock_in(state.position_s, state.duration_s)}", "strong"),
        (f" / {clock_in(state.duration_s, state.duration_s)}{_wall(state, '   ')}", "muted"),
    ]
    if state.window is not None:
        spans.append((f"   {window_text(state.window, state.duration_s)}", "strong"))
    if state.said:
        spans.append((f"   {state.said}", "warn"))  # cut rather than left out
    for more in (_legend(), _speeds(state)):
        if length([*spans, *more]) <= width:
            spans += more
    return fit(spans, width)


def window_text(window: tuple[float, float | None], duration_s: float) -> str:
    """`window 01:10 – 01:30`, or where it begins while its end is not marked."""
    start_s, end_s = window
    if end_s is None:
        return f"window from {clock_in(start_s, duration_s)}, z ends it"
    return f"window {clock_in(start_s, duration_s)} – {clock_in(end_s, duration_s)}"


def _sign(state: TransportState) -> str:
    return "▶" if state.playing else "‖"


def _word(state: TransportState) -> str:
    if state.live:
        return f"LIVE following, {state.age_s:.0f} s old"
    return f"{'playing' if state.playing else 'paused'} {speed_text(state.speed)}"


def _wall(state: TransportState, before: str) -> str:
    return "" if state.wall_s is None else f"{before}{datetime.fromtimestamp(state.wall_s, UTC):%H:%M:%S} UTC"


def _speeds(state: TransportState) -> list[Span]:
    """Every speed, the one that holds in brackets."""
    texts = [speed_text(speed)[1:] for speed in SPEEDS]
    shown = [f"[{text}]" if speed == state.speed else text for speed, text in zip(SPEEDS, texts, strict=True)]
    return [("   ×", "muted"), (" ".join(shown), "muted")]


def _legend() -> list[Span]:
    spans: list[Span] = []
    for kind, word in LEGEND:
        sign, role = SIGNS[kind]
        spans += [(f"   {sign}", role), (f" {word}", "muted")]
    return spans
