"""`dragstrip watch`: the live head-to-head."""

import argparse
import sys

from tui.cli import noise_store, target
from tui.cli.output import complain, say
from tui.profile.model import Profile
from tui.records.errors import UserError

HELP = "watch two servers side by side, live"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Targets, dials and looks."""
    target.arguments(parser)
    looks(parser)


def looks(parser: argparse.ArgumentParser) -> None:
    """How the screen is drawn."""
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII characters only")


def call(args: argparse.Namespace) -> int:
    """Show the screen until the operator leaves it."""
    return show(args, target.profile_of(args))


def show(args: argparse.Namespace, profile: Profile) -> int:
    """The screen on a live session of `profile`; afterwards its last figures and where it is recorded."""
    from tui.cli.recording import recorder_for
    from tui.cli.simulated import SimulatedLanes

    if not sys.__stdin__ or not sys.__stdin__.isatty() or not sys.__stderr__ or not sys.__stderr__.isatty():
        raise UserError("there is no terminal to draw on; `dragstrip run` measures the same without one")
    profile = noise_store.with_floor(profile)
    record = recorder_for(args, profile)
    simulated = SimulatedLanes()

    from tui.screens.terminal import prepare_terminal

    prepare_terminal()

    from tui.screens.app import DragstripApp
    from tui.session.live.session import LiveSession

    session = LiveSession(profile, prepare=simulated.prepare, record=record, release=simulated.stop)
    app = DragstripApp(session, ascii_only=args.ascii)
    code = app.run()
    for line in app.summary:
        say(line)
    if app.log_path:
        complain(f"dragstrip: it ended in an error, which is written in {app.log_path}")
    return code or app.return_code or 0
