"""`dragstrip export`: a recorded session in other file formats."""

import argparse
import sys
from itertools import chain, count
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tui.cli.console import print_result
from tui.cli.options import file_flags, session_flag
from tui.cli.progress import Working
from tui.model.rows import TABLES
from tui.model.text import UserError
from tui.ui.widgets.numbers import counted, size

if TYPE_CHECKING:
    from tui.recording.reader import RecordedSession, Selection

HELP = "write a recorded session as CSV, Parquet, JSON and other formats"
# Written out, because the formats themselves import polars and help must not wait for it.
FORMATS = "bundle, csv, parquet, json, ndjson, vllm, sglang, guidellm, aiperf, markdown, html, svg, png"


def arguments(parser: argparse.ArgumentParser) -> None:
    session_flag(parser)
    parser.add_argument("--format", default="csv", metavar="FORMAT", help=f"{FORMATS} (csv)")
    file_flags(parser, "PATH", "folder or file to write (default ./NAME-FORMAT); - is stdout, of one file")
    parser.add_argument(
        "--table", choices=TABLES, action="append", help="only this table; may be repeated (chunks are large)"
    )
    parser.add_argument("--from", dest="from_s", type=float, metavar="S", help="from this second of the session")
    parser.add_argument("--until", dest="to_s", type=float, metavar="S", help="to this second")
    parser.add_argument("--lane", choices=("a", "b"), help="only this lane")
    parser.add_argument("--segment", type=int, metavar="N", help="only this segment")
    parser.add_argument("--redact", action="store_true", help="leave out host names and model paths")


def call(args: argparse.Namespace) -> int:
    from tui.cli.sessions import session_named
    from tui.export.formats import export
    from tui.recording.reader import Selection, open_session, window_ns

    recorded = open_session(session_named(args.session))
    t0_ns, t1_ns = window_ns(recorded.info, args.from_s, args.to_s)
    if t0_ns is not None and t1_ns is not None and t0_ns >= t1_ns:
        raise UserError(f"--from {args.from_s:g} is not before --until {args.to_s:g}")
    if args.segment is not None and not _has_segment(recorded, args.segment):
        raise UserError(f"{recorded.name} has no segment {args.segment}: `dragstrip report` lists its settings")
    selection = Selection(
        tuple(args.table or TABLES), t0_ns, t1_ns, args.lane, args.segment, args.redact, args.overwrite
    )
    check_holds_something(recorded, selection)
    if args.to == "-":
        _to_stdout(recorded, args.format, selection)
        return 0
    target = Path(args.to) if args.to else free_path(Path(f"{recorded.name}-{args.format}"))
    with Working("reading") as working:
        files = export(recorded, args.format, target, selection, working.share)
    for file in files:
        print_result(f"{file.path}  {file.what}, {counted(file.rows, 'row')}, {size(file.size_bytes)}")
    for missing in recorded.missing:
        print_result(f"missing: {missing}")
    return 0


def free_path(path: Path) -> Path:
    """The path, or with -2, -3, … where something has that name."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return next(each for each in chain([path], numbered) if not each.exists())


def check_holds_something(recorded: "RecordedSession", selection: "Selection") -> None:
    """UserError where nothing was recorded in the part asked for."""
    from tui.model.metrics import NS_PER_S

    if selection.lane is not None and selection.lane not in recorded.info.lanes:
        raise UserError(f"{recorded.name} has no lane {selection.lane.upper()}")
    seconds = recorded.scan("seconds").select("t_ns").collect()["t_ns"]
    inside = seconds.is_between(selection.t0_ns or 0, (selection.t1_ns or 2**63 - 1) - 1)
    if selection.limits_time and not inside.any():
        end_s = 0.0 if seconds.is_empty() else (int(seconds.max()) - recorded.info.t0_ns) / NS_PER_S + 1  # type: ignore[arg-type]
        raise UserError(f"nothing was recorded in that time: {recorded.name} ends after {end_s:.0f} s")


def _to_stdout(recorded: "RecordedSession", form: str, selection: "Selection") -> None:
    """The one file that a format makes. UserError where it makes several."""
    from tui.export.formats import export

    with TemporaryDirectory(prefix="dragstrip-") as folder:
        files = export(recorded, form, Path(folder) / "out", selection)
        if len(files) != 1:
            kinds = ", ".join(file.what for file in files)
            raise UserError(f"--to - takes one file, not {len(files)} ({kinds}): choose with --table or --lane")
        with files[0].path.open("rb") as file:
            copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _has_segment(recorded: "RecordedSession", number: int) -> bool:
    import polars as pl

    return recorded.scan("seconds").filter(pl.col("segment") == number).limit(1).collect().height > 0
