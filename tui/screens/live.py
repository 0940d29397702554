"""The live screen: the picture, and what each key does to it and to the load."""

from pathlib import Path
from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message

from tui.records.dials import DialName, DialValue
from tui.records.rows import Lane
from tui.screens.boxes import BoxResult, ExportBox, HelpBox, QuitBox, TextBox
from tui.screens.headline import OBJECTIVES
from tui.screens.keys import DIAL_KEYS, LOOK_KEYS, SESSION_KEYS
from tui.screens.picture import Look, PictureScreen
from tui.screens.picture_file import save_picture
from tui.session.source import Lanes
from tui.session.view import WINDOWS_S
from tui.widgets.dial import Dial
from tui.widgets.dial_strip import DialStrip
from tui.widgets.glyphs import GLYPHS
from tui.widgets.ledger_table import LedgerTable
from tui.widgets.palette import PALETTES

READ_ONLY = "the dials are as recorded"


class LiveScreen(PictureScreen):
    """Keys and what they do."""

    class Leaving(Message):
        """The operator wants to leave."""

    BINDINGS: ClassVar[list[BindingType]] = [*DIAL_KEYS, *LOOK_KEYS, *SESSION_KEYS]

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
        if board.read_only:
            strip.say(READ_ONLY)
            return
        moved = board.scale(name, factor, lanes) if factor else board.step(name, notches, lanes)
        strip.say("")
        strip.show()
        if not moved:
            strip.flash(name)

    def set_dial(self, name: DialName, value: DialValue, lanes: Lanes) -> None:
        """Set a typed value; why it is refused stands beside the dials."""
        board, strip = self.source.board, self.query_one(DialStrip)
        strip.say(READ_ONLY if board.read_only else board.set(name, value, lanes))
        strip.show()

    def action_step(self, name: DialName, notches: int) -> None:
        """Turn by notches."""
        self.turn(name, notches=notches, lanes=self.query_one(DialStrip).focused_lanes)

    def action_scale(self, name: DialName, factor: float) -> None:
        """Halve or double."""
        self.turn(name, factor=factor, lanes=self.query_one(DialStrip).focused_lanes)

    def action_link(self) -> None:
        """Turn both lanes' dials together or apart."""
        if self.source.board.read_only or len(self.lanes) < 2:
            return
        self.source.board.toggle_link()
        self.set_focus(None)
        self.query_one(DialStrip).show()
        self.redraw()

    def action_undo(self) -> None:
        """Take the last turn back."""
        strip = self.query_one(DialStrip)
        undone = not self.source.board.read_only and self.source.board.undo()
        strip.say("" if undone else "nothing to undo")
        strip.show()

    def action_toggle_load(self) -> None:
        """Stop all load at once, or bring it back."""
        if not self.source.board.read_only:
            self.load_on = self.source.board.toggle_load()
            self.redraw()

    # What is looked at.

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

    def action_window(self) -> None:
        """The next length of the window."""
        at = WINDOWS_S.index(self.window_s) if self.window_s in WINDOWS_S else 0
        self.window_s = WINDOWS_S[(at + 1) % len(WINDOWS_S)]
        if self.frozen_at is None:
            self.take(self.source.view(self.window_s))
        else:  # the figures of a moment that has passed cannot be had over another window
            self.say(f"window {self.window_s} s, once the picture moves again")

    def action_verdict(self) -> None:
        """The next figure to compare by."""
        self.objective = OBJECTIVES[(OBJECTIVES.index(self.objective) + 1) % len(OBJECTIVES)]
        self.redraw()

    async def action_overlay(self) -> None:
        """Both curves in one chart, or not."""
        self.overlay_wanted = not self.has_class("-overlay")
        await self.look_at("lanes")

    async def action_look(self, look: Look) -> None:
        """The curve or the ledger in place of the lanes, or the lanes again."""
        await self.look_at("lanes" if self.look == look else look)

    def action_page(self, way: int) -> None:
        """Through a long ledger."""
        for table in self.query(LedgerTable):
            table.page(way)

    async def action_zoom(self, lane: Lane) -> None:
        """One lane alone, or both again."""
        self.zoomed = None if self.zoomed == lane or lane not in self.lanes else lane
        await self.look_at("lanes")

    async def action_back(self) -> None:
        """Out of a dial, then out of the curve or the ledger, then out of the zoom."""
        if self.focused is not None:
            self.set_focus(None)
        elif self.look != "lanes":
            await self.look_at("lanes")
        elif self.zoomed is not None:
            self.zoomed = None
            self.fit_to_size()

    def action_glyphs(self) -> None:
        """The next set of chart characters."""
        self.glyphs = GLYPHS[(GLYPHS.index(self.glyphs) + 1) % len(GLYPHS)]
        self.say(f"charts in {self.glyphs.label}")
        self.redraw()

    def action_colours(self) -> None:
        """The next colour theme."""
        names = [palette.name for palette in PALETTES]
        at = (names.index(self.app.theme) + 1) % len(names) if self.app.theme in names else 0
        self.app.theme = names[at]
        self.say(f"colours: {PALETTES[at].label}")

    # The session.

    def action_plan(self) -> None:
        """Start the profile's plan, pause it or go on."""
        if problem := self.source.toggle_plan():
            self.say(problem)
        self.redraw()

    def action_mark(self) -> None:
        """A mark at this moment, with or without a text."""
        self.app.push_screen(TextBox("Mark", "a text, or enter for a plain mark"), self._marked)

    def action_note(self) -> None:
        """A note."""
        self.app.push_screen(TextBox("Note", "what should be remembered"), self._noted)

    def _marked(self, text: BoxResult) -> None:
        if isinstance(text, str):
            self.source.mark(text)

    def _noted(self, text: BoxResult) -> None:
        if text and isinstance(text, str):
            self.source.mark(f"note: {text}")

    def action_export(self) -> None:
        """How to export this session."""
        self.app.push_screen(ExportBox(self.view.recording if self.view else ""))

    def action_screenshot(self) -> None:
        """The screen as SVG in the current directory."""
        second = self.view.second if self.view else 0
        path = Path.cwd() / f"dragstrip-{second:06d}.svg"
        try:
            save_picture(self.app, path)
        except OSError as error:
            self.say(f"no screenshot: {error.strerror or error}")
        else:
            self.say(f"screenshot: {path.name}")

    def action_help(self) -> None:
        """Every key, from the bindings."""
        self.app.push_screen(HelpBox([*DIAL_KEYS, *LOOK_KEYS, *SESSION_KEYS]))

    def action_leave(self) -> None:
        """Quit; asks once while load is running."""
        running = self.view is not None and any(lane.in_flight for lane in self.view.lanes.values())
        asked = isinstance(
            self.app.screen, QuitBox
        )  # two quick keys may both arrive here before the box has the keys
        if running and not self.source.replay and not asked:
            self.app.push_screen(QuitBox(), self._leave_if)
        else:
            self._leave_if(True)

    def _leave_if(self, yes: BoxResult) -> None:
        if yes:
            self.app.post_message(self.Leaving())

    def say(self, text: str) -> None:
        """A short sentence, plain."""
        self.query_one(DialStrip).say(text)
