"""`dragstrip export`: a recorded session in other file formats."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tui.cli.console import print_result
from tui.cli.options import session_flag
from tui.cli.progress import Working
from tui.model.rows import TABLES
from tui.model.text import UserError
from tui.ui.widgets.numbers import counted, size

if TYPE_CHECKING:
    from tui.recording.reader import RecordedSession

HELP = "write a recorded session as CSV, Parquet, JSON and other formats"
# Written out, because the formats themselves import polars and help must not wait for it.
FORMATS = "bundle, csv, parquet, json, ndjson, vllm, sglang, guidellm, aiperf, markdown, html, svg, png"


def arguments(parser: argparse.ArgumentParser) -> None:
    session_flag(parser)
    parser.add_argument("--format", default="csv", metavar="FORMAT", help=f"{FORMATS} (csv)")
    parser.add_argument("--to", metavar="PATH", help="folder or file to write (default ./NAME-FORMAT)")
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
    selection = Selection(tuple(args.table or TABLES), t0_ns, t1_ns, args.lane, args.segment, args.redact)
    target = Path(args.to or f"{recorded.name}-{args.format}")
    with Working("reading") as working:
        files = export(recorded, args.format, target, selection, working.share)
    for file in files:
        print_result(f"{file.path}  {file.what}, {counted(file.rows, 'row')}, {size(file.size_bytes)}")
    for missing in recorded.missing:
        print_result(f"missing: {missing}")
    return 0


def _has_segment(recorded: "RecordedSession", number: int) -> bool:
    import polars as pl

    return recorded.scan("seconds").filter(pl.col("segment") == number).limit(1).collect().height > 0
