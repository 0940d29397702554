"""What happened, newest at the bottom."""

from collections.abc import Sequence

from textual.events import Resize

from tui.records.rows import EventRow
from tui.records.units import NS_PER_S
from tui.widgets import numbers
from tui.widgets.event_text import event_text
from tui.widgets.rows import Row, Rows, Span, fit

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
