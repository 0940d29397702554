"""`dragstrip compare`: several sessions, each one sample; a condition as a gate for CI."""

import argparse

from tui.cli import report
from tui.cli.console import print_notice
from tui.cli.progress import Working
from tui.model.text import UserError

HELP = "compare A and B over several sessions; --fail-if sets the exit code, for CI"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sessions", nargs="+", help="folders or names of sessions")
    report.form_flags(parser)
    report.goodput_flag(parser)
    parser.add_argument(
        "--fail-if",
        metavar="CONDITION",
        help='exit with 1 when this certainly holds: "b.ttft_p95 > a.ttft_p95 * 1.05"',
    )


def call(args: argparse.Namespace) -> int:
    """Write the report; 1 when the condition holds, its uncertainty taken into account."""
    from tui.cli.sessions import session_named
    from tui.judge.conditions import fail_if, parse
    from tui.judge.sessions import compare, measured
    from tui.recording.reader import open_session
    from tui.recording.tape import tables_of
    from tui.report.comparison import comparison_report

    folders = [session_named(name).resolve() for name in args.sessions]
    for number, folder in enumerate(folders):
        if folder in folders[:number]:
            raise UserError(f"{args.sessions[number]} is given twice: each session counts once")
    if args.fail_if is not None:
        parse(args.fail_if)  # refuse a mistake before the work
    limits = report.limits_from(args)
    with Working("reading the recordings"):
        tables = [tables_of(open_session(folder)) for folder in folders]
        figures = [measured(table, limits=limits) for table in tables]
        condition = fail_if(args.fail_if, figures) if args.fail_if else None
        document = comparison_report([table.session for table in tables], compare(tables, limits), condition)
    report.write_document(args, document)
    if condition is not None:
        why = f" (not comparable, because {condition.obstacle})" if condition.obstacle else ""
        note = f" ({condition.note})" if condition.note else ""
        print_notice(f"{args.fail_if}: {condition.holds}{why}{note}")
    return 1 if condition is not None and condition.holds == "yes" else 0
