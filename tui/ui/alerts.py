"""What calls the operator back from another window: a lane down or back, a verdict, the end of a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tui.judge.sentence import cell_factor
from tui.model.rows import Lane
from tui.session.view import View
from tui.ui.comparison import Comparison

NAME: Final = "dragstrip"
SAVE_TITLE, RESTORE_TITLE = "\x1b[22;2t", "\x1b[23;2t"  # xterm's stack of titles, which most terminals have

Call = Callable[[str], None]


def title_sequence(text: str) -> str:
    """OSC 2: the title of the terminal's window."""
    return f"\x1b]2;{f'{text} · ' if text else ''}{NAME}\x07"


@dataclass(slots=True)
class Alerts:
    """Is shown each second, and calls with a few words when something happened; "" when they hold no longer."""

    call: Call
    _down: set[Lane] = field(default_factory=set)
    _decided: tuple[str, str] | None = None  # the figure, and the word that fell
    _figure: str = ""  # that was compared a second ago
    _newest_ns: int = 0  # the last end of a plan
    _said: str = ""

    def second(self, view: View, comparison: Comparison) -> None:
        texts = [*self._lanes(view), *self._verdict(comparison), *self._plan(view)]
        if texts:
            self._said = texts[0]
            self.call(texts[0])
        elif self._said.startswith(("▲", "≈")) and self._decided is None:  # the dials were turned
            self._said = ""
            self.call("")

    def _lanes(self, view: View) -> list[str]:
        down = {lane for lane, shown in view.lanes.items() if shown.state == "down"}
        back = {lane for lane in self._down if view.lanes[lane].state == "up"}
        new = down - self._down
        self._down = (self._down | down) - back
        called = [f"✖ {lane.upper()} down" for lane in sorted(new)]
        return [*called, *(f"● {lane.upper()} back" for lane in sorted(back))]

    def _verdict(self, comparison: Comparison) -> list[str]:
        """A verdict that was there when the operator chose its figure is no news."""
        verdict, figure = comparison.verdict, comparison.label
        if comparison.sentence.state != "decided":
            self._decided = None
            self._figure = figure
            return []
        before, self._decided = self._decided, (figure, verdict.word)
        chosen, self._figure = figure != self._figure, figure
        if chosen or before == self._decided:
            return []
        lead = comparison.lead.upper()
        return [f"▲ {lead} ahead {cell_factor(verdict).removeprefix(f'{lead} ')}" if lead else f"≈ {verdict.word}"]

    def _plan(self, view: View) -> list[str]:
        over = [event for event in view.events if event.kind == "plan" and event.name == "over"]
        is_new = bool(over) and over[-1].t_ns > self._newest_ns
        self._newest_ns = max([self._newest_ns, *(event.t_ns for event in over)])
        return ["■ plan ended"] if is_new else []
