"""The dials: each a label and a value between two arrows, turned by keys, wheel, click or a typed value.

The seven dials are in two rows: linked, each dial once and wide; unlinked, a row for each lane.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer

from tui.model.dials import DIALS, DialName, DialSpec, DialValue, dial_text
from tui.model.rows import LANES, Lane
from tui.session.source import Board, Lanes
from tui.ui.keys import DIAL_KEYS as SCREEN_DIAL_KEYS
from tui.ui.widgets.rows import Row, Rows, fit

FLASH_S = 0.25
TYPED = "0123456789."
TYPED_CELLS = 8  # longer than any value of a dial
DIAL_KEYS = Binding.Group("focused dial")
# Keys of the screen that a dial in focus lets through, because they are about dials.
BOARD_KEYS = frozenset(binding.key for binding in Binding.make_bindings(SCREEN_DIAL_KEYS))
# What a value that is being typed does not swallow: to leave it, or the program.
LEAVING_KEYS = frozenset({"tab", "shift+tab", "ctrl+c", "ctrl+q", "ctrl+z"})


class Dial(Rows, can_focus=True):
    """Shows a value at once when it turns. What a turn does is decided by whoever handles its messages."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,right", "turn(1)", "one notch up", show=False, group=DIAL_KEYS),
        Binding("down,left", "turn(-1)", "one notch down", show=False, group=DIAL_KEYS),
        Binding("pageup", "scale(2.0)", "double", show=False, group=DIAL_KEYS),
        Binding("pagedown", "scale(0.5)", "halve", show=False, group=DIAL_KEYS),
        Binding("home", "limit(False)", "lowest", show=False, group=DIAL_KEYS),
        Binding("end", "limit(True)", "highest", show=False, group=DIAL_KEYS),
    ]
    DEFAULT_CSS = "Dial { width: auto; margin-right: 1; }"

    class Turned(Message):
        """By `notches`, by a `factor`, or to a `value`; one of them is given."""

        def __init__(
            self, dial: Dial, *, notches: int = 0, factor: float = 0.0, value: DialValue | None = None
        ) -> None:
            super().__init__()
            self.dial, self.notches, self.factor, self.value = dial, notches, factor, value

    class Swallowed(Message):
        """A key that is not the dial's, while the dial has the focus."""

        def __init__(self, dial: Dial) -> None:
            super().__init__()
            self.dial = dial

    def __init__(self, spec: DialSpec, lanes: Lanes, *, label: str, cells: int, read_only: bool = False) -> None:
        super().__init__(id=f"dial-{lanes}-{spec.name}")
        self.can_focus = not read_only
        self.spec, self.lanes = spec, lanes
        self._label, self._cells = label, cells
        self._typed: str | None = None
        self._shown: DialValue = ""
        self._in_force: DialValue = ""
        self._flash: Timer | None = None
        self.styles.width = len(label) + cells + 3

    @property
    def pending(self) -> bool:
        """Whether the value shown is not in force yet."""
        return self._shown != self._in_force

    def show(self, shown: DialValue, in_force: DialValue) -> None:
        self._shown, self._in_force = shown, in_force
        self._draw()

    def flash(self) -> None:
        """Show for a moment that the dial is at its limit."""
        if self._flash is not None:
            self._flash.stop()
        self._flash = self.set_timer(FLASH_S, self._end_flash)
        self._draw()

    def _end_flash(self) -> None:
        self._flash = None
        self._draw()

    def on_focus(self) -> None:
        self._draw()

    def on_blur(self) -> None:
        self._type(None)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_turn(1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_turn(-1)

    def on_click(self, event: events.Click) -> None:
        """On an arrow: turn. Twice on the value: type."""
        left = len(self._label) + 1
        if event.x <= left:
            self.action_turn(-1)
        elif event.x >= left + self._cells + 1:
            self.action_turn(1)
        elif event.chain == 2 and self.can_focus:
            self._type("")

    def on_key(self, event: events.Key) -> None:
        """Typing a value: a digit begins it, enter applies it, escape drops it.

        No other key gets through while a value is typed, and no character of the screen's while the dial has the
        focus: `64x` is to be a value mistyped, never the end of the load.
        """
        character, typed = event.character or "", self._typed
        if character and character in TYPED and (typed is not None or character != "."):
            if self.spec.name != "arrival":
                self._type((typed or "") + character)
        elif typed is not None and event.key == "backspace":
            self._type(typed[:-1])
        elif typed is not None and event.key == "enter":
            self._apply(typed)
        elif typed is not None and event.key == "escape":
            self._type(None)
        elif event.key in LEAVING_KEYS or (typed is None and self._passes(event)):
            return
        else:
            self.post_message(self.Swallowed(self))
        event.stop()
        event.prevent_default()

    def _passes(self, event: events.Key) -> bool:
        """Whether a key goes on to the dial's bindings and the screen's: arrows, escape, what is about dials."""
        return not event.is_printable or event.key in BOARD_KEYS

    def _type(self, text: str | None) -> None:
        """Keep what was typed whole, though a narrow dial shows its end: 1024 must never be applied as 102."""
        self._typed = None if text is None else text[:TYPED_CELLS]
        self._draw()

    def _apply(self, typed: str) -> None:
        self._type(None)
        try:
            value = float(typed)
        except ValueError:
            return
        if self.spec.unit == "%" and not 0 < value < 1:  # 0.5 means half, as the flag and a profile spell it
            value /= 100
        self.post_message(self.Turned(self, value=int(value) if value.is_integer() else value))

    def action_turn(self, notches: int) -> None:
        self.post_message(self.Turned(self, notches=notches))

    def action_scale(self, factor: float) -> None:
        self.post_message(self.Turned(self, factor=factor))

    def action_limit(self, high: bool) -> None:
        self.post_message(self.Turned(self, value=self.spec.notches[-1 if high else 0]))

    def _draw(self) -> None:
        self.set_rows([self._row()])

    def _row(self) -> Row:
        focused = "strong" if self.has_focus else ""
        value_role = "reverse" if self._flash is not None else focused
        left, right = ("◀", "▶") if self.can_focus else (" ", " ")
        spans = [
            (self._label, "strong reverse" if self.has_focus else "muted"),
            (" ", ""),
            (left, focused or "muted"),
            (self._value().center(self._cells), value_role),
            (right, focused or "muted"),
        ]
        return fit(spans, len(self._label) + self._cells + 3)

    def _value(self) -> str:
        if self._typed is not None:
            return f"{self._typed}_"[-self._cells :]
        new, old = (self._short(dial_text(self.spec, value)) for value in (self._shown, self._in_force))
        if not self.pending:
            return new + (self.spec.unit if self.spec.unit == "%" else "")
        texts = (f"{old}→{new}…", f"→{new}…", new)
        return next((text for text in texts if len(text) <= self._cells), new[: self._cells])

    def _short(self, text: str) -> str:
        """A value too long for a narrow dial in thousands: `100k`."""
        if len(text) <= self._cells or not text[0].isdigit():
            return text
        return f"{float(text) / 1000:.3g}k" if float(text) >= 1000 else text[: self._cells]


PENDING_S = 0.1


class Place(NamedTuple):
    """Where a dial is: its row and cells while linked, its label and cells while not.

    The cells have room for `16→32…`; a longer turn shows only where it goes.
    """

    row: int
    cells: int
    apart_label: str
    apart_cells: int


PLACES: dict[DialName, Place] = {
    "concurrency": Place(0, 8, "conc", 4),
    "prompt_tokens": Place(0, 9, "in", 5),
    "output_tokens": Place(0, 8, "out", 5),
    "arrival": Place(1, 10, "", 8),
    "request_rate": Place(1, 6, "rate", 4),
    "shared_prefix": Place(1, 5, "shr", 3),
    "temperature": Place(1, 5, "T", 4),
    "speed": Place(1, 6, "spd", 4),
    "think": Place(1, 5, "thk", 4),
}


class LinkBadge(Rows):
    """Whether the dials of both lanes are linked; a click changes it."""

    async def on_click(self, event: events.Click) -> None:
        event.stop()
        await self.screen.run_action("link")


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
        self._specs = [spec for spec in DIALS if board.traffic.has(spec)]
        self._lanes = lanes
        self._badge = LinkBadge(classes="note")
        self._message = Rows(classes="note")

    def compose(self) -> ComposeResult:
        """The linked dials; unlinked ones are made when first needed, so that the first paint is sooner."""
        for row, note in enumerate((self._badge, self._message)):
            with Horizontal(classes="linked"):
                for spec in self._specs:
                    if PLACES[spec.name].row == row:
                        yield self._dial(spec, "both", spec.label, PLACES[spec.name].cells)
                yield note

    def on_mount(self) -> None:
        self._pending_timer = self.set_interval(PENDING_S, self.show, pause=True)
        self.show()

    def _make_apart(self) -> None:
        for lane in self._lanes:
            letter = Rows(classes="lane")
            places = [(spec, PLACES[spec.name]) for spec in self._specs]
            dials = [self._dial(spec, lane, place.apart_label, place.apart_cells) for spec, place in places]
            self.mount(Horizontal(letter, *dials, classes="apart"))
            letter.set_rows([fit([(lane.upper(), f"{lane} strong")], 2)])
        self.call_after_refresh(self.show)

    def _dial(self, spec: DialSpec, lanes: Lanes, label: str, cells: int) -> Dial:
        return Dial(spec, lanes, label=label, cells=cells, read_only=self._board.read_only)

    @property
    def focused_lanes(self) -> Lanes:
        """Whose dials a key turns: the lane of the dial in focus, else both."""
        focused = self.screen.focused
        return focused.lanes if isinstance(focused, Dial) else "both"

    def show_message(self, text: str) -> bool:
        """Next to the dials; returns whether there is room for it."""
        fits = len(text) <= (0 if self.has_class("-apart") else self._message.size.width)
        self._message.set_rows([((text if fits else "", "warn"),)])
        return fits

    def flash(self, name: DialName) -> None:
        """Show for a moment that the dial is at its limit."""
        for dial in self._shown_dials():
            if dial.spec.name == name:
                dial.flash()

    def show(self) -> None:
        """Show what the board says, and again soon while a turn is not in force."""
        apart = not self._board.linked and len(self._lanes) > 1
        if self.has_class("-apart") != apart:
            self.set_class(apart, "-apart")
            if apart and not self.query(".apart"):
                self._make_apart()
        for dial in self._shown_dials():
            lane: Lane = "b" if dial.lanes == "b" else "a"
            shown, in_force = self._board.shown(lane), self._board.in_force(lane)
            dial.show(getattr(shown, dial.spec.name), getattr(in_force, dial.spec.name))
        badge = "A=B linked" if len(self._lanes) > 1 else "one lane"
        badge = "as recorded, read-only" if self._board.read_only else badge
        self._badge.set_rows([((badge, "muted"),)])
        if any(dial.pending for dial in self._shown_dials()):
            self._pending_timer.resume()
        else:
            self._pending_timer.pause()

    def _shown_dials(self) -> Iterator[Dial]:
        apart = self.has_class("-apart")
        return (dial for dial in self.query(Dial) if (dial.lanes in LANES) == apart)
