"""`dragstrip profiles`: what there is to run, and a new one from four questions."""

import argparse
import sys
from pathlib import Path

from tui.cli.output import complain, say
from tui.profile.reading import list_profiles, read_profile
from tui.profile.writing import Answers, profile_text
from tui.records.errors import UserError

HELP = "list the profiles; `profiles new NAME` writes one"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing, or what is to be written."""
    parser.add_argument("action", nargs="?", choices=("new",), help="ask four questions and write a profile")
    parser.add_argument("name", nargs="?", default="mine", help="the new profile's name (mine)")


def call(args: argparse.Namespace) -> int:
    """List, or write."""
    return _new(args.name) if args.action else _list()


def _list() -> int:
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


def _new(name: str) -> int:
    path = Path("profiles") / f"{name}.toml"
    if path.exists():
        raise UserError(f"{path} is there already; choose another name: dragstrip profiles new NAME")
    answers = Answers(
        a=_ask("lane A's URL", "http://127.0.0.1:8000"),
        b=_ask("lane B's URL, - for none", "http://127.0.0.1:30000").strip("-"),
        concurrency=_number(_ask("streams at once", "32")),
        key_env=_ask("the environment variable that holds the API key, - for none", "-").strip("-"),
    )
    text = profile_text(answers)
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); go to a directory of yours") from error
    say(f"wrote {path}; run it with: dragstrip watch {name}")
    return 0


def _ask(question: str, default: str) -> str:
    sys.stderr.write(f"{question} [{default}]: ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        complain("")
        raise UserError("the questions were not answered; nothing was written")
    return line.strip() or default


def _number(text: str) -> int:
    if not text.isdigit():
        raise UserError(f"{text!r} is no number of streams; nothing was written")
    return int(text)
