"""The live screen: what each key does to the dials and to the load."""

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import App
from textual.binding import BindingType

from tui.model.dials import DialName, DialValue
from tui.session.source import Lanes
from tui.ui.keys import DIAL_KEYS, LOAD_KEYS, LOOK_KEYS, SESSION_KEYS
from tui.ui.main_screen import LookingScreen
from tui.ui.widgets.dials import Dial, DialStrip


class LiveScreen(LookingScreen):
    """Keys and what they do."""

    BINDINGS: ClassVar[list[BindingType]] = [*DIAL_KEYS, *LOAD_KEYS]
    HELP_KEYS = (*DIAL_KEYS, *LOAD_KEYS, *LOOK_KEYS, *SESSION_KEYS)
    HELP_MOUSE = (
        ("click ◀ ▶", "or the wheel over a dial: one notch"),
        ("2× click", "on a value: type it"),
    )

    _stopped_away = False  # the load, as the program was suspended

    def next_steps(self) -> Sequence[str]:
        """The commands that go on with the recording."""
        return [f"next: dragstrip report {self.session}; dragstrip replay {self.session}"] if self.session else []

    # The dials.

    def on_dial_turned(self, message: Dial.Turned) -> None:
        """A dial was turned by its own keys, wheel or arrows."""
        name, lanes = message.dial.spec.name, message.dial.lanes
        if message.value is not None:
            self.set_dial(name, message.value, lanes)
        else:
            self.turn(name, notches=message.notches, factor=message.factor, lanes=lanes)

    def turn(self, name: DialName, *, notches: int = 0, factor: float = 0.0, lanes: Lanes = "both") -> None:
        """Turn a dial and show it at once; at its stop it flashes."""
        board, strip = self.source.board, self.query_one(DialStrip)
        moved = board.scale(name, factor, lanes) if factor else board.step(name, notches, lanes)
        strip.say("")
        strip.show()
        if not moved:
            strip.flash(name)

    def set_dial(self, name: DialName, value: DialValue, lanes: Lanes) -> None:
        """Set a typed value; why it is refused stands beside the dials."""
        strip = self.query_one(DialStrip)
        strip.say(self.source.board.set(name, value, lanes))
        strip.show()

    def action_step(self, name: DialName, notches: int) -> None:
        """Turn by notches."""
        self.turn(name, notches=notches, lanes=self.query_one(DialStrip).focused_lanes)

    def action_scale(self, name: DialName, factor: float) -> None:
        """Halve or double."""
        self.turn(name, factor=factor, lanes=self.query_one(DialStrip).focused_lanes)

    def action_link(self) -> None:
        """Turn both lanes' dials together or apart."""
        if len(self.lanes) < 2:
            return
        self.source.board.toggle_link()
        self.set_focus(None)
        self.query_one(DialStrip).show()
        self.redraw()

    def action_undo(self) -> None:
        """Take the last turn back."""
        strip = self.query_one(DialStrip)
        strip.say("" if self.source.board.undo() else "nothing to undo")
        strip.show()

    def action_toggle_load(self) -> None:
        """Stop all load at once, or bring it back."""
        self.load_on = self.source.board.toggle_load()
        self.redraw()

    def going_away(self) -> None:
        """Nobody would see the load, and nobody measures while the program is suspended: it is stopped."""
        self._stopped_away = self.load_on
        if self.load_on:
            self.action_toggle_load()

    def come_back(self, app: App[Any]) -> None:
        """Say what was done meanwhile."""
        super().come_back(app)
        if self._stopped_away:
            self._stopped_away = False
            self.say("load stopped on ctrl+z: x resumes")

    # The picture of it.

    def action_freeze(self) -> None:
        """Hold the picture; the data go on."""
        if self.frozen_at is None and self.view is not None:
            self.frozen_at, self.behind_s = self.view.second, 0
            self.add_class("-frozen")
            self.call_after_refresh(self.show_frozen, self.view, 0)
        else:
            self.frozen_at = None
            self.remove_class("-frozen")
            self.call_after_refresh(self.tick)

    def action_plan(self) -> None:
        """Start the profile's plan, pause it or go on."""
        if problem := self.source.toggle_plan():
            self.say(problem)
        self.redraw()

    def action_leave(self) -> None:
        """Quit; asks once while load is running."""
        from tui.ui.dialogs import QuitBox

        running = self.view is not None and any(lane.in_flight for lane in self.view.lanes.values())
        asked = isinstance(self.app.screen, QuitBox)  # two quick keys may both arrive before the box has the keys
        if running and not asked:
            self.app.push_screen(QuitBox(), self.leave_if)
        else:
            self.leave_if(True)
