"""`dragstrip watch`: the live head-to-head."""

import argparse

from tui.cli import noise_store, screen
from tui.cli import options as target
from tui.model.text import UserError
from tui.session.source import Source

HELP = "watch two servers side by side, live"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Targets, dials and looks."""
    target.arguments(parser)
    screen.looks(parser)


def call(args: argparse.Namespace) -> int:
    """The screen on a live session until the operator leaves it."""
    from tui.cli.recording import naming, recorder_for
    from tui.cli.simulate import SimulatedLanes

    profile = target.profile_of(args)
    if not screen.has_terminal():
        raise UserError("there is no terminal to draw on; `dragstrip run` measures the same without one")
    profile = noise_store.with_floor(profile)
    record = recorder_for(args, profile)
    simulated = SimulatedLanes()

    def session() -> Source:
        from tui.session.live import LiveSession

        return LiveSession(profile, prepare=simulated.prepare, record=record, release=simulated.stop)

    return screen.show(session, ascii_only=args.ascii, named=naming(args, profile))
