"""`dragstrip profiles`: what there is to run."""

import argparse

from tui.cli.output import say
from tui.profile.reading import list_profiles, read_profile
from tui.records.errors import UserError

NAME = "profiles"
HELP = "list the profiles"


def arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def call(args: argparse.Namespace) -> int:
    """A line each: name and sentence; a broken profile says what is wrong with it."""
    found = list_profiles()
    width = max(map(len, found), default=0)
    for name, path in sorted(found.items()):
        try:
            sentence = read_profile(str(path)).sentence
        except UserError as error:
            sentence = f"cannot be used: {error}"
        say(f"{name:<{width}}  {sentence}")
    return 0
