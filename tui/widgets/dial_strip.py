"""The seven dials in two rows: linked, each dial once and wide; apart, a row for each lane."""

from collections.abc import Iterator, Sequence
from functools import partial

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.timer import Timer

from tui.records.dials import DIAL, DIALS, DialName
from tui.records.rows import LANES, Lane
from tui.session.source import Board, Lanes
from tui.widgets.dial import Dial
from tui.widgets.rows import Rows, fit

PENDING_S = 0.1
MESSAGE_S = 4.0
UPPER: tuple[DialName, ...] = ("concurrency", "prompt_tokens", "output_tokens")
LOWER: tuple[DialName, ...] = ("arrival", "request_rate", "shared_prefix", "temperature")
# Room for `16→32…`; a longer turn shows only where it goes.
LINKED_CELLS: dict[DialName, int] = {
    "concurrency": 8, "prompt_tokens": 9, "output_tokens": 8,
    "arrival": 10, "request_rate": 6, "shared_prefix": 5, "temperature": 5,
}  # fmt: skip
APART_CELLS: dict[DialName, int] = {
    "concurrency": 4, "prompt_tokens": 5, "output_tokens": 5,
    "arrival": 8, "request_rate": 4, "shared_prefix": 3, "temperature": 4,
}  # fmt: skip
APART_LABELS: dict[DialName, str] = {
    "concurrency": "conc", "prompt_tokens": "in", "output_tokens": "out",
    "arrival": "", "request_rate": "rate", "shared_prefix": "shr", "temperature": "T",
}  # fmt: skip


class DialStrip(Vertical):
    """Knows which dials are on the screen; the board knows their values."""

    DEFAULT_CSS = """
    DialStrip { height: 2; padding: 0 1; }
    DialStrip Horizontal { height: 1; }
    DialStrip .apart { display: none; }
    DialStrip.-apart .apart { display: block; }
    DialStrip.-apart .linked { display: none; }
    DialStrip .note { width: 1fr; }
    DialStrip .lane { width: 2; }
    """

    def __init__(self, board: Board, lanes: Sequence[Lane]) -> None:
        super().__init__(id="dials")
        self._board = board
        self._lanes = lanes
        self._badge = Rows(classes="note")
        self._note = Rows(classes="note")
        self._hush: Timer | None = None

    def compose(self) -> ComposeResult:
        """The linked arrangement; that of lanes apart is made when they first are: the first paint is sooner."""
        for names, note in ((UPPER, self._badge), (LOWER, self._note)):
            with Horizontal(classes="linked"):
                for name in names:
                    yield self._dial(name, "both", DIAL[name].label, LINKED_CELLS[name])
                yield note

    def on_mount(self) -> None:
        """Show what the board says, and look again while a turn is not in force."""
        self._timer = self.set_interval(PENDING_S, self.show, pause=True)
        self.show()

    def _make_apart(self) -> None:
        """A row of dials for each lane."""
        for lane in self._lanes:
            letter = Rows(classes="lane")
            dials = [self._dial(s.name, lane, APART_LABELS[s.name], APART_CELLS[s.name]) for s in DIALS]
            self.mount(Horizontal(letter, *dials, classes="apart"))
            letter.put([fit([(lane.upper(), f"{lane} strong")], 2)])
        self.call_after_refresh(self.show)

    def _dial(self, name: DialName, lanes: Lanes, label: str, cells: int) -> Dial:
        return Dial(DIAL[name], lanes, label=label, cells=cells, read_only=self._board.read_only)

    @property
    def focused_lanes(self) -> Lanes:
        """Whose dials a key turns: the lane of the dial in focus, else both."""
        focused = self.screen.focused
        return focused.lanes if isinstance(focused, Dial) else "both"

    def say(self, text: str) -> None:
        """A sentence beside the dials for 4 s, or until the next one; without room for it there, over the picture."""
        room = 0 if self.has_class("-apart") else self._note.size.width
        fits = len(text) <= room
        if not fits:
            self.app.notify(text, markup=False, timeout=MESSAGE_S)
        self._note.put([((text if fits else "", "warn"),)])
        if self._hush is not None:
            self._hush.stop()
        self._hush = self.set_timer(MESSAGE_S, partial(self.say, "")) if text and fits else None

    def flash(self, name: DialName) -> None:
        """The dial is at its stop."""
        for dial in self._shown_dials():
            if dial.spec.name == name:
                dial.flash()
        self.say(f"{DIAL[name].label} is at its limit")

    def show(self) -> None:
        """Compare the dials with the board."""
        apart = not self._board.linked and len(self._lanes) > 1
        if self.has_class("-apart") != apart:
            self.set_class(apart, "-apart")
            if apart and not self.query(".apart"):
                self._make_apart()
        for dial in self._shown_dials():
            lane: Lane = "b" if dial.lanes == "b" else "a"
            name = dial.spec.name
            dial.show(getattr(self._board.shown(lane), name), getattr(self._board.in_force(lane), name))
        self._say_linked()
        if any(dial.pending for dial in self._shown_dials()):
            self._timer.resume()
        else:
            self._timer.pause()

    def _say_linked(self) -> None:
        text = "as recorded, read-only" if self._board.read_only else "A=B linked" if len(self._lanes) > 1 else ""
        self._badge.put([((text, "muted"),)])

    def _shown_dials(self) -> Iterator[Dial]:
        apart = self.has_class("-apart")
        return (dial for dial in self.query(Dial) if (dial.lanes in LANES) == apart)
