"""`dragstrip report`: one session's tables and verdicts, as Markdown or as one HTML page."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tui.cli.console import print_document, print_result, save_text
from tui.cli.options import file_flags, session_flag
from tui.cli.progress import Working

if TYPE_CHECKING:
    from tui.model.profile import Limits
    from tui.report.document import Document

HELP = "tables and verdicts of a session, in Markdown or as one HTML page"


def arguments(parser: argparse.ArgumentParser) -> None:
    session_flag(parser)
    form_flags(parser)
    goodput_flag(parser)
    parser.add_argument("--study-csv", metavar="FILE", help="also write the study table as CSV")


def form_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=("markdown", "html"), default="markdown", help="format (default markdown)"
    )
    file_flags(parser, "FILE", "where to write it, instead of stdout")


def goodput_flag(parser: argparse.ArgumentParser) -> None:
    """Limits other than those the session was run with."""
    parser.add_argument(
        "--goodput",
        nargs="+",
        metavar="LIMIT",
        help="limits in ms: ttft:500 tpot:30, or a preset (default: the session's [slo])",
    )


def limits_from(args: argparse.Namespace) -> "Limits | None":
    """The limits of `--goodput`; None without it."""
    from tui.model.profile import parse_limits

    return parse_limits(" ".join(args.goodput)) if args.goodput else None


def call(args: argparse.Namespace) -> int:
    from tui.cli.sessions import session_named
    from tui.recording.reader import open_session
    from tui.recording.tape import tables_of, token_gaps
    from tui.report.session import session_report
    from tui.report.study import study, study_csv

    with Working("reading the recording") as working:
        recorded = open_session(session_named(args.session))
        tables = tables_of(recorded)
        gaps = token_gaps(recorded)
        working.at("judging")
        document = session_report(tables, gaps, limits_from(args))
    write_document(args, document)
    if args.study_csv:
        save_text(Path(args.study_csv), study_csv(study(tables)), overwrite=args.overwrite)
    return 0


def write_document(args: argparse.Namespace, document: "Document") -> None:
    """Write a document in the form and to the place asked for."""
    from tui.report.document import markdown, page

    to = "" if args.to == "-" else args.to
    if not to and args.format == "markdown":
        print_document(document)
        return
    text = page(document) if args.format == "html" else markdown(document)
    if to:
        save_text(Path(args.to), text, overwrite=args.overwrite)
    else:
        print_result(text.rstrip("\n"))
