"""The screen as a command shows it, and what stays on the terminal afterwards."""

import argparse
import sys
from collections.abc import Callable

from tui.cli.console import print_notice, print_result
from tui.session.source import Source


def looks(parser: argparse.ArgumentParser) -> None:
    """How the screen is drawn."""
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII characters only")


def has_terminal() -> bool:
    """Whether keys can be read and a picture drawn, which Textual does on stdin and stderr."""
    return all(stream is not None and stream.isatty() for stream in (sys.__stdin__, sys.__stderr__))


def show(
    make: Callable[[], Source],
    *,
    ascii_only: bool,
    named: Callable[[str], str],
    export: Callable[[float | None, float | None], str] | None = None,
) -> int:
    """Show what `make` makes until the operator leaves it; the exit code.

    `named` says how a command is told the session that is recorded under a name, and `export` writes a part of it
    (seconds from and until, None: all) and says what. What a source imports comes after
    the terminal is prepared, as all that the first paint waits for.
    """
    from tui.ui.terminal import prepare_terminal

    prepare_terminal()

    from tui.ui.app import DragstripApp

    app = DragstripApp(make(), ascii_only=ascii_only, named=named, export=export)
    code = app.run()
    for line in app.summary:
        print_result(line)
    if app.log_path:
        print_notice(f"dragstrip: it ended in an error, which is written in {app.log_path}")
    return code or app.return_code or 0
