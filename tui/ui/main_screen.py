"""The picture of a head-to-head, live or replayed: it takes one view a second and hands each widget its numbers.

The parts of the picture that not every size or every operator asks for.

They are imported and made when they are first shown: at 80 by 24 the first paint is sooner without them.

What one can do with the picture wherever it comes from: look at it in other ways, mark, export, leave.

The boxes are imported when a key asks for one: the first paint has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from msgspec.structs import replace
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from tui.model.profile import Profile
from tui.model.rows import NOTE, Lane
from tui.model.text import sanitize
from tui.session.source import Source
from tui.session.view import WINDOWS_S, View
from tui.ui.comparison import OBJECTIVES, headline_of
from tui.ui.keys import FOOTER, LOOK_KEYS, SESSION_KEYS, ZOOM
from tui.ui.terminal import painted
from tui.ui.widgets.chart import scale_for
from tui.ui.widgets.dials import DialStrip
from tui.ui.widgets.events import EventList
from tui.ui.widgets.gpu_rows import is_flat, power_top_of
from tui.ui.widgets.header import REPLAY, Headline, Hints, StatusLine, VerdictLine
from tui.ui.widgets.lane_pane import LanePane, PaneNumbers
from tui.ui.widgets.theme import GLYPHS, PALETTES, Glyphs

if TYPE_CHECKING:
    from tui.ui.dialogs import BoxResult


Look = Literal["lanes", "curve", "ledger", "window"]  # what can fill the middle


def titled(part: Widget, box: str, title: str) -> Vertical:
    """A part in its frame."""
    frame = Vertical(part, id=box)
    frame.border_title = title
    return frame


def third_column() -> Vertical:
    """Every setting and every event, where the screen is wide."""
    from tui.ui.widgets.window_table import SettingsTable

    settings = titled(SettingsTable(id="settings"), "settings-box", "Settings so far")
    return Vertical(settings, titled(EventList(id="third-events"), "third-events-box", "Events"), id="third")


def overlay_box() -> Vertical:
    """Both curves in one chart."""
    from tui.ui.widgets.plots import OverlayChart

    return titled(OverlayChart(id="overlay"), "overlay-box", "Output tok/s   A solid   B dotted")


def brief() -> Widget:
    """What is left where there is hardly any room."""
    from tui.ui.widgets.lane_pane import Brief

    return Brief(id="brief")


def look_box(look: Look) -> Vertical:
    """What fills the middle in place of the lanes."""
    if look == "curve":
        from tui.ui.widgets.plots import CurveChart

        return titled(CurveChart(id="curve"), "curve-box", "")
    if look == "ledger":
        from tui.ui.widgets.ledger import LedgerTable

        return titled(LedgerTable(id="ledger"), "ledger-box", "Every setting visited")
    from tui.ui.widgets.window_table import WindowTable

    return titled(WindowTable(), "window-box", "")


def missing(screen: Screen[None]) -> Iterator[tuple[Widget, Widget, str]]:
    """The parts that the classes of the screen ask for and that are not there, each with where it belongs."""
    if screen.has_class("-wide") and not screen.query("#third"):
        yield third_column(), screen.query_one("#middle"), "#lanes"
    if screen.has_class("-overlay") and not screen.query("#overlay-box"):
        yield overlay_box(), screen, "#middle"
    if screen.has_class("-tiny") and not screen.query("#brief"):
        yield brief(), screen, "#hints"


# By the class that shows a part: where it is, and what it is handed.
_SHOWN: dict[str, tuple[str, Callable[[Any, View, Glyphs, Headline], None]]] = {
    "-wide": ("#settings", lambda part, view, _glyphs, _headline: part.show(view)),
    "-overlay": ("#overlay", lambda part, view, glyphs, _headline: part.show(view, glyphs)),
    "-tiny": ("#brief", lambda part, view, _glyphs, headline: part.show(view, headline)),
    "-curve": ("#curve", lambda part, view, glyphs, _headline: part.show(view, glyphs)),
    "-ledger": ("#ledger", lambda part, view, _glyphs, _headline: part.show(view)),
}


def show_parts(screen: Screen[None], view: View, glyphs: Glyphs, headline: Headline) -> None:
    """Hand this second's numbers to those that are shown."""
    for name, (place, show) in _SHOWN.items():
        if screen.has_class(name):
            for part in screen.query(place):
                show(part, view, glyphs, headline)


SCALE_HISTORY_S = 300
PLAIN_SIZE = (80, 24)
TINY_SIZE = (40, 12)
COMFORTABLE_SIZE = (110, 32)
WIDE_CELLS = 160
OVERLAY_ROWS = 46


def urls(profile: Profile) -> dict[Lane, str]:
    """The lanes of a profile and where they are, before anything was found there."""
    return {lane: server.url for lane, server in profile.lanes.items()}


class PictureScreen(Screen[None]):
    """From the top: what goes on, what is asked, who is ahead, why, what happened, what can be pressed."""

    AUTO_FOCUS = ""  # None would mean the application's choice, which is the first dial

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source
        self.window_s = 30
        self.objective = OBJECTIVES[0]
        self.glyphs = GLYPHS[0]
        self.zoomed: Lane | None = None
        self.load_on = True
        self.frozen_at: int | None = None
        self.behind_s = 0  # how far the frozen picture is behind
        self.view: View | None = None
        self.overlay_wanted: bool | None = None
        self.look: Look = "lanes"  # what fills the middle
        self.begun = asyncio.Event()
        self._fitted = Size(0, 0)  # what the classes were set for
        self.lanes = urls(source.profile)

    def compose(self) -> ComposeResult:
        """Status, dials, verdict, lanes, events, hints; what does not fit is hidden by class, never scrolled."""
        self._fit_classes(update=False)  # before anything is styled: later, each change would style all again
        yield StatusLine()
        yield from self.compose_strip()
        yield DialStrip(self.source.board, list(self.lanes))
        yield VerdictLine(id="verdict")
        with Horizontal(id="middle"):
            with Horizontal(id="lanes"):
                for lane, url in self.lanes.items():
                    yield LanePane(lane, url, id=f"pane-{lane}")
            if self.has_class("-wide"):
                yield third_column()
        if self.has_class("-overlay"):
            yield overlay_box()
        yield titled(EventList(id="events"), "events-box", "Events")
        yield Hints(id="hints")
        if self.has_class("-tiny"):
            yield brief()

    def compose_strip(self) -> ComposeResult:
        """What stands between status and dials: nothing where time cannot be moved in."""
        yield from ()

    def on_mount(self) -> None:
        """Paint what is known, and only then begin: heavy imports come after the first paint."""
        self._fit_panes()
        self.show_hints()
        self.take(self.source.view(self.window_s))
        self.app.app_resume_signal.subscribe(self, self.come_back)
        self.call_after_refresh(self._start)

    def come_back(self, app: App[Any]) -> None:
        """Everything again: after `fg` the terminal is blank, and only what changes would be painted on it."""
        app.refresh(layout=True)

    async def _start(self) -> None:
        painted()
        await self.source.start(self._second_complete)
        self.begun.set()

    def _second_complete(self) -> None:
        self.call_later(self.tick)

    def tick(self) -> None:
        """A second is complete: show it, unless the picture is frozen."""
        if not self.is_attached:
            return
        view = self.source.view(self.window_s)
        if self.frozen_at is None:
            self.take(view)
        elif self.view is not None:
            behind = self.behind_s = view.second - self.frozen_at
            if behind <= 10 or behind % 10 == 0:  # a frozen picture is all but silent
                self.show_frozen(self.view, behind)

    def show_frozen(self, view: View, behind_s: int) -> None:
        """Say that the picture stands still, and for how long."""
        if self.frozen_at is not None:
            self.query_one(StatusLine).show(view, behind_s=behind_s, load_on=self.load_on)

    def take(self, view: View) -> None:
        """Hand every widget its numbers."""
        self.view = view
        word = REPLAY if self.source.replay else "LIVE"
        self.query_one(StatusLine).show(view, behind_s=None, load_on=self.load_on, word=word)
        self._show_numbers(view)

    def _show_numbers(self, view: View) -> None:
        """All that a frozen picture holds: everything but the status line."""
        headline = self.headline_of(view)
        self.query_one(VerdictLine).show(headline)
        self._show_lanes(view, headline)
        self.query_one(DialStrip).show()
        for events in self.query(EventList):
            if events.parent is not None and events.parent.display:
                events.show(view.events, view.t0_ns)
        show_parts(self, view, self.glyphs, headline)

    def headline_of(self, view: View) -> Headline:
        """The verdict that stands above all numbers."""
        return headline_of(view, self.objective, linked=self.source.board.linked)

    def _show_lanes(self, view: View, headline: Headline) -> None:
        if self.look != "lanes":
            return
        lanes = view.lanes.values()
        shared = PaneNumbers(
            view=view.lanes["a"],
            second=view.second,
            window_s=view.window_s,
            scale=scale_for(lane.curve[-SCALE_HISTORY_S:] for lane in lanes),
            power_top=power_top_of(list(lanes)),
            marks=view.dial_marks,
            glyphs=self.glyphs,
            any_gpu=any(lane.gpus for lane in lanes),
            any_flat=any(is_flat(lane) for lane in lanes),
            any_due=any("ttft_sched" in lane.latencies for lane in lanes),
        )
        for pane in self.query(LanePane):
            if pane.lane in view.lanes and pane.display:
                pane.show(replace(shared, view=view.lanes[pane.lane], lead=headline.lead == pane.lane))

    async def look_at(self, look: Look) -> None:
        """Fill the middle with the lanes or something else, which is made when it is first looked at."""
        if look != "lanes" and not self.query(f"#{look}-box"):
            await self.query_one("#middle").mount(look_box(look), after="#lanes")
        self.look = look
        self.fit_to_size()

    def on_resize(self, _: Resize) -> None:
        """Choose what is shown for the new size; the first one is known before anything is made."""
        if self._fitted != self.app.size:
            self.fit_to_size()

    def fit_to_size(self) -> None:
        """Set the classes of this size, make what they show for the first time, and draw again."""
        self._fit_classes()
        self._fit_panes()
        for part, within, after in missing(self):
            within.mount(part, after=after)
        self.redraw()
        self.call_after_refresh(self.redraw)

    def _fit_panes(self) -> None:
        alone = self.zoomed or ("a" if self.has_class("-single") else None)
        for pane in self.query(LanePane):
            pane.display = alone in {None, pane.lane} or alone not in self.lanes

    def _fit_classes(self, *, update: bool = True) -> None:
        self._fitted = self.app.size
        width, height = self._fitted
        tiny = width < TINY_SIZE[0] or height < TINY_SIZE[1]
        single = not tiny and (width < PLAIN_SIZE[0] or height < PLAIN_SIZE[1])
        overlay = self.overlay_wanted if self.overlay_wanted is not None else height >= OVERLAY_ROWS
        classes = {
            "-tiny": tiny,
            "-single": single,
            "-narrow": width < COMFORTABLE_SIZE[0] or height < COMFORTABLE_SIZE[1],
            "-wide": width >= WIDE_CELLS and height >= COMFORTABLE_SIZE[1],
            "-overlay": overlay and not tiny and (height >= OVERLAY_ROWS or self.look == "lanes"),
            "-overlay-alone": overlay and height < OVERLAY_ROWS and self.look == "lanes",
            "-curve": self.look == "curve",
            "-ledger": self.look == "ledger",
            "-window": self.look == "window",
        }
        for name, on in classes.items():
            self.set_class(on, name, update=update)

    def redraw(self) -> None:
        """Show the view again after something else than the numbers changed."""
        if not self.is_attached:
            return
        self.show_hints()
        if self.view is not None and self.frozen_at is None:
            self.take(self.view)
        elif self.view is not None:
            self.show_frozen(self.view, self.behind_s)
            self._show_numbers(self.view)

    def show_hints(self) -> None:
        """The bottom row from the bindings that are active and shown."""
        active = [found.binding for found in self.active_bindings.values() if found.binding.show]
        first = ZOOM.description if self.has_class("-single") and len(self.lanes) > 1 else ""
        self.query_one(Hints).show(in_footer_order(active, first))


def in_footer_order(bindings: Iterable[Binding], first: str = "") -> list[Binding]:
    """The bindings with the most needed ones first (`first` before all), because a narrow footer keeps those."""

    def place(binding: Binding) -> int:
        label = binding.group.description if binding.group else binding.description
        if label == first:
            return -1
        return FOOTER.index(label) if label in FOOTER else len(FOOTER)

    return sorted(bindings, key=place)


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
        return sanitize(self._named(recording)) if recording else ""

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
        from tui.ui.widgets.ledger import LedgerTable

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
        from tui.ui.dialogs import TextBox

        self.app.push_screen(TextBox("Mark", "a text, or enter for a plain mark"), self._marked)

    def _marked(self, text: BoxResult) -> None:
        if isinstance(text, str):
            self.source.mark(text)

    def action_note(self) -> None:
        """A note at this moment."""
        from tui.ui.dialogs import TextBox

        self.app.push_screen(TextBox("Note", self.NOTE_HINT), self._noted)

    def _noted(self, text: BoxResult) -> None:
        if text and isinstance(text, str):
            self._marked(f"{NOTE}{text}")

    def action_export(self) -> None:
        """How to export this session."""
        from tui.ui.dialogs import ExportBox

        self.app.push_screen(ExportBox(self.session))

    def action_screenshot(self) -> None:
        """The screen as SVG in the current directory."""
        from tui.ui.screenshot import save_picture

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
        from tui.ui.dialogs import HelpBox

        self.app.push_screen(HelpBox(self.HELP_KEYS, self.HELP_MOUSE))

    def action_leave(self) -> None:
        """Quit."""
        self.leave_if(True)

    def leave_if(self, yes: BoxResult) -> None:
        """Quit, if that is the answer."""
        if yes:
            self.app.post_message(self.Leaving())

    def say(self, text: str) -> None:
        """A short sentence, plain."""
        self.query_one(DialStrip).say(text)
