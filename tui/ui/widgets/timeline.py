"""The timeline of a replay: where it is, how fast it runs, and the recording as a bar.

The text and the bar are two rows on a wide screen, one on a narrow one. Every sign is a character that nothing else
uses, so that neither colour nor more than ASCII is needed to read it.
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
# Where several moments share a cell, the first of them here is shown.
SIGNS: Final[dict[MomentKind, tuple[str, str]]] = {
    "down": ("✖", "error strong"),
    "fault": ("!", "warn strong"),
    "note": ("≡", "strong"),
    "mark": ("◇", "strong"),
    "dial": ("◆", "strong"),
    "up": ("▲", "strong"),
    "end": ("┤", "muted"),
}
LEGEND: Final[tuple[MomentKind, ...]] = ("dial", "fault", "down", "up", "mark", "note")
_RANK: Final = {kind: rank for rank, kind in enumerate(SIGNS)}
HOUR_S: Final = 3600
STATE_CELLS: Final = 26  # ` ▶ LIVE following, 12 s old`
NARROW_STATE_CELLS: Final = 8  # ` ▶ ×0.25`


@dataclass(frozen=True, slots=True)
class TimelineState:
    """Everything the timeline shows. Seconds are since the load began."""

    position_s: float
    duration_s: float
    moments: Sequence[Moment] = ()
    window: tuple[float, float | None] | None = None  # None for its end: it is being marked
    playing: bool = False
    speed: float = 1.0
    opened: bool = True
    following: bool = False  # stays at the end of a recording that grows
    age_s: float = 0.0  # of that end
    wall_s: float | None = None  # the wall clock at the position; None: not known
    message: str = ""

    def clock(self, t_s: float) -> str:
        return clock_in(t_s, self.duration_s)


class TimelineBar(Rows):
    """A click or a drag on it says where to go."""

    DEFAULT_CSS = "TimelineBar { width: 1fr; height: 1; }"

    class Pointed(Message):
        """The mouse button is held at a second, or was released there."""

        def __init__(self, t_s: float, *, released: bool) -> None:
            super().__init__()
            self.t_s, self.released = t_s, released

    def __init__(self) -> None:
        super().__init__(id="timeline-bar")
        self._state = TimelineState(0.0, 0.0)
        self._dragged = False

    def show(self, state: TimelineState) -> None:
        self._state = state
        if self.content_size.width:
            self.set_rows([bar_row(state, self.content_size.width)])

    def on_resize(self, _: Resize) -> None:
        self.show(self._state)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self._dragged = True
        self.capture_mouse()
        self._point(event, released=False)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._dragged:
            self._point(event, released=False)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        if self._dragged:
            self._dragged = False
            self.release_mouse()
            self._point(event, released=True)

    def _point(self, event: events.MouseEvent, *, released: bool) -> None:
        event.stop()
        second = second_at(event.x, self.content_size.width, self._state.duration_s)
        self.post_message(self.Pointed(second, released=released))


class TimelineText(Rows):
    class Clicked(Message):
        """Play or pause."""

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(self.Clicked())


class Timeline(Container):
    DEFAULT_CSS = """
    Timeline { height: 2; width: 1fr; layout: vertical; }
    Timeline > TimelineText { width: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__(id="timeline")
        self._text = TimelineText(id="timeline-text")
        self._bar = TimelineBar()

    def compose(self) -> ComposeResult:
        yield self._text
        yield self._bar

    @property
    def plain(self) -> str:
        return f"{self._text.plain}\n{self._bar.plain}"

    def show(self, state: TimelineState) -> None:
        width = self.size.width or self.app.size.width
        if self.size.height == 1:
            row = narrow_row(state)
            self._text.styles.width = length(row)
        else:
            row = wide_row(state, width)
            self._text.styles.width = "1fr"
        self._text.set_rows([row])
        self._bar.show(state)


def cell_at(t_s: float, width: int, duration_s: float) -> int:
    """Which cell of a bar a second falls on; the last cell is the end."""
    return min(max(round(t_s / duration_s * (width - 1)), 0), width - 1) if duration_s else 0


def second_at(cell: int, width: int, duration_s: float) -> float:
    """Which second a cell of a bar is; a mouse may be beyond either end."""
    return min(max(cell, 0), width - 1) / max(width - 1, 1) * duration_s


def bar_row(state: TimelineState, width: int) -> Row:
    """`━━━◆━━[══!═]━●────◇───`: the position hides a window's ends, which hide moments; serious ones hide others."""
    here = cell_at(state.position_s, width, state.duration_s)
    cells = [PLAYED if at < here else AHEAD for at in range(width)]
    for moment in sorted(state.moments, key=lambda moment: -_RANK[moment.kind]):
        cells[cell_at(moment.t_s, width, state.duration_s)] = SIGNS[moment.kind]
    if state.window is not None:
        start_s, end_s = state.window
        start = cell_at(start_s, width, state.duration_s)
        _mark_window(cells, start, here if end_s is None else cell_at(end_s, width, state.duration_s), end_s is None)
    cells[here] = HERE
    # Equal neighbours are one span: it is sent with one change of style.
    return tuple(("".join(sign for sign, _ in run), role) for role, run in groupby(cells, key=lambda cell: cell[1]))


def _mark_window(cells: list[tuple[str, str]], start: int, end: int, open_ended: bool) -> None:
    first, last = min(start, end), max(start, end)
    for at in range(first, last + 1):
        sign, role = cells[at]
        cells[at] = ("═" if sign in {PLAYED[0], AHEAD[0]} else sign, f"{role} reverse")
    cells[start] = ("[" if start == first else "]", "strong reverse")
    if not open_ended:
        cells[last] = ("]", "strong reverse")


def speed_text(speed: float) -> str:
    """`×0.25`, `×4`, `×max`."""
    return "×max" if isinf(speed) else f"×{speed:g}"


def clock_in(t_s: float, duration_s: float) -> str:
    """A second as it is written in a recording of that length, so that the cell does not grow."""
    return numbers.clock(t_s) if duration_s >= HOUR_S else numbers.short_clock(t_s)


def narrow_row(state: TimelineState) -> Row:
    """` ▶ ×4    01:34/09:48 14:03:22 UTC `."""
    if not state.opened:
        return ((" opening the recording ", "muted"),)
    word = f"LIVE {state.age_s:.0f} s old" if state.following else speed_text(state.speed)
    duration = "" if state.following else f"/{state.clock(state.duration_s)}"
    return (
        (f" {_sign(state)} {word}".ljust(NARROW_STATE_CELLS), "strong"),
        (f" {state.clock(state.position_s)}", "strong"),
        (f"{duration}{_wall_clock(state, ' ')} ", "muted"),
    )


def wide_row(state: TimelineState, width: int) -> Row:
    """` ▶ playing ×4   01:34 / 09:48   14:03:22 UTC   window 01:10 – 01:30   …`, then what fits."""
    if not state.opened:
        return fit([(" opening the recording", "muted")], width)
    word = f"{'playing' if state.playing else 'paused'} {speed_text(state.speed)}"
    if state.following:
        word = f"LIVE following, {state.age_s:.0f} s old"
    spans: list[Span] = [
        (f" {_sign(state)} {word}".ljust(STATE_CELLS), "strong"),
        (f"  {state.clock(state.position_s)}", "strong"),
        (f" / {state.clock(state.duration_s)}{_wall_clock(state, '   ')}", "muted"),
    ]
    if state.window is not None:
        start_s, end_s = state.window
        ends = f"window from {state.clock(start_s)}, z ends it"
        if end_s is not None:
            ends = f"window {state.clock(start_s)} – {state.clock(end_s)}"
        spans.append((f"   {ends}", "strong"))
    if state.message:
        spans.append((f"   {state.message}", "warn"))  # cut rather than left out
    for more in (_legend(), _speeds(state)):
        if length([*spans, *more]) <= width:
            spans += more
    return fit(spans, width)


def _sign(state: TimelineState) -> str:
    return "▶" if state.playing else "‖"


def _wall_clock(state: TimelineState, before: str) -> str:
    return "" if state.wall_s is None else f"{before}{datetime.fromtimestamp(state.wall_s, UTC):%H:%M:%S} UTC"


def _speeds(state: TimelineState) -> list[Span]:
    """Every speed, the current one in brackets."""
    texts = (f"[{speed_text(s)[1:]}]" if s == state.speed else speed_text(s)[1:] for s in SPEEDS)
    return [("   ×", "muted"), (" ".join(texts), "muted")]


def _legend() -> list[Span]:
    spans: list[Span] = []
    for kind in LEGEND:
        sign, role = SIGNS[kind]
        spans += [("   ", ""), (sign, role), (f" {kind}", "muted")]
    return spans
