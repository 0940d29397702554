"""`dragstrip demo`: the whole screen on two simulated engines."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tui.cli import watch
from tui.cli.console import bell_flag, screen_flags
from tui.cli.options import load_flags, recording_flags

if TYPE_CHECKING:
    from tui.session.source import Source
    from tui.ui.tour import Tour

HELP = "the full screen with two simulated engines; needs nothing else"


def arguments(parser: argparse.ArgumentParser) -> None:
    load_flags(parser)
    recording_flags(parser)
    screen_flags(parser)
    bell_flag(parser)
    parser.add_argument(
        "--no-tour", action="store_true", help="leave the dials alone: no tour while no key is pressed"
    )
    parser.set_defaults(
        profile="demo",
        a=None,
        b=None,
        model=None,
        api_key_env=None,
        waive=None,
        duration=None,
        on_hangup="end",
        yes=False,
    )


def call(args: argparse.Namespace) -> int:
    return watch.call(args, None if args.no_tour else _tour)


def _tour(session: Source) -> Tour:
    from tui.session.live import LiveSession
    from tui.ui.tour import Tour

    assert isinstance(session, LiveSession)
    return Tour(session.stop_simulator, session.start_simulator)
