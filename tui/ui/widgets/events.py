"""What happened, newest at the bottom.

An event in words, on the screen and where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.events import Resize

from tui.model.dials import DIAL
from tui.model.rows import EventRow
from tui.model.text import sanitize
from tui.model.units import NS_PER_S
from tui.ui.widgets import numbers
from tui.ui.widgets.rows import Row, Rows, Span, fit


def event_text(event: EventRow) -> str:
    """`concurrency 16 → 32`, `down: connection refused`, `mark after warm-up`."""
    if event.kind == "dial":
        unit = DIAL[event.name].unit if event.name in DIAL else ""
        name = sanitize(event.name, 20).replace("_", " ")
        return f"{name} {sanitize(event.old, 20)} → {sanitize(event.new, 20)} {unit}".rstrip()
    if event.kind == "plan":
        return f"plan: {sanitize(event.text)}"
    if event.kind == "fault" and not event.text:
        return f"{sanitize(event.name, 20)} readings are back"
    words = [event.kind, sanitize(event.name, 20), sanitize(event.new, 20), sanitize(event.text)]
    return " ".join(word for word in words if word)


ROLE = {"down": "error", "fault": "warn", "bound": "warn"}


class EventList(Rows):
    """As many of the newest events as there are rows."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._events: Sequence[EventRow] = ()
        self._t0_ns = 0

    def show(self, events: Sequence[EventRow], t0_ns: int) -> None:
        """Take the events of the session."""
        self._events, self._t0_ns = events, t0_ns
        width, height = self.content_size
        if width and height:
            newest = self._events[-height:]
            self.put([event_row(event, t0_ns, width) for event in newest])

    def on_resize(self, _: Resize) -> None:
        """Draw again for the new room."""
        self.show(self._events, self._t0_ns)


def event_row(event: EventRow, t0_ns: int, width: int) -> Row:
    """` 00:02:44  A  concurrency 16 → 32 streams`."""
    at_s = max((event.t_ns - t0_ns) / NS_PER_S, 0.0) if t0_ns else 0.0
    lane: Span = (f" {event.lane.upper() or ' '} ", f"{event.lane} strong" if event.lane else "")
    return fit([(f" {numbers.clock(at_s)}", "muted"), lane, (event_text(event), ROLE.get(event.kind, ""))], width)
