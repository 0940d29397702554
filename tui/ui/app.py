"""The application: one source, one screen, and an end that restores the terminal and completes the recording.

The screen as an SVG file that needs no network and no font with braille in it.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.terminal_theme import SVG_EXPORT_THEME
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Event, Key, MouseDown, MouseScrollDown, MouseScrollUp
from textual.messages import TerminalSupportsSynchronizedOutput
from textual.screen import Screen

from tui.model.text import UserError, sanitize
from tui.profile.config import UserConfig
from tui.session.source import Source
from tui.ui.alerts import RESTORE_TITLE, SAVE_TITLE
from tui.ui.comparison import summary_lines
from tui.ui.keys import keys_problem
from tui.ui.link import QUESTION
from tui.ui.live_screen import LiveScreen
from tui.ui.main_screen import MainScreen, SessionFolder
from tui.ui.terminal import (
    SIGNALS,
    abandon_terminal,
    has_shell,
    is_closed,
    silence_terminal,
    speaks_utf8,
    watch_terminal,
    write_terminal,
)
from tui.ui.widgets.chart import GLYPHS
from tui.ui.widgets.header import key_sign
from tui.ui.widgets.theme import PALETTE_BY_NAME, PALETTES, first_theme, theme_of

if TYPE_CHECKING:
    from tui.session.replay import ReplaySource
    from tui.session.view import View


NOT_OFFERED = ("app.focus", "app.command_palette", "screen.copy_text")
CRASHED = 1
REFUSED = 2


class DragstripApp(App[int]):
    """`run()` returns the exit code; then `summary` is to be printed, `log_path` is a traceback's file, if any."""

    CSS_PATH = "app.tcss"  # a default screen's own CSS_PATH is not read
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "quit", show=False, priority=True, system=True),
    ]

    def __init__(
        self,
        source: Source,
        *,
        ascii_only: bool = False,
        session_argument: Callable[[str], str] = str,
        session_folder: SessionFolder | None = None,
        user_config: UserConfig | None = None,
    ) -> None:
        """`session_argument`: how a command line spells a session; `session_folder`: where it is recorded.

        Without a `user_config` the defaults hold, and nothing is kept.
        """
        # With NO_COLOR Textual would make its greys unless colours are the terminal's.
        super().__init__(ansi_color=True if os.environ.get("NO_COLOR") else None)
        self.source = source
        self.user_config = user_config or UserConfig()
        self.ascii_only = ascii_only or not speaks_utf8()
        self.summary: list[str] = []
        self.log_path: Path | None = None
        self.main_screen: MainScreen = (
            _replay_screen(source, session_argument, session_folder)
            if source.replay
            else LiveScreen(source, session_argument, session_folder)
        )
        self.ends_after_s: float | None = None  # of the session; None: when the operator leaves
        self.keeps_on_hangup = False
        self._has_terminal = True
        self._leaving = False
        self._ask_terminal: Callable[[], None] | None = None  # see `Link`; None where there is no terminal
        self._watch: asyncio.Task[None] | None = None
        for palette in PALETTES:
            self.register_theme(theme_of(palette))
        # Now, or the stylesheet would be read twice.
        self.theme = first_theme(self.console.color_system, self.user_config.config.theme)
        self.main_screen.use_config(self.user_config)
        keys = self.user_config.config.keys
        self._config_problem = self.user_config.problem or keys_problem(keys, self.main_screen.HELP_KEYS)
        if keys and not self._config_problem:
            self.set_keymap(keys)

    async def on_event(self, event: Event) -> None:
        """Any key or click ends a tour, and does what it does besides."""
        if isinstance(event, Key | MouseDown | MouseScrollDown | MouseScrollUp):
            self.main_screen.taken_over()
        await super().on_event(event)

    def get_default_screen(self) -> MainScreen:
        """Painted first: no blank screen comes before it."""
        return self.main_screen

    def on_mount(self) -> None:
        self.animation_level = "none"
        if self.ascii_only:
            self.main_screen.glyphs = GLYPHS[-1]
            self.main_screen.add_class("-ascii-only")
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._signalled, number)
        if not self.is_headless:
            self._watch_link()
            hung_up = partial(loop.call_soon_threadsafe, self._signalled, signal.SIGHUP)
            watch_terminal(hung_up, lambda: getattr(self._driver, "_writer_thread", None))
            loop.add_signal_handler(signal.SIGTSTP, self._suspend, signal.getsignal(signal.SIGTSTP))
        if getattr(self.main_screen, "alerts", None) is not None:
            write_terminal(self, SAVE_TITLE)
        self._watch = asyncio.create_task(self._watch_source())
        if problem := self._config_problem:
            self.call_after_refresh(self.notify, problem, markup=False, severity="warning")

    def _watch_link(self) -> None:
        """Count what is sent to the terminal."""
        driver, link = self._driver, self.main_screen.link
        assert driver is not None
        write = driver.write

        def counted(data: str) -> None:
            link.sent(len(data.encode()))
            write(data)

        def is_blocked() -> bool:
            writer = getattr(driver, "_writer_thread", None)
            return writer is not None and not writer._queue.empty()

        link.is_blocked = is_blocked
        self._ask_terminal = partial(write, QUESTION)
        driver.write = counted  # type: ignore[method-assign]

    def post_display_hook(self) -> None:
        """Something was drawn."""
        if self._ask_terminal is not None and self.main_screen.link.should_ask():
            self._ask()

    def _on_terminal_supports_synchronized_output(self, message: TerminalSupportsSynchronizedOutput) -> None:
        super()._on_terminal_supports_synchronized_output(message)
        if self.main_screen.link.answered():
            self._ask()

    def _ask(self) -> None:
        if self._ask_terminal is not None:
            self._ask_terminal()
            self.main_screen.link.asked()

    def on_main_screen_quit_requested(self) -> None:
        self.leave("quit", 0)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The command palette: every active key of the screen, by what it does, once for each action.

        The keys of a dial in focus would not say which dial they turn, and the screen cannot run them.
        """
        from tui.ui.help import phrase

        commands: dict[str, SystemCommand] = {}
        for binding in (key.binding for key in screen.active_bindings.values() if key.node is screen):
            if binding.description and not binding.action.startswith(NOT_OFFERED):
                title = f"{phrase(binding)}  ({key_sign(binding.key)})"
                run = partial(screen.run_action, binding.action)
                commands[binding.action] = SystemCommand(title, binding.tooltip or binding.description, run)
        yield from commands.values()

    async def action_quit(self) -> None:
        """Ctrl+q, in any dialog: asks as `q` does."""
        self.main_screen.action_leave()

    def action_suspend_process(self) -> None:
        """Ctrl+z: to the shell, if there is one that can bring the program back."""
        if has_shell():
            super().action_suspend_process()
        else:
            self.main_screen.show_message("no shell to suspend to")

    def _suspend(self, stop: Any) -> None:
        """Stop as Textual does (`stop` is its handler), and with it the load, which nobody would measure."""
        self.main_screen.before_suspend()
        stop(signal.SIGTSTP, None)

    def leave(self, why: str, code: int) -> None:
        """Stop the source, then the screen; a second call changes nothing."""
        if not self._leaving:
            self._leaving = True
            self._ending = asyncio.create_task(self._leave(why, code))

    async def _leave(self, why: str, code: int) -> None:
        if self._watch is not None:
            self._watch.cancel()
        try:
            try:
                await self.main_screen.end_export()
                await self.source.stop(why)
            finally:
                self._summarize()
        except Exception as error:  # noqa: BLE001 - it is written to the log, and the terminal must be restored
            self.log_path = self.log_path or write_log(error)
            code = code or CRASHED
        finally:
            if is_closed() or not self._has_terminal:
                abandon_terminal(code)
            elif getattr(self.main_screen, "alerts", None) is not None:
                write_terminal(self, RESTORE_TITLE)
            self.exit(code, return_code=code)

    def _summarize(self) -> None:
        if self.main_screen.view is not None:
            self.summary += [*summary_lines(self.main_screen.view), *self.main_screen.next_steps()]

    def _signalled(self, number: int) -> None:
        if number == signal.SIGHUP and self.keeps_on_hangup and not self._leaving:
            self._go_on_without_terminal()
            return
        self.leave(f"signal {signal.Signals(number).name}", 128 + number)

    def _go_on_without_terminal(self) -> None:
        """The connection dropped: nothing is drawn any more, and the session ends when its time is over."""
        if self._has_terminal:
            self._has_terminal = False
            self.main_screen.is_seen = False
            silence_terminal()
            self.source.mark("the terminal was closed: it goes on without a screen")

    async def _watch_source(self) -> None:
        """A source that fails ends the program: with one sentence if the operator can mend it."""
        await self.main_screen.source_started.wait()
        if self.ends_after_s is not None:
            asyncio.get_running_loop().call_later(self.ends_after_s, self.leave, "its time is over", 0)
        try:
            await self.source.ended()
        except UserError as error:
            self.summary.append(f"dragstrip: {error}")
            self.leave(str(error), REFUSED)
        except Exception as error:  # noqa: BLE001 - it is written to the log, and the terminal must be restored
            self._handle_exception(error)

    def _handle_exception(self, error: Exception) -> None:
        """A bug: its traceback goes to a file, because the screen that could show it is about to go."""
        if self.is_headless:
            super()._handle_exception(error)
            return
        self.log_path = self.log_path or write_log(error)
        self.leave("internal error", CRASHED)


def _replay_screen(
    source: Source, session_argument: Callable[[str], str], session_folder: SessionFolder | None
) -> MainScreen:
    """Imported here, because a live screen is painted sooner without it."""
    from tui.ui.replay_screen import ReplayScreen

    return ReplayScreen(cast("ReplaySource", source), session_argument, session_folder)


def write_log(error: BaseException) -> Path:
    """Write the traceback to a new file, whose path is returned."""
    handle, name = tempfile.mkstemp(prefix="dragstrip-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8") as log:
        log.write("".join(traceback.format_exception(error)))
    return Path(name)


CELL_HEIGHT, BASELINE = 24.4, 18.5  # in the SVGs that Rich writes, in user units
# Rich's cells are 12.2 wide; DejaVu Sans Mono is 0.602 of its size, and not every viewer stretches a run of text.
MAX_PICTURES = 1000  # of one second
FONT_PX = "20.27px"
_FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_TEXT = re.compile(r'<text class="([^"]+)" x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>([^<]*)</text>')
_BRAILLE = re.compile("[\u2800-\u28ff]")
_DOT_POSITIONS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))  # column, row of each bit


def svg_of(app: App[int]) -> str:
    """The screen as SVG, with the viewer's monospace font in place of one from the network and braille as dots."""
    svg = _FONT_FACE.sub("", app.export_screenshot(title="dragstrip"))
    palette = PALETTE_BY_NAME.get(app.theme)
    if palette is not None and not palette.dark:  # Rich draws on a dark ground whatever the terminal has
        svg = svg.replace(SVG_EXPORT_THEME.background_color.hex, palette.ground)
        svg = svg.replace(SVG_EXPORT_THEME.foreground_color.hex, palette.text)
    svg = svg.replace("font-size: 20px", f"font-size: {FONT_PX}").replace("arial", "DejaVu Sans, Arial, sans-serif")
    return _TEXT.sub(_dots, svg).replace("Fira Code", "DejaVu Sans Mono")


def picture_path(folder: Path, view: View | None) -> Path:
    """Named after the session and the second that is shown, and a name that no file has yet."""
    name = (view.recording or view.title if view is not None else "").replace("/", "_").lstrip(".") or "dragstrip"
    stem = f"{sanitize(name, 100)}-{view.second if view is not None else 0:06d}"
    names = (folder / f"{stem}{number}.svg" for number in ("", *(f"-{n}" for n in range(2, MAX_PICTURES))))
    return next((path for path in names if not path.exists()), folder / f"{stem}.svg")


def save_svg(app: App[int], path: Path) -> None:
    path.write_text(svg_of(app), encoding="utf-8")


def _dots(match: re.Match[str]) -> str:
    """A run of text with its braille drawn, so that it looks the same whatever fonts the viewer has."""
    style, x, y, width, rest, escaped = match.groups()
    text = escaped.replace("&#160;", " ")
    if not _BRAILLE.search(text):
        return match[0]
    cell = float(width) / len(text)
    drawn = [
        f'<circle class="{style}" cx="{left + (0.25 + 0.5 * column) * cell:.1f}" cy="{top:.1f}" r="1.5"/>'
        for left, ch in ((float(x) + at * cell, ch) for at, ch in enumerate(text) if _BRAILLE.match(ch))
        for bit, (column, row) in enumerate(_DOT_POSITIONS)
        if ord(ch) & (1 << bit)
        for top in [float(y) - BASELINE + (row + 0.5) * CELL_HEIGHT / 4]
    ]
    plain = _BRAILLE.sub(" ", text)
    if plain.strip():
        escaped = plain.replace(" ", "&#160;")
        drawn.append(f'<text class="{style}" x="{x}" y="{y}" textLength="{width}"{rest}>{escaped}</text>')
    return "".join(drawn)
