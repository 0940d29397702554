"""The replay screen: what a recording lets one do besides moving in it: mark a window, make notes, export."""

import asyncio
from collections.abc import Callable
from typing import Final

from textual.containers import Vertical

from tui.records.errors import UserError
from tui.records.text import clean
from tui.screens.boxes import BoxResult
from tui.screens.looking import Export
from tui.screens.parts import Look
from tui.screens.replay_transport import ReplayedSource, TransportScreen
from tui.screens.replay_view import window_headline
from tui.session.transport import WindowView
from tui.session.view import View
from tui.widgets.dial import Dial
from tui.widgets.transport_strip import clock_in
from tui.widgets.verdict_line import Headline
from tui.widgets.window_table import WindowTable

READ_ONLY: Final = "the dials are as recorded"


class ReplayScreen(TransportScreen):
    """A window and its figures, marks and notes, export."""

    NOTE_HINT = "what should be remembered; kept beside the recording"

    def __init__(
        self, source: ReplayedSource, named: Callable[[str], str] = str, export: Export | None = None
    ) -> None:
        super().__init__(source, named)
        self.window_view: WindowView | None = None
        self._export = export

    def _show_numbers(self, view: View) -> None:
        super()._show_numbers(view)
        if self.look == "window":
            self.query_one(WindowTable).show(self.window_view)

    def headline_of(self, view: View) -> Headline:
        """The verdict of the window that is marked, else that of the position."""
        if self.window_view is None:
            return super().headline_of(view)
        return window_headline(self.window_view, self.objective)

    def on_dial_turned(self, _: Dial.Turned) -> None:
        """Dials do not turn here."""
        self.say(READ_ONLY)

    # The window.

    async def action_select(self) -> None:
        """Begin a window here, or end it here and show it."""
        here_s = self.here_s
        if self.window is None or self.window[1] is not None:
            await self._drop_window()
            self.window = (here_s, None)
            if self.has_class("-narrow"):  # elsewhere there is room to say it beside the time
                self.say("a window begins here: move, then z ends it")
                return
        elif self.window[0] == here_s:
            self.say("move to where the window ends")
            return
        else:
            start_s, end_s = sorted((self.window[0], here_s))
            self.window = (start_s, end_s)
            await self.look_at("window")
            self._title_window()
            self.run_worker(self._work_out(start_s, end_s), group="window", exclusive=True)
        self.say("")

    def _title_window(self) -> None:
        if self.window is not None and self.window[1] is not None:
            start_s, end_s = (clock_in(t_s, self.transport.duration_s) for t_s in (self.window[0], self.window[1]))
            title = f"Window {start_s} to {end_s}   {self.window[1] - self.window[0]:.0f} s   esc goes back"
            self.query_one("#window-box", Vertical).border_title = title

    async def _work_out(self, start_s: float, end_s: float) -> None:
        try:
            found = await self.transport.window(start_s, end_s)
        except UserError as error:
            found = WindowView(start_s, end_s, note=str(error))
        if self.window == (start_s, end_s):
            self.window_view = found
            self.redraw()

    async def _drop_window(self) -> None:
        self.window = self.window_view = None
        if self.look == "window":
            await self.look_at("lanes")
        self.redraw()

    async def action_back(self) -> None:
        """Out of the window first."""
        if self.window is not None:
            await self._drop_window()
        else:
            await super().action_back()

    async def action_look(self, look: Look) -> None:
        """The window's figures only where there is a window."""
        if look == "window" and (self.window is None or self.window[1] is None):
            self.say("no window is marked: z begins one")
        else:
            await super().action_look(look)
            if look == "window":
                self._title_window()

    # The session.

    def _marked(self, text: BoxResult) -> None:
        if not isinstance(text, str):
            return
        try:
            self.source.mark(text)
        except UserError as error:
            self.say(str(error))
        self._ask_for_moments()
        if self.view is not None:
            self.take(self.view)

    def action_export(self) -> None:
        """Write the window, or all, as CSV where one is."""
        if self._export is None:
            super().action_export()
            return
        start_s, end_s = self.window if self.window is not None and self.window[1] is not None else (None, None)
        self.say("exporting …")
        self.run_worker(self._write(self._export, start_s, end_s), group="export", exclusive=True)

    async def _write(self, export: Export, start_s: float | None, end_s: float | None) -> None:
        try:
            told = await asyncio.to_thread(export, start_s, end_s)
        except UserError as error:
            told = str(error)
        self.say(clean(told))
