"""One lane: a frame with the engine's name and state in its top line, and inside it the rows of numbers."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Resize

from tui.records.rows import Lane
from tui.widgets.lane_rows import PaneNumbers, lane_rows, pane_title, state_spans
from tui.widgets.rows import Row, Rows, Span, fit, length

NAME_CELLS = 14  # of the engine's name stay when the reason why a lane is down is long


class LanePane(Vertical):
    """The frame never repaints with the numbers: only its title row does, when the state changes."""

    DEFAULT_CSS = """
    LanePane { width: 1fr; height: 1fr; }
    LanePane > .frame { height: 1fr; border: round $accent; border-top: none; padding: 0 1; }
    LanePane .body { height: 1fr; }
    """

    def __init__(self, lane: Lane, url: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.lane: Lane = lane
        self._url = url
        self._numbers: PaneNumbers | None = None
        self._title = Rows(classes="title")
        self._body = Rows(classes="body")

    def compose(self) -> ComposeResult:
        """Title line and body; the frame is a widget of its own, or each row would bring its borders along."""
        yield self._title
        with Vertical(classes="frame"):
            yield self._body

    @property
    def plain(self) -> str:
        """What is shown, as text."""
        return f"{self._title.plain}\n{self._body.plain}"

    def show(self, pane: PaneNumbers) -> None:
        """Take the numbers of this second."""
        self._numbers = pane
        self._draw()

    def on_resize(self, _: Resize) -> None:
        """Draw again for the new room."""
        self._draw()

    def _draw(self) -> None:
        if self._numbers is None or not self.display:
            return
        self._title.put([self._title_row(self._numbers)])
        size = self._body.content_size
        if size.width > 0 and size.height > 0:
            self._body.put(lane_rows(self._numbers, size.width, size.height))

    def _title_row(self, pane: PaneNumbers) -> Row:
        """`╭─ A vLLM 0.19  127.0.0.1:8000 SIMULATED ───── ● up ─╮`."""
        width = self.size.width
        text, simulated = pane_title(pane.view, self._url)
        badge: list[Span] = [(" SIMULATED", "warn strong")] if simulated else []
        state = state_spans(pane.view)
        room = width - 10 - length(badge)
        shown = min(length(state), max(room - min(length([(text, "")]), NAME_CELLS), 10))
        left: list[Span] = [("╭─ ", "muted"), (self.lane.upper(), f"{self.lane} strong"), (" ", "")]
        left += [*fit([(text, self.lane)], min(length([(text, "")]), max(room - shown, 0))), *badge, (" ", "")]
        right: list[Span] = [(" ", ""), *fit(state, shown), (" ─╮", "muted")]
        fill = max(width - length(left) - length(right), 0)
        return fit([*left, ("─" * fill, "muted"), *right], width)
