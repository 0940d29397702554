"""`dragstrip profiles`: what there is to run, and a new one from four questions."""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from tui.cli.output import complain, say
from tui.engines.address import base_url
from tui.profile.reading import list_profiles, read_profile
from tui.profile.writing import Answers, profile_text
from tui.records.dials import DIAL
from tui.records.errors import UserError
from tui.records.text import clean

T = TypeVar("T")
_NAME = re.compile(r"\w[\w.\-]*")
_VARIABLE = re.compile(r"[A-Za-z_]\w*")

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
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r} is no name for a profile: letters, digits, dots and dashes, no folders")
    path = Path("profiles") / f"{name.removesuffix('.toml')}.toml"
    if path.exists():
        raise UserError(f"{path} is there already; choose another name: dragstrip profiles new NAME")
    answers = Answers(
        a=_ask("lane A's URL", "http://127.0.0.1:8000", _url),
        b=_ask("lane B's URL, - for none", "http://127.0.0.1:30000", _url_or_none),
        concurrency=_ask("streams at once", "32", _number),
        key_env=_ask("the environment variable that holds the API key, - for none", "-", _variable),
    )
    text = profile_text(answers)
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); go to a directory of yours") from error
    say(f"wrote {path}; run it with: dragstrip watch {path.stem}")
    return 0


def _ask(question: str, default: str, read: Callable[[str], T]) -> T:
    """The answer as `read` takes it; somebody at a terminal is asked again, a script is told that it is wrong."""
    while True:
        sys.stderr.write(f"{question} [{default}]: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            complain("")
            raise UserError("the questions were not answered; nothing was written")
        try:
            return read(line.strip() or default)
        except UserError as error:
            if not sys.stdin.isatty():
                raise UserError(f"{error}; nothing was written") from error
            complain(str(error))


def _url(text: str) -> str:
    """A URL as it may be kept: credentials in it would lie in a file that is passed on."""
    base = base_url(text)
    if urlsplit(text if "://" in text else f"http://{text}").username is not None:
        raise UserError(f"leave the password out of {base}: name the variable that holds the key instead")
    return base


def _url_or_none(text: str) -> str:
    return "" if text == "-" else _url(text)


def _number(text: str) -> int:
    spec = DIAL["concurrency"]
    if not text.isdecimal() or not max(spec.low, 1) <= int(text) <= spec.high:
        raise UserError(f"{clean(text, 40)} is no number of streams from 1 to {spec.high:g}")
    return int(text)


def _variable(text: str) -> str:
    if text != "-" and not _VARIABLE.fullmatch(text):
        raise UserError("that is no variable's name: give the name alone, without the key itself")
    return text.strip("-")
