"""What one can do with the picture wherever it comes from: look at it in other ways, mark, export, leave.

The boxes are imported when a key asks for one: the first paint has none.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.message import Message

from tui.records.marking import NOTE
from tui.records.rows import Lane
from tui.records.text import clean
from tui.screens.headline import OBJECTIVES
from tui.screens.keys import LOOK_KEYS, SESSION_KEYS
from tui.screens.parts import Look
from tui.screens.picture import PictureScreen
from tui.session.source import Source
from tui.session.view import WINDOWS_S
from tui.widgets.dial_strip import DialStrip
from tui.widgets.glyphs import GLYPHS
from tui.widgets.palette import PALETTES

if TYPE_CHECKING:
    from tui.screens.boxes import BoxResult

Export = Callable[[float | None, float | None], str]  # seconds from and until, None: all; says what was written where


class LookingScreen(PictureScreen):
    """The keys that a live session and a replay share."""

    class Leaving(Message):
        """The operator wants to leave."""

    BINDINGS: ClassVar[list[BindingType]] = [*LOOK_KEYS, *SESSION_KEYS]
    HELP_KEYS: ClassVar[Sequence[BindingType]] = BINDINGS  # all that a screen has, in the order of the help
    HELP_MOUSE: ClassVar[Sequence[tuple[str, str]]] = ()  # what the mouse does, and to what
    NOTE_HINT: ClassVar[str] = "what should be remembered"

    def __init__(self, source: Source, named: Callable[[str], str] = str) -> None:
        super().__init__(source)
        self._named = named

    @property
    def session(self) -> str:
        """How a command is told the session; empty while nothing is recorded."""
        recording = self.view.recording if self.view is not None else ""
        return clean(self._named(recording)) if recording else ""

    def next_steps(self) -> Sequence[str]:
        """What may be done once the screen has gone, a line each."""
        return ()

    def going_away(self) -> None:
        """The operator suspends the program."""

    # What is looked at.

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
        self._uncover()
        await self.look_at("lanes" if self.look == look else look)

    def action_page(self, way: int) -> None:
        """Through a long ledger."""
        from tui.widgets.ledger_table import LedgerTable

        for table in self.query(LedgerTable):
            table.page(way)

    async def action_zoom(self, lane: Lane) -> None:
        """One lane alone, or both again."""
        self._uncover()
        self.zoomed = None if self.zoomed == lane or lane not in self.lanes else lane
        await self.look_at("lanes")

    async def action_back(self) -> None:
        """Out of a dial, then out of what stands in place of the lanes, then out of the zoom."""
        if self.focused is not None:
            self.set_focus(None)
        elif self.has_class("-overlay-alone"):
            self._uncover()
            self.fit_to_size()
        elif self.look != "lanes":
            await self.look_at("lanes")
        elif self.zoomed is not None:
            self.zoomed = None
            self.fit_to_size()

    def _uncover(self) -> None:
        """No overlay in place of the lanes: whoever asks for a lane, or goes back, means the lanes."""
        if self.has_class("-overlay-alone"):
            self.overlay_wanted = False

    def action_glyphs(self) -> None:
        """The next set of chart characters, where there is more than one."""
        if getattr(self.app, "ascii_only", False):
            self.say("charts stay in ASCII here: --ascii, or a locale without UTF-8")
            return
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

    def action_mark(self) -> None:
        """A mark at this moment, with or without a text."""
        from tui.screens.boxes import TextBox

        self.app.push_screen(TextBox("Mark", "a text, or enter for a plain mark"), self._marked)

    def _marked(self, text: "BoxResult") -> None:
        if isinstance(text, str):
            self.source.mark(text)

    def action_note(self) -> None:
        """A note at this moment."""
        from tui.screens.boxes import TextBox

        self.app.push_screen(TextBox("Note", self.NOTE_HINT), self._noted)

    def _noted(self, text: "BoxResult") -> None:
        if text and isinstance(text, str):
            self._marked(f"{NOTE}{text}")

    def action_export(self) -> None:
        """How to export this session."""
        from tui.screens.boxes import ExportBox

        self.app.push_screen(ExportBox(self.session))

    def action_screenshot(self) -> None:
        """The screen as SVG in the current directory."""
        from tui.screens.picture_file import save_picture

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
        from tui.screens.boxes import HelpBox

        self.app.push_screen(HelpBox(self.HELP_KEYS, self.HELP_MOUSE))

    def action_leave(self) -> None:
        """Quit."""
        self.leave_if(True)

    def leave_if(self, yes: "BoxResult") -> None:
        """Quit, if that is the answer."""
        if yes:
            self.app.post_message(self.Leaving())

    def say(self, text: str) -> None:
        """A short sentence, plain."""
        self.query_one(DialStrip).say(text)
