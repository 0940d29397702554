"""`dragstrip demo`: the whole screen on two simulated engines."""

import argparse

from tui.cli import target, watch

HELP = "the whole screen on two simulated engines; nothing else needed"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `watch`, without servers to name."""
    target.arguments(parser)
    watch.looks(parser)


def call(args: argparse.Namespace) -> int:
    """Watch the profile `demo`."""
    args.profile = args.profile or "demo"
    return watch.show(args, target.profile_of(args))
