"""`dragstrip profiles`: list the profiles, or print a template for a new one."""

import argparse

from tui.cli.console import print_result
from tui.model.text import UserError
from tui.profile.reading import TEMPLATE, list_profiles, read_profile, shipped_profiles

HELP = "list the profiles; `profiles new` prints a template"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", nargs="?", choices=("new",), help="print a template with every key a profile may have"
    )


def call(args: argparse.Namespace) -> int:
    """Print a line each, with its sentence or what is wrong with it; or the template."""
    if args.action:
        print_result((shipped_profiles() / TEMPLATE).read_text(encoding="utf-8").rstrip("\n"))
        return 0
    profiles = list_profiles()
    width = max(map(len, profiles), default=0)
    for name, path in sorted(profiles.items()):
        try:
            sentence = read_profile(str(path)).sentence
        except UserError as error:
            sentence = f"cannot be used: {error}"
        print_result(f"{name:<{width}}  {sentence}")
    return 0
