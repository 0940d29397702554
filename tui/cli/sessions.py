"""`dragstrip sessions`: list what was recorded; and which session a name means."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from tui.cli.console import print_notice, print_result
from tui.model.text import UserError
from tui.profile.reading import shipped_profiles
from tui.recording.catalog import list_sessions, resolve, sessions_root
from tui.ui.widgets.numbers import size

HELP = "list the recorded sessions"
BUNDLE = ".dragstrip"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--in", dest="root", metavar="DIR", help="instead of the user's data directory")


def call(args: argparse.Namespace) -> int:
    """A line each, newest first: name, length, size, servers, how it ended; last those that come with dragstrip."""
    try:
        root = Path(args.root) if args.root else sessions_root()
        entries = list_sessions(root)
        notice = f"no session in {root} yet; `dragstrip demo` records one"
    except UserError as error:
        entries, notice = [], str(error)
    if not entries:
        print_notice(f"dragstrip: {notice}")
    if not args.root:
        entries += list_sessions(shipped_sessions())
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        lanes = " against ".join(entry.lanes.values())
        simulated = " SIMULATED" if entry.simulated else ""
        extent = f"{entry.length_s:6.0f} s  {size(entry.size_bytes):>7}"
        print_result(f"{entry.name:<{width}}  {extent}  {lanes}{simulated}  ({entry.state})")
    return 0


def shipped_sessions() -> Path:
    """The folder of the sessions that come with dragstrip, recorded on real GPUs."""
    return shipped_profiles() / "sessions"


def session_named(name: str) -> Path:
    """The session that a path, a name or the unique beginning of one means; recorded ones go before shipped ones.

    UserError when there is none, or more than one.
    """
    if "://" in name:  # not repeated in the sentence: it may hold a signature
        raise UserError(
            "a session is read from a folder, not from a URL: copy it here first, "
            "or read its tables with Polars (pl.scan_parquet)"
        )
    if Path(name).suffix == BUNDLE and Path(name).is_file():
        from tui.recording.bundle import open_bundle

        return open_bundle(Path(name))
    try:
        return resolve(name)
    except UserError as error:
        import difflib

        recorded, shipped = _names(sessions_root), _names(shipped_sessions)
        if not name or any(known.startswith(name) for known in recorded):
            raise
        if any(known.startswith(name) for known in shipped):
            return resolve(name, shipped_sessions())
        if near := difflib.get_close_matches(name, [*recorded, *shipped], 1):
            raise UserError(f"there is no session {name!r}; did you mean {near[0]!r}?") from error
        raise


def _names(folder: Callable[[], Path]) -> list[str]:
    """The names in that folder; none where the user has no such folder."""
    try:
        return [path.name for path in folder().glob("*/")]
    except UserError:
        return []
