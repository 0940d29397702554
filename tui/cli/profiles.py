"""`dragstrip profiles`: list the profiles, show one, or make a new one."""

import argparse
import re

from tui.cli.console import print_notice, print_result
from tui.model.text import UserError
from tui.profile.reading import (
    TEMPLATE,
    find_profile,
    list_profiles,
    read_profile,
    read_text,
    shipped_profiles,
    user_folder,
)

HELP = "list the profiles; `profiles show NAME`, `profiles new NAME`"
_NAME = re.compile(r"[\w][\w.-]*")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", nargs="?", choices=("new", "show"), help="new: a profile with every key explained; show: print one"
    )
    parser.add_argument("name", nargs="?", help="the profile; `new` without one prints the template")
    parser.add_argument("--all", action="store_true", help="with show: also every key that is not set, as a comment")


def call(args: argparse.Namespace) -> int:
    """Print a line each, with its sentence or what is wrong with it; or one profile; or write a new one."""
    if args.action == "show":
        print_result(shown(args.name, every_key=args.all).rstrip("\n"))
    elif args.action == "new":
        template = (shipped_profiles() / TEMPLATE).read_text(encoding="utf-8")
        if args.name:
            print_notice(write_new(args.name, template))
        else:
            print_result(template.rstrip("\n"))
    else:
        list_all()
    return 0


def shown(name: str | None, *, every_key: bool) -> str:
    """A profile as its file is, or with every key there is. UserError without a name, or where it cannot be used."""
    if not name:
        raise UserError("name the profile to show; `dragstrip profiles` lists them")
    if not every_key:
        return read_text(find_profile(name))
    from tui.profile.reference import commented_profile

    return commented_profile(name)


def write_new(name: str, template: str) -> str:
    """Write the template as a new profile of the user; returns a sentence that says where. UserError if it cannot."""
    if not _NAME.fullmatch(name):
        raise UserError(f"{name} is no name of a profile: use letters, digits, - and _")
    path = user_folder("config") / "profiles" / f"{name.removesuffix('.toml')}.toml"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(template)
    except FileExistsError as error:
        raise UserError(f"{path} is there already: choose another name, or edit that file") from error
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror})") from error
    return f"wrote {path}: edit it, then `dragstrip watch {path.stem}`"


def list_all() -> None:
    profiles = list_profiles()
    width = max(map(len, profiles), default=0)
    for name, path in sorted(profiles.items()):
        try:
            sentence = read_profile(str(path)).sentence
        except UserError as error:
            sentence = f"cannot be used: {error}"
        print_result(f"{name:<{width}}  {sentence}")
