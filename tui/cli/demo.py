"""`dragstrip demo`: the whole screen on two simulated engines."""

import argparse

from tui.cli import options as target
from tui.cli import screen, watch

HELP = "the whole screen on two simulated engines; nothing else needed"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `watch`, without servers to name."""
    target.load(parser)
    screen.looks(parser)
    parser.set_defaults(profile="demo", a=None, b=None, model=None, api_key_env=None, waive=None)


def call(args: argparse.Namespace) -> int:
    """Watch the profile `demo`."""
    return watch.call(args)
