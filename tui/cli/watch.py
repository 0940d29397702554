"""`dragstrip watch`: the live head-to-head."""

import argparse
from functools import partial

from tui.cli.calibrate import with_noise_floor
from tui.cli.console import call_in_lines, is_dumb, require_terminal, run_screen, screen_flags
from tui.cli.options import profile_from, recorder_from, recording_flags, session_argument, target_flags
from tui.session.source import Source

HELP = "watch two servers side by side, live"


def arguments(parser: argparse.ArgumentParser) -> None:
    target_flags(parser)
    recording_flags(parser)
    screen_flags(parser)


def call(args: argparse.Namespace) -> int:
    if is_dumb():
        from tui.cli import run

        return call_in_lines(run, args, "run")
    profile = profile_from(args)
    require_terminal("`dragstrip run` measures the same without one")
    profile = with_noise_floor(profile)
    record = recorder_from(args, profile)

    def session() -> Source:
        from tui.session.live import LiveSession

        return LiveSession(profile, record=record)

    return run_screen(session, ascii_only=args.ascii, session_argument=partial(session_argument, args, profile))
