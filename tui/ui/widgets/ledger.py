"""The ledger as a place: a cursor on its settings while it has the focus, and what the one under it is for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from tui.ui.widgets.panel import Panel, ScreenState
from tui.ui.widgets.rows import Row
from tui.ui.widgets.tables import ORDERS, LedgerLook, first_on_page, ledger_rows, ordered, settings_rows

if TYPE_CHECKING:
    from tui.judge.ledger import LedgerRow

SETTING = Binding.Group("setting")
LEDGER_KEYS: list[BindingType] = [
    Binding("up", "move(-1)", "previous setting of the ledger", group=SETTING),
    Binding("down", "move(1)", "next setting of the ledger", group=SETTING),
    Binding(
        "enter", "choose", "go there", tooltip="turn the dials to this setting; in a replay: go to its next visit"
    ),
    Binding(
        "p", "pin", "pin", tooltip="pin this setting: its figures stay beside the present ones; again: let it go"
    ),
    Binding("s", "sort", "sort", tooltip="sort the settings by dials, by visit, by tokens/s of A or B, by the lead"),
    Binding("escape", "release", "keys back", tooltip="give these keys back to the screen"),
]


class LedgerPanel(Panel, can_focus=True):
    """As many settings as there are rows; page up and page down show the others.

    Arrows, enter, `p` and `s` are the ledger's only while it has the focus.
    """

    BINDINGS: ClassVar[list[BindingType]] = LEDGER_KEYS

    class Chosen(Message):
        """The operator wants this setting again."""

        def __init__(self, row: LedgerRow) -> None:
            super().__init__()
            self.row = row

    class Pinned(Chosen):
        """Its figures are to stay on the screen, or no longer."""

    def __init__(self, short: str = "") -> None:
        """`short`: the name of one that stands next to the lanes."""
        super().__init__(self._draw, id=short or "ledger", min_size=(1, 2 if short else 4))
        self._short = bool(short)
        self.look = LedgerLook()

    def _draw(self, state: ScreenState, width: int, height: int) -> list[Row]:
        pinned = state.pinned.dials if state.pinned is not None else None
        look = replace(self.look, cursor=self.look.cursor if self.has_focus else None, pinned=pinned)
        return (settings_rows if self._short else ledger_rows)(state.view, width, height, look)

    @property
    def _page(self) -> int:
        return max(self.content_size.height - 2, 1)

    @property
    def _places(self) -> list[int]:
        """Of the settings in the ledger, in the order that is shown."""
        return [] if self.state is None else [place for place, _ in ordered(self.state.view, self.look.order)]

    def page(self, way: int) -> None:
        """One page up (-1) or down (1)."""
        if self.state is not None:
            first = first_on_page(self.state.view, self._page, self.look)
            self._show(first=first + way * self._page)

    def _show(self, *, first: int | None = None, cursor: int | None = None, order: str = "") -> None:
        assert self.state is not None
        look = replace(
            self.look, order=order or self.look.order, cursor=cursor if cursor is not None else self._cursor
        )
        self.look = replace(look, first=first)
        if first is not None:
            self.look = replace(self.look, first=first_on_page(self.state.view, self._page, self.look))
        self.redraw()

    @property
    def _cursor(self) -> int | None:
        """The place under the cursor: at first that of the setting in force."""
        if self.state is None or not self._places:
            return None
        return self.look.cursor if self.look.cursor in self._places else max(self.state.view.ledger_now, 0)

    def on_focus(self) -> None:
        self.look = replace(self.look, cursor=self._cursor)
        self.redraw()

    def on_blur(self) -> None:
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """On a setting: the cursor goes there; twice: the operator wants it again."""
        event.stop()
        if self.state is None:
            return
        at = event.y - 1 + (0 if self._short else first_on_page(self.state.view, self._page, self.look))
        at += max(len(self._places) - self._short_rows, 0) if self._short else 0
        if 0 <= at < len(self._places):
            self._show(first=self.look.first, cursor=self._places[at])
            if event.chain == 2:
                self.action_choose()

    @property
    def _short_rows(self) -> int:
        assert self.state is not None
        return max(self.content_size.height - 1 - bool(self.state.view.crossover), 1)

    def action_move(self, by: int) -> None:
        places, cursor = self._places, self._cursor
        if self.state is None or cursor is None:
            return
        at = min(max(places.index(cursor) + by, 0), len(places) - 1)
        first = first_on_page(self.state.view, self._page, self.look)
        first = min(max(first, at - self._page + 1), at)
        self._show(first=first, cursor=places[at])

    def action_sort(self) -> None:
        order = ORDERS[(ORDERS.index(self.look.order) + 1) % len(ORDERS)]
        self._show(order=order)
        self.screen.show_message(f"settings sorted by {order}")  # type: ignore[attr-defined]

    def action_release(self) -> None:
        self.screen.set_focus(None)

    def action_choose(self) -> None:
        if (row := self._row) is not None:
            self.post_message(self.Chosen(row))

    def action_pin(self) -> None:
        if (row := self._row) is not None:
            self.post_message(self.Pinned(row))

    @property
    def _row(self) -> LedgerRow | None:
        cursor = self._cursor
        return None if self.state is None or cursor is None else self.state.view.ledger[cursor]
