"""A command and its terminal: results on stdout, notices on stderr, the screen, and interruption."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from tui.model.text import UserError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tui.report.document import Block, Document
    from tui.session.source import Source
    from tui.ui.app import DragstripApp

# Escape codes would steer the terminal and bidi overrides reverse a line. Servers and recordings may contain both;
# most callers have sanitized them before.
_REMOVED: Final = dict.fromkeys(
    [*range(9), *range(11, 32), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)


MARK_STYLES: Final = {"!": "bold red", "~": "yellow", "?": "cyan"}


def print_marked(text: str) -> None:
    """A report of `doctor` on stdout: its first line in bold, lines that begin with a sign in that sign's colour."""
    if not sys.stdout.isatty():
        print_result(text)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
    for number, line in enumerate(text.splitlines()):
        style = "bold" if number == 0 else MARK_STYLES.get(line[:1], "")
        console.print(Text(printable(line), style=style))


def printable(text: str) -> str:
    """The text without what would steer a terminal."""
    return text.translate(_REMOVED)


def print_result(text: str = "") -> None:
    """Print a line on stdout. BrokenPipeError when the pipe was closed or the terminal is gone (EIO)."""
    try:
        sys.stdout.write(printable(text) + "\n")
        sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.EIO:
            raise BrokenPipeError(errno.EPIPE, "the terminal is gone") from error
        raise


def print_notice(text: str) -> None:
    """Print a line about progress or trouble on stderr, so that stdout stays free for results.

    Lost when nobody can read it: the work matters more than the sentence about it.
    """
    try:
        sys.stderr.write(printable(text) + "\n")
        sys.stderr.flush()
    except OSError as error:
        if error.errno not in {errno.EPIPE, errno.EIO}:
            raise


def print_document(document: Document) -> None:
    """A report on stdout: laid out on a terminal, Markdown into a pipe."""
    from tui.report.document import SIMULATED, Heading, Paragraph, markdown

    if not sys.stdout.isatty():
        print_result(markdown(document).rstrip("\n"))
        return
    warning: list[Block] = [Paragraph(SIMULATED, strong=True)] if document.simulated else []
    print_blocks([Heading(document.title), *warning, *document.blocks])


def print_blocks(blocks: Sequence[Block]) -> None:
    """A part of a report, in the same way."""
    from tui.report.document import markdown_blocks

    if not sys.stdout.isatty():
        print_result(markdown_blocks(blocks).rstrip("\n"))
        return
    from rich.console import Console, Group

    console = Console(markup=False, highlight=False, emoji=False)
    try:
        console.print(Group(*(part for block in blocks for part in _laid_out(block))))
    except OSError as error:
        raise BrokenPipeError(errno.EPIPE, "the terminal is gone") from error


def _laid_out(block: Block) -> list[RenderableType]:
    """A block as Rich draws it; a chart is left out, as in Markdown."""
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    from tui.report.document import Heading, Paragraph, Table

    match block:
        case Heading(text):
            return [Text(printable(text), style="bold cyan"), Text()]
        case Paragraph(text, strong):
            return [Text(printable(text), style="bold" if strong else ""), Text()]
        case Table():
            grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
            for name, right in zip(block.header, block.of_numbers(), strict=True):
                grid.add_column(Text(printable(name)), justify="right" if right else "left")
            for row in block.rows:
                grid.add_row(*(Text(printable(cell)) for cell in row))
            return [grid]
    return []


def confirmed(question: str, without_terminal: str) -> bool:
    """Ask on the terminal. UserError with `without_terminal` where nobody can answer."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        raise UserError(f"{question} Nobody can answer here: {without_terminal}")
    sys.stderr.write(f"{printable(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def save_text(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a file and print its name. UserError when it exists, or the place cannot be written."""
    if path.is_file() and not overwrite:
        raise UserError(f"{path} exists: name another place, or replace it with --overwrite")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); name another place") from error
    print_notice(f"wrote {path}")


class Interruption:
    """The first signal that asks this process to end."""

    def __init__(self) -> None:
        import asyncio  # not for commands that only print

        self.signal = 0
        self.event = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._interrupt, number)

    def _interrupt(self, number: int) -> None:
        self.signal = self.signal or number
        self.event.set()


async def until_one_ends(*work: Coroutine[Any, Any, Any]) -> None:
    """Run all until one ends, then cancel the others. Raises the error of one that ended."""
    import asyncio

    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def screen_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII characters only")


def bell_flag(parser: argparse.ArgumentParser) -> None:
    help_text = "no bell and no title when a lane goes down, a verdict falls or a plan ends"
    parser.add_argument("--no-bell", action="store_true", help=help_text)


def is_dumb() -> bool:
    """Whether the terminal can only print lines: it cannot place the cursor."""
    return os.environ.get("TERM") == "dumb"


class Command(Protocol):
    """A module of a command."""

    def arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def call(self, args: argparse.Namespace) -> int: ...


def call_in_lines(command: Command, args: argparse.Namespace, name: str, *positional: str) -> int:
    """Call the command that does the same in lines of text, with its defaults where `args` says nothing."""
    print_notice(f"this terminal cannot place the cursor (TERM=dumb): lines instead, as `dragstrip {name}` prints")
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    defaults = vars(parser.parse_args(positional))
    return command.call(argparse.Namespace(**{**defaults, **vars(args)}))


def has_terminal() -> bool:
    """Whether Textual can read keys on stdin and draw on stderr."""
    return all(stream is not None and stream.isatty() for stream in (sys.__stdin__, sys.__stderr__))


def require_terminal(instead: str) -> None:
    """UserError that names what to do instead, unless there is a terminal."""
    if not has_terminal():
        raise UserError(f"there is no terminal to draw on; {instead}")


def run_screen(
    make_source: Callable[[], Source],
    *,
    ascii_only: bool,
    session_argument: Callable[[str], str],
    session_folder: Callable[[str], Path],
    prepare: Callable[[DragstripApp], None] = lambda _: None,
) -> int:
    """Run the screen until the operator leaves it; returns the exit code.

    `session_argument` turns a session's name into what a command line takes for it, `session_folder` into the folder
    that holds it. `make_source` is called once the terminal is prepared: the first paint waits for all that is
    imported before. `prepare` is called before the first paint.
    """
    from tui.ui.terminal import prepare_terminal

    prepare_terminal()

    from tui.profile.config import UserConfig
    from tui.ui.app import DragstripApp

    app = DragstripApp(
        make_source(),
        ascii_only=ascii_only,
        session_argument=session_argument,
        session_folder=session_folder,
        user_config=UserConfig.open(),
    )
    prepare(app)
    code = app.run()
    for line in app.summary:
        print_result(line)
    if app.log_path:
        print_notice(f"dragstrip: it ended in an error, which is written in {app.log_path}")
    return code or app.return_code or 0
