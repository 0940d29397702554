"""The command line: one module a command, imported light; what a command needs it imports when it runs."""

import argparse
import os
import sys
from collections.abc import Sequence

from tui import __version__
from tui.cli import (
    compare,
    demo,
    doctor,
    export,
    importing,
    launch,
    profiles,
    report,
    run,
    sessions,
    simulate,
    watch,
)
from tui.cli.output import complain
from tui.records.errors import UserError

COMMANDS = (demo, watch, run, doctor, launch, sessions, report, compare, export, importing, profiles, simulate)
INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    """All commands and their flags."""
    top = argparse.ArgumentParser(
        prog="dragstrip",
        description="Two LLM inference servers, one clock, one list of requests: head to head in the terminal.",
    )
    top.add_argument("--version", action="version", version=f"dragstrip {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        sub = commands.add_parser(command.NAME, help=command.HELP, description=command.HELP)
        command.arguments(sub)
        sub.set_defaults(call=command.call)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 a lane failed or the comparison was refused, 2 bad usage or profile, 130 interrupted."""
    args = parser().parse_args(argv)
    try:
        return int(args.call(args))
    except UserError as error:
        complain(f"dragstrip: {error}")
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output is gone: a closed pager, `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
