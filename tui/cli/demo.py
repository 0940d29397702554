"""`dragstrip demo`: the whole screen on two simulated engines."""

import argparse

from tui.cli import watch
from tui.cli.console import screen_flags
from tui.cli.options import load_flags, recording_flags

HELP = "the full screen with two simulated engines; needs nothing else"


def arguments(parser: argparse.ArgumentParser) -> None:
    load_flags(parser)
    recording_flags(parser)
    screen_flags(parser)
    parser.set_defaults(profile="demo", a=None, b=None, model=None, api_key_env=None, waive=None)


def call(args: argparse.Namespace) -> int:
    return watch.call(args)
