"""`dragstrip sessions`: what was recorded.

Which session an argument means: one of the operator's, or one that comes with dragstrip.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tui.cli.console import print_notice, print_result
from tui.model.text import UserError
from tui.profile.reading import shipped_profiles
from tui.recording.catalog import resolve, sessions_root
from tui.ui.widgets.numbers import size

HELP = "list the recorded sessions"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where to look."""
    parser.add_argument("--in", dest="root", metavar="DIR", help="instead of the user's data directory")


def call(args: argparse.Namespace) -> int:
    """A line each, newest first: name, length, size, servers, how it ended; last those that come with dragstrip."""
    from tui.recording.catalog import list_sessions, sessions_root

    root = Path(args.root) if args.root else sessions_root()
    entries = list_sessions(root)
    if not entries:
        print_notice(f"dragstrip: no session in {root} yet; `dragstrip demo` records one")
    told = entries + ([] if args.root else list_sessions(shipped_sessions()))
    width = max((len(entry.name) for entry in told), default=0)
    for entry in told:
        lanes = " against ".join(entry.lanes.values())
        simulated = " SIMULATED" if entry.simulated else ""
        extent = f"{entry.length_s:6.0f} s  {size(entry.size_bytes):>7}"
        print_result(f"{entry.name:<{width}}  {extent}  {lanes}{simulated}  ({entry.state})")
    return 0


def shipped_sessions() -> Path:
    """The folder of the sessions that come with dragstrip, recorded on real GPUs."""
    return shipped_profiles() / "sessions"


def session_named(name: str) -> Path:
    """A path, a name or the unique beginning of one. UserError when there is none, or more than one.

    The operator's own go before those that come with dragstrip.
    """
    if "://" in name:  # not repeated in the sentence: it may hold a signature
        raise UserError(
            "a session is read from a folder, not from a URL: copy it here first, "
            "or read its tables with Polars (pl.scan_parquet)"
        )
    try:
        return resolve(name)
    except UserError as error:
        if not any(path.name.startswith(name) for path in sessions_root().glob("*/")) and _shipped(name):
            return resolve(name, shipped_sessions())
        if near := _near(name):
            raise UserError(f"there is no session {name!r}; did you mean {near!r}?") from error
        raise


def _shipped(name: str) -> bool:
    return any(path.name.startswith(name) for path in shipped_sessions().glob("*/")) if name else False


def _near(name: str) -> str:
    """The name that a misspelt one may mean; empty where several begin with it, of which one has been told."""
    import difflib

    names = [path.name for root in (sessions_root(), shipped_sessions()) for path in root.glob("*/")]
    if any(known.startswith(name) for known in names):
        return ""
    return next(iter(difflib.get_close_matches(name, names, 1)), "")
