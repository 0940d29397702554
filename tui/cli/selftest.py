"""`dragstrip selftest`: client overhead and trusted load."""

import argparse
import asyncio

from tui.cli.console import print_result
from tui.cli.progress import Working
from tui.model.text import UserError

HELP = "measure client overhead on this machine, and the load up to which its figures can be trusted"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--step",
        type=float,
        default=3.0,
        metavar="SECONDS",
        help="length of each of the three measurements (default 3)",
    )


def call(args: argparse.Namespace) -> int:
    """Measure and print; 1 when this machine is too busy for any figure to be trusted."""
    if not 1 <= args.step <= 600:
        raise UserError(f"--step is {args.step:g}, but must lie between 1 and 600 seconds")
    from tui.load.accuracy import measure

    with Working("starting") as working:
        accuracy = asyncio.run(measure(args.step, working.at))
    for line in accuracy.lines():
        print_result(line)
    return 0 if accuracy.trusted_tokens_s else 1
