"""`dragstrip sessions`: list, rename, annotate and delete what was recorded; and which session a name means."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from tui.cli.console import confirmed, print_notice, print_result
from tui.model.text import UserError
from tui.profile.reading import shipped_profiles
from tui.recording.catalog import (
    SessionEntry,
    delete_session,
    list_sessions,
    note_session,
    rename_session,
    resolve,
    sessions_root,
)
from tui.ui.widgets.numbers import short_clock, size

HELP = "list the recorded sessions; rename, annotate and delete them"
BUNDLE = ".dragstrip"
SHIPPED = "come with dragstrip"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--in", dest="root", metavar="DIR", help="instead of the user's data directory")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", prog=parser.prog)
    for name, (text, extra) in ACTIONS.items():
        action = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
        action.add_argument("session", help="a name, the beginning of one, or a folder")
        if extra:
            action.add_argument("text", metavar=extra, help=f"the {extra.lower().replace('_', ' ')}")
        else:
            action.add_argument("--yes", action="store_true", help="do not ask")
        action.set_defaults(parser=action)


ACTIONS = {
    "rename": ("give a session another name", "NEW_NAME"),
    "note": ("keep a sentence about a session; an empty one takes it out", "SENTENCE"),
    "delete": ("remove a session from the disk", ""),
}


def call(args: argparse.Namespace) -> int:
    """List them, the newest first and those that come with dragstrip last; or change one."""
    if args.action:
        return _change(args)
    try:
        root = Path(args.root) if args.root else sessions_root()
        entries = _listed(root, must_exist=bool(args.root))
        notice = f"no session in {root} yet; `dragstrip demo` records one"
    except UserError as error:
        if args.root:
            raise
        entries, notice = [], str(error)
    if not entries:
        print_notice(f"dragstrip: {notice}")
    shipped = [] if args.root else list_sessions(shipped_sessions())
    for line in table_of(entries, shipped):
        print_result(line)
    return 0


def _listed(root: Path, *, must_exist: bool) -> list[SessionEntry]:
    if must_exist and not root.is_dir():
        raise UserError(f"there is no folder {root}")
    return list_sessions(root)


def table_of(recorded: Sequence[SessionEntry], shipped: Sequence[SessionEntry]) -> list[str]:
    """A header and a line for each session."""
    rows = [_cells(entry) for entry in recorded]
    rows += [[*_cells(entry)[:-1], SHIPPED] for entry in shipped]
    header = ["session", "recorded, UTC", "length", "size", "servers", ""]
    widths = [max(len(row[place]) for row in [header, *rows]) for place in range(len(header))]
    lines = []
    for cells in [header, *rows]:
        padded = [cell.rjust(width) if place in (2, 3) else cell.ljust(width)
                  for place, (cell, width) in enumerate(zip(cells, widths, strict=True))]  # fmt: skip
        lines.append("  ".join(padded).rstrip())
    return lines if rows else []


def _cells(entry: SessionEntry) -> list[str]:
    lanes = " against ".join(entry.lanes.values()) + (" SIMULATED" if entry.simulated else "")
    state = entry.state + (f": {entry.note}" if entry.note else "")
    recorded = f"{entry.started:%Y-%m-%d %H:%M}"
    return [entry.name, recorded, short_clock(entry.length_s), size(entry.size_bytes), lanes, state]


def _change(args: argparse.Namespace) -> int:
    folder = session_named(args.session).resolve()
    if shipped_sessions().resolve() in folder.parents:
        raise UserError(f"{folder.name} comes with dragstrip and stays as it is: copy it first")
    if args.action == "rename":
        print_notice(f"{folder.name} is called {rename_session(folder, args.text).name} now")
    elif args.action == "note":
        note_session(folder, args.text)
    elif args.yes or confirmed(f"delete {folder.name} for good?", "--yes deletes it without asking"):
        delete_session(folder)
        print_notice(f"{folder.name} is deleted")
    else:
        return 1
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


def session_names() -> list[str]:
    """Those recorded and those that come with dragstrip."""
    return sorted({*_names(sessions_root), *_names(shipped_sessions)})


def _names(folder: Callable[[], Path]) -> list[str]:
    """The names in that folder; none where the user has no such folder."""
    try:
        return [path.name for path in folder().glob("*/")]
    except UserError:
        return []
