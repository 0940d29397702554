"""One dial: a label, a value between two arrows, turned by keys, wheel, click or a typed value."""

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.timer import Timer

from tui.records.dials import DialSpec, DialValue, dial_text
from tui.session.source import Lanes
from tui.widgets.rows import Row, Rows, Span, fit

FLASH_S = 0.25
TYPED = "0123456789."
TYPED_CELLS = 8  # longer than any value of a dial
DIAL_KEYS = Binding.Group("focused dial")


class Dial(Rows, can_focus=True):
    """Shows a value at once when it turns. What a turn does is decided by whoever handles its messages."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,right", "turn(1)", "one notch up", show=False, group=DIAL_KEYS),
        Binding("down,left", "turn(-1)", "one notch down", show=False, group=DIAL_KEYS),
        Binding("pageup", "double(2.0)", "double", show=False, group=DIAL_KEYS),
        Binding("pagedown", "double(0.5)", "halve", show=False, group=DIAL_KEYS),
        Binding("home", "limit(False)", "lowest", show=False, group=DIAL_KEYS),
        Binding("end", "limit(True)", "highest", show=False, group=DIAL_KEYS),
    ]
    DEFAULT_CSS = "Dial { width: auto; margin-right: 1; }"

    class Turned(Message):
        """By `notches`, by a `factor`, to a `limit`, or to a typed `value`; one of them is given."""

        def __init__(
            self, dial: "Dial", *, notches: int = 0, factor: float = 0.0, value: DialValue | None = None
        ) -> None:
            super().__init__()
            self.dial, self.notches, self.factor, self.value = dial, notches, factor, value

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
        """Show a value and, until it is in force, the one that it replaces."""
        self._shown, self._in_force = shown, in_force
        self._draw()

    def flash(self) -> None:
        """Show that the dial is at its stop, for a moment."""
        if self._flash is not None:
            self._flash.stop()
        self._flash = self.set_timer(FLASH_S, self._calm)
        self._draw()

    def _calm(self) -> None:
        self._flash = None
        self._draw()

    def on_focus(self) -> None:
        """Show the focus."""
        self._draw()

    def on_blur(self) -> None:
        """A value half typed is dropped."""
        self._typed = None
        self._draw()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Wheel up: one notch up."""
        event.stop()
        self.post_message(self.Turned(self, notches=1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Wheel down: one notch down."""
        event.stop()
        self.post_message(self.Turned(self, notches=-1))

    def on_click(self, event: events.Click) -> None:
        """On an arrow: turn. Twice on the value: type."""
        left = len(self._label) + 1
        if event.x <= left:
            self.post_message(self.Turned(self, notches=-1))
        elif event.x >= left + self._cells + 1:
            self.post_message(self.Turned(self, notches=1))
        elif event.chain == 2 and self.can_focus:
            self._type("")

    def on_key(self, event: events.Key) -> None:
        """Typing a value: digits begin it, enter applies it, escape restores."""
        character = event.character or ""
        if character in TYPED and character and (self._typed is not None or character != "."):
            if self.spec.name != "arrival":
                self._type((self._typed or "") + character)
        elif self._typed is None:
            return
        elif event.key == "backspace":
            self._type(self._typed[:-1])
        elif event.key == "enter":
            self._apply_typed(self._typed)
        elif event.key == "escape":
            self._typed = None
            self._draw()
        else:
            return
        event.stop()
        event.prevent_default()

    def _type(self, text: str) -> None:
        """Keep what was typed whole, though a narrow dial shows its end: 1024 must never be applied as 102."""
        self._typed = text[:TYPED_CELLS]
        self._draw()

    def _apply_typed(self, text: str) -> None:
        self._typed = None
        try:
            value = float(text)
        except ValueError:
            self._draw()
            return
        if self.spec.unit == "%" and not 0 < value < 1:  # 0.5 means half, as the flag and a profile spell it
            value /= 100
        self.post_message(self.Turned(self, value=int(value) if value.is_integer() else value))
        self._draw()

    def action_turn(self, notches: int) -> None:
        """Up or down by notches."""
        self.post_message(self.Turned(self, notches=notches))

    def action_double(self, factor: float) -> None:
        """Double or halve."""
        self.post_message(self.Turned(self, factor=factor))

    def action_limit(self, high: bool) -> None:
        """To one end."""
        self.post_message(self.Turned(self, value=self.spec.notches[-1 if high else 0]))

    def _draw(self) -> None:
        self.put([self._row()])

    def _row(self) -> Row:
        active = "reverse" if self._flash is not None else "strong" if self.has_focus else ""
        value: Span = (self._value(), active)
        arrow = "strong" if self.has_focus else "muted"
        left, right = ("◀", "▶") if self.can_focus else (" ", " ")
        label = f"strong {'reverse' if self.has_focus else ''}" if self.has_focus else "muted"
        return fit(
            [(self._label, label), (" ", ""), (left, arrow), value, (right, arrow)],
            len(self._label) + self._cells + 3,
        )

    def _value(self) -> str:
        if self._typed is not None:
            return f"{self._typed}_"[-self._cells :].center(self._cells)
        new, old = (self._fitting(dial_text(self.spec, value)) for value in (self._shown, self._in_force))
        unit = self.spec.unit if self.spec.unit == "%" else ""
        if not self.pending:
            return (new + unit).center(self._cells)
        turning = next((t for t in (f"{old}→{new}…", f"→{new}…", new) if len(t) <= self._cells), new[: self._cells])
        return turning.center(self._cells)

    def _fitting(self, text: str) -> str:
        """A value too long for a narrow dial in thousands: `100k`."""
        if len(text) <= self._cells or self.spec.name == "arrival":
            return text
        return f"{float(text) / 1000:.3g}k" if float(text) >= 1000 else text[: self._cells]
