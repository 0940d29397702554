"""`dragstrip sessions`: what was recorded."""

import argparse
from pathlib import Path

from tui.cli.output import complain, say
from tui.widgets.numbers import size

HELP = "list the recorded sessions"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where to look."""
    parser.add_argument("--in", dest="root", metavar="DIR", help="instead of the user's data directory")


def call(args: argparse.Namespace) -> int:
    """A line each, newest first: name, length, size, servers, how it ended; last those that come with dragstrip."""
    from tui.cli.session_named import shipped_sessions
    from tui.recording.home import sessions_root
    from tui.recording.sessions import list_sessions

    root = Path(args.root) if args.root else sessions_root()
    entries = list_sessions(root)
    if not entries:
        complain(f"dragstrip: no session in {root} yet; `dragstrip demo` records one")
    told = entries + ([] if args.root else list_sessions(shipped_sessions()))
    width = max((len(entry.name) for entry in told), default=0)
    for entry in told:
        lanes = " against ".join(entry.lanes.values())
        simulated = " SIMULATED" if entry.simulated else ""
        extent = f"{entry.length_s:6.0f} s  {size(entry.size_bytes):>7}"
        say(f"{entry.name:<{width}}  {extent}  {lanes}{simulated}  ({entry.state})")
    return 0
