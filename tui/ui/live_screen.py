"""The screen of a running session: what its keys do to the dials and to the load."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec.structs import replace
from textual.app import App
from textual.binding import BindingType
from textual.widget import Widget

from tui.model.dials import DIAL, DialName
from tui.model.profile import Limits, limits_text, parse_limits
from tui.model.text import UserError
from tui.profile.config import UserConfig
from tui.session.source import Lanes
from tui.session.view import View
from tui.ui.alerts import Alerts, title_sequence
from tui.ui.comparison import compare
from tui.ui.keys import DIAL_KEYS, DIAL_MOUSE, LOAD_KEYS, SESSION_KEYS, VIEW_KEYS
from tui.ui.main_screen import MainScreen
from tui.ui.terminal import write_terminal
from tui.ui.widgets.dials import Dial, DialStrip
from tui.ui.widgets.theme import to_ascii

if TYPE_CHECKING:
    from tui.judge.ledger import LedgerRow
    from tui.ui.tour import Tour


class LiveScreen(MainScreen):
    BINDINGS: ClassVar[list[BindingType]] = [*DIAL_KEYS, *LOAD_KEYS]
    HELP_KEYS = (*DIAL_KEYS, *LOAD_KEYS, *VIEW_KEYS, *SESSION_KEYS)
    HELP_MOUSE = DIAL_MOUSE

    _stopped_by_suspend = False
    tour: Tour | None = None  # given before it is shown
    alerts: Alerts | None = None

    def compose_timeline(self) -> Iterable[Widget]:
        """The caption of a tour."""
        if self.tour is not None:
            from tui.ui.tour import CaptionRow

            yield CaptionRow()

    async def _start(self) -> None:
        await super()._start()
        if self.tour is not None:
            self.tour.begin(self)

    def update_view(self) -> None:
        super().update_view()
        if self.tour is not None and self.view is not None:
            self.tour.second(self.view)

    def notice(self, view: View) -> None:
        """What the operator is called back for, unless that is turned off."""
        if self.alerts is not None and view.second:
            self.alerts.second(view, compare(view, self.objective, dials_differ=False))

    def use_config(self, user_config: UserConfig) -> None:
        super().use_config(user_config)
        self.alerts = Alerts(self.call_operator) if user_config.config.bell else None

    def call_operator(self, text: str) -> None:
        """Ring, and say it in the title of the terminal's window; an empty text is no news, and does not ring."""
        if text:
            self.app.bell()
        text = to_ascii(text) if getattr(self.app, "ascii_only", False) else text
        write_terminal(self.app, title_sequence(text))

    def taken_over(self) -> None:
        if self.tour is not None and self.tour.runs:
            self.tour.end()
            self.show_message("the dials are yours: ? lists all keys")

    def next_steps(self) -> Sequence[str]:
        return [f"next: dragstrip report {self.session}; dragstrip replay {self.session}"] if self.session else []

    # The dials.

    def on_dial_turned(self, message: Dial.Turned) -> None:
        """A dial was turned by the keys of a focused dial, the wheel or the arrows."""
        name, lanes = message.dial.spec.name, message.dial.lanes
        if message.value is None:
            self.turn(name, notches=message.notches, factor=message.factor, lanes=lanes)
        else:
            self._show_dials(self.source.board.set(name, message.value, lanes))

    def on_dial_swallowed(self, message: Dial.Swallowed) -> None:
        self.show_message(f"{message.dial.spec.label} has the keys: esc gives them back")

    def turn(self, name: DialName, *, notches: int = 0, factor: float = 0.0, lanes: Lanes = "both") -> None:
        """Turn a dial and show it at once; at its limit it flashes."""
        board = self.source.board
        board.first_rate = self._measured_rate()
        moved = board.scale(name, factor, lanes) if factor else board.step(name, notches, lanes)
        self._show_dials("")
        if not moved:
            self.query_one(DialStrip).flash(name)
            at_one = name == "concurrency" and (notches < 0 or 0 < factor < 1)
            self.show_message("conc ends at 1: x stops the load" if at_one else f"{DIAL[name].label} is at its limit")

    def _measured_rate(self) -> float | None:
        """Requests a second that both lanes keep up with now, in two digits: where an arrival rate begins."""
        rates = [lane.request_rate for lane in self.view.lanes.values() if lane.request_rate] if self.view else []
        return float(f"{min(rates):.2g}") if rates else None

    def _show_dials(self, message: str) -> None:
        self.show_message(message)
        self.query_one(DialStrip).show()

    def action_step(self, name: DialName, notches: int) -> None:
        self.turn(name, notches=notches, lanes=self.query_one(DialStrip).focused_lanes)

    def action_scale(self, name: DialName, factor: float) -> None:
        self.turn(name, factor=factor, lanes=self.query_one(DialStrip).focused_lanes)

    def action_link(self) -> None:
        if len(self.lanes) > 1:
            self.source.board.toggle_link()
            self.set_focus(None)
            self.redraw()

    def action_undo(self) -> None:
        self._show_dials("" if self.source.board.undo() else "nothing to undo")

    def go_to_setting(self, row: LedgerRow) -> None:
        """Turn all dials to a setting of the ledger at once; `u` takes it back."""
        from tui.session.timeline import dials_of

        board = self.source.board
        board.jump({lane: dials_of(setting, board.shown(lane)) for lane, setting in row.dials.items()})
        self._show_dials("back to this setting: u undoes it")
        self.redraw()

    # The load.

    def action_toggle_load(self) -> None:
        self.load_on = self.source.board.toggle_load()
        self.redraw()

    def action_limits(self) -> None:
        """Ask for limits in ms; an empty text sets none. They are kept for sessions whose profile has none."""
        known = " ".join(f"{name}:{limit:g}" for name, limit in self.view.limits.items()) if self.view else ""

        def problem(text: str) -> str:
            try:
                parse_limits(text)
            except UserError as error:
                return str(error).removeprefix("--goodput ") if text else ""
            return ""

        self.ask(
            "Limits in ms", "ttft:500 tpot:30 e2e:2000, or a preset; empty: none", self._set_limits, problem, known
        )

    def _set_limits(self, text: str) -> None:
        limits = parse_limits(text) if text else Limits()
        if refused := self.source.set_limits(limits):
            self.show_message(refused)
            return
        kept = self.user_config.config.limits
        self.keep(
            limits=replace(kept, preset="", ttft_ms=limits.ttft_ms, tpot_ms=limits.tpot_ms, e2e_ms=limits.e2e_ms)
        )
        self.show_message(f"goodput counts by {limits_text(limits)} ms" if text else "no limits: there is no goodput")

    def before_suspend(self) -> None:
        """Stop the load: nobody would see it, and nobody measures while the program is suspended."""
        self._stopped_by_suspend = self.load_on
        if self.load_on:
            self.action_toggle_load()

    def after_resume(self, app: App[Any]) -> None:
        super().after_resume(app)
        if self._stopped_by_suspend:
            self._stopped_by_suspend = False
            self.show_message("load stopped on ctrl+z: x resumes")

    def action_freeze(self) -> None:
        """Freeze the screen, or show the newest second again."""
        freeze = self.behind_s is None and self.view is not None
        self.behind_s = 0 if freeze else None
        self.set_class(freeze, "-frozen")
        self.call_after_refresh(self.redraw if freeze else self.next_second)

    def action_plan(self) -> None:
        if problem := self.source.toggle_plan():
            self.show_message(problem)
        self.redraw()

    def action_leave(self) -> None:
        """Quit; asks once while load is running."""
        from tui.ui.dialogs import QuitDialog

        running = self.view is not None and any(lane.in_flight for lane in self.view.lanes.values())
        asked = isinstance(self.app.screen, QuitDialog)  # two quick keys may both arrive before the dialog has them
        if running and not asked:
            self.app.push_screen(QuitDialog(), self.leave_if)
        else:
            self.leave_if(True)
