"""`dragstrip data`: what a traffic file is, before anything is sent."""

from __future__ import annotations

import argparse
from pathlib import Path

from tui.cli.console import print_result

HELP = "say what a file of prompts, a trace or conversations holds"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="JSON lines, a JSON array, CSV, or a text with a prompt a line")
    parser.add_argument(
        "--data-form", metavar="FORM", default="", help="its form, where the first record does not tell"
    )
    parser.add_argument("--context", type=int, default=0, metavar="N", help="count the requests longer than N tokens")
    parser.add_argument("--json", action="store_true", help="print JSON")


def call(args: argparse.Namespace) -> int:
    """Print what the file holds; never a text of it."""
    import msgspec

    from tui.report.traffic import summarize_traffic, traffic_lines
    from tui.traffic.index import make_index

    index = make_index(Path(args.file), args.data_form)
    try:
        summary = summarize_traffic(index, args.context)
    finally:
        index.remove()
    if args.json:
        print_result(msgspec.json.format(msgspec.json.encode(summary), indent=2).decode())
    else:
        for line in traffic_lines(summary, args.context):
            print_result(line)
    return 0
