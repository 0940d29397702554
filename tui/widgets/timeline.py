"""The recording as one row: what happened where, a window of it, and where the picture stands.

Every sign is a character of its own, so that neither colour nor more than ASCII is needed to read it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from textual import events
from textual.events import Resize
from textual.message import Message

from tui.session.transport import Moment, MomentKind
from tui.widgets.rows import Row, Rows

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
class Span:
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
        self._span = Span(0.0, 0.0)
        self._held = False

    def show(self, span: Span) -> None:
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


def bar_row(span: Span, width: int) -> Row:
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


def _mark_window(cells: list[tuple[str, str]], span: Span, here: int) -> None:
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
