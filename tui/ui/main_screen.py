"""The screen of a head-to-head, live or replayed: what is shown at which size, and the keys that both have.

It takes one view a second and hands every panel the same `ScreenState`. Panels that not every size or operator needs,
and dialogs, are imported and made when they are first shown: at 80 by 24 the first paint is sooner without them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from tui.model.rows import NOTE, Lane
from tui.model.text import sanitize
from tui.profile.config import UserConfig
from tui.session.source import Source
from tui.session.view import WINDOWS_S, View
from tui.ui.comparison import OBJECTIVES, compare, verdict_help
from tui.ui.keys import HINTS_OF, SESSION_KEYS, VIEW_KEYS, ZOOM, in_footer_order, remapped
from tui.ui.layout import Middle, framed, middle_box, overlay_box, ratio_row, third_column
from tui.ui.link import Link
from tui.ui.terminal import clipboard_problem, painted
from tui.ui.widgets import numbers
from tui.ui.widgets.chart import ASCII_GLYPHS, GLYPHS
from tui.ui.widgets.dials import DialStrip
from tui.ui.widgets.header import Hints, status_line, verdict_row
from tui.ui.widgets.lane_pane import LanePane
from tui.ui.widgets.panel import Panel, ScreenState, event_rows, tiny_rows
from tui.ui.widgets.rows import RowCompositor
from tui.ui.widgets.theme import PALETTE_BY_NAME, PALETTES, THEME_PREFIX

if TYPE_CHECKING:
    from tui.judge.ledger import LedgerRow
    from tui.ui.export_dialog import Exporter, ExportPart
    from tui.ui.widgets.ledger import LedgerPanel

SessionFolder = Callable[[str], Path]  # where the session of that name is recorded

LEDGERS = ("ledger", "settings", "newest-settings")
PLAIN_SIZE = (80, 24)
TINY_SIZE = (40, 12)
COMFORTABLE_SIZE = (110, 32)
WIDE_CELLS = 160
OVERLAY_ROWS = 46
RATIO_ROWS = 38
MESSAGE_S = 4.0


Choice = TypeVar("Choice")


def after(choices: Sequence[Choice], current: Choice) -> Choice:
    """The next choice, the first one after the last."""
    return choices[(choices.index(current) + 1) % len(choices)]


class MainScreen(Screen[None]):
    """From the top: status, load asked for, verdict, lanes, events, keys."""

    AUTO_FOCUS = ""  # None would mean the application's choice, which is the first dial
    BINDINGS: ClassVar[list[BindingType]] = [*VIEW_KEYS, *SESSION_KEYS]
    HELP_KEYS: ClassVar[Sequence[BindingType]] = BINDINGS  # all that a screen has, in the order of the help
    HELP_MOUSE: ClassVar[Sequence[tuple[str, str]]] = ()  # where to use the mouse, and what it does
    NOTE_HINT: ClassVar[str] = "what should be remembered"

    class QuitRequested(Message):
        """The operator wants to leave."""

    def __init__(
        self,
        source: Source,
        session_argument: Callable[[str], str] = str,
        session_folder: SessionFolder | None = None,
    ) -> None:
        """`session_argument`: how a command line spells the session that is recorded under a name."""
        super().__init__()
        self.link = Link()
        self._compositor: RowCompositor = RowCompositor(self.link.room, self._paint_later)
        self.source = source
        self.user_config = UserConfig()
        self.lanes = {lane: server.url for lane, server in source.profile.lanes.items()}
        self.window_s = 30
        self.objective = OBJECTIVES[0]
        self.glyphs = GLYPHS[0]
        self.middle: Middle = "lanes"
        self.zoomed: Lane | None = None
        self.pinned: LedgerRow | None = None
        self.overlay_wanted: bool | None = None  # None: where there is room
        self.load_on = True
        self.view: View | None = None
        self.message = ""
        self.behind_s: int | None = None  # how far the frozen screen is behind; None: not frozen
        self.is_seen = True  # there is a terminal
        self.source_started = asyncio.Event()
        self._session_argument, self._session_folder = session_argument, session_folder
        self._exporter: Exporter | None = None  # what is written goes on when the box is closed
        self._message_timer: Timer | None = None
        self._left_out = False  # whether the second before was left out
        self._fitted = Size(0, 0)  # the size that the classes were set for

    def use_config(self, user_config: UserConfig) -> None:
        """Show what the operator chose in an earlier session; a choice that is not known any more changes nothing."""
        self.user_config, config = user_config, user_config.config
        self.window_s = config.window_s
        self.objective = next((one for one in OBJECTIVES if one.kind == config.compare_by), self.objective)
        self.glyphs = next((one for one in GLYPHS if one.kind == config.glyphs), self.glyphs)

    def keep(self, **settings: Any) -> None:
        """Keep a choice for later sessions, and say if that cannot be."""
        if problem := self.user_config.keep(**settings):
            self.app.notify(problem, markup=False, severity="warning")

    def compose(self) -> ComposeResult:
        """What does not fit is hidden by class, never scrolled."""
        self._fit_classes(update=False)  # before anything is styled: later, each change would style all again
        yield status_line()
        yield from self.compose_timeline()
        yield DialStrip(self.source.board, list(self.lanes))
        yield self._verdict_panel()
        with Horizontal(id="middle"):
            with Horizontal(id="lanes"):
                for lane, url in self.lanes.items():
                    yield LanePane(lane, url)
            if self.has_class("-wide"):
                yield third_column()
        if self.has_class("-overlay"):
            yield overlay_box()
        if self.has_class("-ratio"):
            yield ratio_row()
        yield framed(Panel(event_rows, id="events"), "Events")
        yield Hints(id="hints")
        if self.has_class("-tiny"):
            yield Panel(tiny_rows, id="tiny")

    def _verdict_panel(self) -> Panel:
        panel = Panel(lambda state, width, _: [verdict_row(state.comparison.sentence, width)], id="verdict")
        panel.tooltip = verdict_help(self.source.profile.delta, self.source.profile.delta_from)
        return panel

    def compose_timeline(self) -> Iterable[Widget]:
        """A replay's; a live session has none."""
        return ()

    def on_mount(self) -> None:
        """Paint what is known, and only then begin: heavy imports come after the first paint."""
        self._fit_panes()
        self.show_hints()
        self.update_view()
        self.app.app_resume_signal.subscribe(self, self.after_resume)
        self.call_after_refresh(self._start)

    async def _start(self) -> None:
        painted()
        await self.source.start(self._second_complete)
        self.source_started.set()

    def _second_complete(self) -> None:
        self.call_later(self.next_second)

    def taken_over(self) -> None:
        """The operator pressed a key or a button."""

    def before_suspend(self) -> None:
        """The operator suspends the program."""

    def after_resume(self, app: App[Any]) -> None:
        """Repaint everything: the terminal is blank after `fg`, and only what changes would be painted on it."""
        app.refresh(layout=True)

    # What is shown.

    def next_second(self) -> None:
        """A second is complete: show it, unless the screen is frozen."""
        if not self.is_attached or not self.is_seen or self._leaves_out():
            return
        if self.behind_s is None or self.view is None:
            self.update_view()
            return
        newest = self.source.view(self.window_s)
        self.notice(newest)
        self.behind_s = newest.second - self.view.second
        if self.behind_s <= 10 or self.behind_s % 10 == 0:  # a frozen screen is all but silent
            self.draw(self.view)

    def _leaves_out(self) -> bool:
        """Whether this second is not drawn: on a slow link every second one, and none while one is on its way."""
        self.link.next_second()
        self._left_out = self.link.slow and not self._left_out
        return self._left_out or self.link.is_behind or self._compositor.is_waiting

    def _paint_later(self) -> None:
        """More rows changed than the link takes at once."""
        self.set_timer(self.link.wait_s(), self._compositor.release)

    def new_view(self) -> View:
        return self.source.view(self.window_s)

    def update_view(self) -> None:
        self.view = self.new_view()
        self.notice(self.view)
        self.draw(self.view)

    def notice(self, view: View) -> None:
        """A second is complete, shown or not."""

    def draw(self, view: View) -> None:
        self.query_one(DialStrip).show()
        state = self.screen_state(view)
        for panel in self.query(Panel):
            panel.show(state)

    def screen_state(self, view: View) -> ScreenState:
        board = self.source.board
        comparison = compare(view, self.objective, dials_differ=board.shown("a") != board.shown("b"))
        replay = self.source.replay
        return ScreenState(
            view, comparison, self.glyphs, replay, self.objective.kind, dials_hidden=self.has_class("-single"),
            load_on=self.load_on, behind_s=self.behind_s, pinned=self.pinned, slow_link=self.link.slow,
        )  # fmt: skip

    def redraw(self) -> None:
        """Something other than the numbers changed."""
        if self.is_attached:
            self.show_hints()
            if self.view is not None:
                self.draw(self.view)

    def show_hints(self) -> None:
        """Those of what has the keys or fills the middle before the others."""
        active = [key.binding for key in self.active_bindings.values() if key.binding.show]
        has_keys = {"ledger": bool(self.focused and self.focused.id in LEDGERS), "window": self.middle == "window"}
        first = [label for context, labels in HINTS_OF.items() if has_keys.get(context) for label in labels]
        if self.has_class("-single") and len(self.lanes) > 1:
            first.append(ZOOM.description)
        self.query_one(Hints).show(in_footer_order(active, first))

    def on_descendant_focus(self) -> None:
        self.show_hints()

    def on_descendant_blur(self) -> None:
        self.call_after_refresh(self.show_hints)

    def show_message(self, text: str) -> None:
        """For 4 s or until the next one; as a notification where there is no room for it on the screen."""
        self.set_message(text)
        if not self.place_message() or self.app.screen is not self:
            self.app.notify(text, markup=False, timeout=MESSAGE_S)

    def set_message(self, text: str) -> None:
        self.message = text
        if self._message_timer is not None:
            self._message_timer.stop()
        self._message_timer = self.set_timer(MESSAGE_S, partial(self.show_message, "")) if text else None

    def place_message(self) -> bool:
        """Show the message where this screen has room for one; returns whether it fits there."""
        return self.query_one(DialStrip).show_message(self.message)

    # What fits.

    async def set_middle(self, middle: Middle) -> None:
        """Fill the middle with the lanes or something else."""
        if middle != "lanes" and not self.query(f"#{middle}-box"):
            await self.query_one("#middle").mount(middle_box(middle), after="#lanes")
        self.middle = middle
        self.fit_to_size()

    def on_resize(self, _: Resize) -> None:
        """The first size is known before anything is made."""
        if self._fitted != self.app.size:
            self.fit_to_size()

    def fit_to_size(self) -> None:
        """Set the classes of this size, make what they show for the first time, and draw again."""
        self._fit_classes()
        self._fit_panes()
        if self.has_class("-wide") and not self.query("#third"):
            self.query_one("#middle").mount(third_column(), after="#lanes")
        if self.has_class("-overlay") and not self.query("#overlay-box"):
            self.mount(overlay_box(), after="#middle")
        if self.has_class("-ratio") and not self.query("#ratio-row"):
            self.mount(ratio_row(), before="#events-box")
        if self.has_class("-tiny") and not self.query("#tiny"):
            self.mount(Panel(tiny_rows, id="tiny"), after="#hints")
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
        overlay = self.overlay_wanted if self.overlay_wanted is not None else height >= OVERLAY_ROWS
        classes = {
            "-tiny": tiny,
            "-single": not tiny and (width < PLAIN_SIZE[0] or height < PLAIN_SIZE[1]),
            "-narrow": width < COMFORTABLE_SIZE[0] or height < COMFORTABLE_SIZE[1],
            "-wide": width >= WIDE_CELLS and height >= COMFORTABLE_SIZE[1],
            "-overlay": overlay and not tiny and (height >= OVERLAY_ROWS or self.middle == "lanes"),
            "-overlay-alone": overlay and height < OVERLAY_ROWS and self.middle == "lanes",
            "-ratio": self._has_ratio_row(width, height, overlay=overlay),
            "-curve": self.middle == "curve",
            "-ledger": self.middle == "ledger",
            "-window": self.middle == "window",
        }
        for name, on in classes.items():
            self.set_class(on, name, update=update)

    def _has_ratio_row(self, width: int, height: int, *, overlay: bool) -> bool:
        """The overlay has the ratio in it."""
        room = width >= COMFORTABLE_SIZE[0] and height >= RATIO_ROWS
        return room and not overlay and self.middle == "lanes" and len(self.lanes) > 1

    # The mouse. Dials, timeline and ledger have clicks of their own.

    async def on_click(self, event: Click) -> None:
        """A lane: alone, or both again; the compared figure: the next one; the window; a hint: what its key does."""
        widget, row = event.widget, event.y
        if isinstance(widget, Hints):
            if action := widget.action_at(event.x):
                await self.run_action(action)
        elif isinstance(widget, Panel) and isinstance(pane := widget.parent, Vertical):
            lane = next((one for one in (pane, pane.parent) if isinstance(one, LanePane)), None)
            if lane is not None and widget.plain_row(row).lstrip("│ ").startswith("over "):
                self.action_window()
            elif lane is not None:
                await self.action_zoom(lane.lane)
            elif widget.id in {"events", "third-events"}:
                self.event_clicked(widget, row)
        elif isinstance(widget, Panel) and widget.id == "verdict":
            self.action_verdict()

    def event_clicked(self, panel: Panel, row: int) -> None:
        """An event of the list was clicked."""

    # The keys of the view.

    def action_window(self) -> None:
        """The next length of the window."""
        self.window_s = after(WINDOWS_S, self.window_s)
        self.keep(window_s=self.window_s)
        if self.behind_s is None:
            self.update_view()
        else:  # there are no figures of a past moment over another window
            self.show_message(f"window {self.window_s} s, once the screen is no longer frozen")

    def action_verdict(self) -> None:
        """The next metric to compare by."""
        self.objective = after(OBJECTIVES, self.objective)
        self.keep(compare_by=self.objective.kind)
        self.redraw()

    async def action_overlay(self) -> None:
        self.overlay_wanted = not self.has_class("-overlay")
        await self.set_middle("lanes")

    async def action_show(self, middle: Middle) -> None:
        """The curve or the ledger in place of the lanes, or the lanes again."""
        self._uncover_lanes()
        await self.set_middle("lanes" if self.middle == middle else middle)
        self.set_focus(self.query_one("#ledger") if self.middle == "ledger" else None)

    def on_ledger_panel_chosen(self, message: LedgerPanel.Chosen) -> None:
        self.go_to_setting(message.row)

    def go_to_setting(self, row: LedgerRow) -> None:
        """Measure this setting again, or show it again."""

    def on_ledger_panel_pinned(self, message: LedgerPanel.Pinned) -> None:
        """Keep its figures as they are now, next to the present ones."""
        if not message.row.settled_s:
            self.show_message("nothing is measured at this setting yet")
            return
        pinned = self.pinned is not None and self.pinned.dials == message.row.dials
        self.pinned = None if pinned else message.row
        self.redraw()

    def action_page(self, way: int) -> None:
        from tui.ui.widgets.ledger import LedgerPanel

        for ledger in self.query(LedgerPanel):
            ledger.page(way)

    async def action_zoom(self, lane: Lane) -> None:
        """One lane alone, or both again."""
        self._uncover_lanes()
        self.zoomed = None if self.zoomed == lane or lane not in self.lanes else lane
        await self.set_middle("lanes")

    async def action_back(self) -> None:
        """Leave the focused dial, then the overlay, the curve or the ledger, then the zoom."""
        if self.focused is not None:
            self.set_focus(None)
        elif self.has_class("-overlay-alone") or self.middle != "lanes":
            self._uncover_lanes()
            await self.set_middle("lanes")
        elif self.zoomed is not None:
            self.zoomed = None
            self.fit_to_size()

    def _uncover_lanes(self) -> None:
        """Close an overlay that is in place of the lanes: who asks for a lane, or goes back, wants the lanes."""
        if self.has_class("-overlay-alone"):
            self.overlay_wanted = False

    def action_glyphs(self) -> None:
        """The next way to draw charts."""
        ascii_only = getattr(self.app, "ascii_only", False)
        self.glyphs = after(ASCII_GLYPHS if ascii_only else GLYPHS, self.glyphs)
        if not ascii_only:  # another terminal may have more characters
            self.keep(glyphs=self.glyphs.kind)
        self.show_message(f"charts: {self.glyphs.label}")
        self.redraw()

    def action_colours(self) -> None:
        palette = after(PALETTES, PALETTE_BY_NAME.get(self.app.theme, PALETTES[-1]))
        self.app.theme = palette.name
        self.keep(theme=palette.name.removeprefix(THEME_PREFIX))
        self.show_message(f"colours: {palette.label}")

    # The keys of the session.

    @property
    def session(self) -> str:
        """How a command line spells the session; empty while nothing is recorded."""
        recording = self.view.recording if self.view is not None else ""
        return sanitize(self._session_argument(recording)) if recording else ""

    def next_steps(self) -> Sequence[str]:
        """Commands to go on with once the screen has gone, a line each."""
        return ()

    def mark(self, text: str) -> None:
        self.source.mark(text)

    def note(self, text: str) -> None:
        if text:
            self.mark(f"{NOTE}{text}")

    def ask(
        self,
        title: str,
        hint: str,
        use: Callable[[str], None],
        problem: Callable[[str], str] = lambda _: "",
        known: str = "",
    ) -> None:
        """Ask for a text and use it, unless `problem` says what is wrong with it."""
        from tui.ui.dialogs import TextDialog

        self.app.push_screen(
            TextDialog(title, hint, problem, known), lambda text: use(text) if text is not None else None
        )

    def action_mark(self) -> None:
        self.ask("Mark", "a text, or enter for a plain mark", self.mark)

    def action_note(self) -> None:
        self.ask("Note", self.NOTE_HINT, self.note)

    def action_export(self) -> None:
        """The Export box; the same one while something is written."""
        from tui.ui.export_dialog import ExportDialog, Exporter

        recording = self.view.recording if self.view is not None else ""
        if self._session_folder is None or not recording:
            self.show_message("nothing is recorded, so there is nothing to export")
            return
        if self._exporter is None:
            self._exporter = Exporter(self.session, self._session_folder(recording), self.export_parts())
            self.run_worker(self._exporter.read_sizes(), group="export sizes")
        self.app.push_screen(ExportDialog(self._exporter, self._begin_export, self.copy), self._export_box_closed)

    def export_parts(self) -> list[ExportPart]:
        """The session, the window of the figures, the setting in force."""
        from tui.export.process import Part
        from tui.ui.export_dialog import ExportPart
        from tui.ui.widgets.tables import moved_dials, setting_text

        assert self.view is not None
        second, ledger, now = self.view.second, self.view.ledger, self.view.ledger_now
        setting = setting_text(ledger[now], moved_dials(ledger)) if 0 <= now < len(ledger) else "this setting"
        window_s = min(self.window_s, second)
        return [
            ExportPart(f"whole session {numbers.clock(second)}", Part()),
            ExportPart(f"last {window_s} s", Part(float(second - window_s), float(second))),
            ExportPart(setting, Part(segment_at_s=float(max(second - 1, 0)))),
        ]

    def _begin_export(self) -> None:
        if self._exporter is not None:
            self.run_worker(self._export(self._exporter), group="export", exclusive=True)

    async def _export(self, exporter: Exporter) -> None:
        sentence = await exporter.write()
        if self.app.screen is self:  # the box was closed meanwhile
            self.show_message(sentence)
            await self.end_export()

    async def _export_box_closed(self, _: None) -> None:
        if self._exporter is not None and not self._exporter.writing:
            await self.end_export()

    async def end_export(self) -> None:
        """End the process that exports; what is half written is removed."""
        exporter, self._exporter = self._exporter, None
        if exporter is not None:
            await exporter.close()

    def action_copy(self) -> None:
        """The verdict and the figures as Markdown."""
        from tui.ui.excerpt import excerpt

        if self.view is not None and self.view.second:
            self.copy(excerpt(self.view, self.screen_state(self.view).comparison), "verdict and figures, as Markdown")

    def copy(self, text: str, what: str) -> None:
        """To the clipboard of the terminal, which never says whether it took it."""
        self.app.copy_to_clipboard(text)
        self.run_worker(self._report_copy(what), group="copy", exclusive=True)

    async def _report_copy(self, what: str) -> None:
        problem = await asyncio.to_thread(clipboard_problem)
        self.show_message(f"copied: {what}" if not problem else f"not copied: {problem}")

    def action_screenshot(self) -> None:
        """The screen as SVG in the current directory."""
        from tui.ui.app import picture_path, save_svg

        path = picture_path(Path.cwd(), self.view)
        try:
            save_svg(self.app, path)
        except OSError as error:
            self.show_message(f"no screenshot: {error.strerror or error}")
        else:
            self.show_message(f"screenshot: {path.name}")

    def action_help(self) -> None:
        """Every key; those of the ledger first, where it is what one looks at."""
        from tui.ui.help import HelpDialog, key_sections
        from tui.ui.widgets.ledger import LEDGER_KEYS, LedgerPanel

        shown = self.middle == "ledger" or isinstance(self.focused, LedgerPanel)
        keys = [*remapped(self.HELP_KEYS, self.app._keymap), *(LEDGER_KEYS if shown else ())]
        self.app.push_screen(HelpDialog(key_sections(keys, self.HELP_MOUSE)))

    def action_leave(self) -> None:
        self.leave_if(True)

    def leave_if(self, yes: bool | None) -> None:
        if yes:
            self.app.post_message(self.QuitRequested())
