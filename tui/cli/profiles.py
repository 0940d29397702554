"""`dragstrip profiles`: what there is to run, and a template for a new one."""

import argparse

from tui.cli.console import print_result
from tui.model.text import UserError
from tui.profile.reading import TEMPLATE, list_profiles, read_profile, shipped_profiles

HELP = "list the profiles; `profiles new` prints a template for one of your own"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing, or that a template is wanted."""
    parser.add_argument(
        "action", nargs="?", choices=("new",), help="print a template with every key a profile may have"
    )
    parser.add_argument("name", nargs="?", help=argparse.SUPPRESS)  # once a file to write; it says what to do instead


def call(args: argparse.Namespace) -> int:
    """List, or print the template."""
    if args.name:
        raise UserError(
            "`dragstrip profiles new` takes no name: it prints a template, for you to write to profiles/NAME.toml"
        )
    if args.action:
        print_result((shipped_profiles() / TEMPLATE).read_text(encoding="utf-8").rstrip("\n"))
        return 0
    return _list()


def _list() -> int:
    """A line each: name and sentence; a broken profile says what is wrong with it."""
    found = list_profiles()
    width = max(map(len, found), default=0)
    for name, path in sorted(found.items()):
        try:
            sentence = read_profile(str(path)).sentence
        except UserError as error:
            sentence = f"cannot be used: {error}"
        print_result(f"{name:<{width}}  {sentence}")
    return 0
