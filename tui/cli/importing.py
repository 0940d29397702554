"""`dragstrip import`: another tool's result as a session."""

import argparse
from pathlib import Path

from tui import __version__
from tui.cli.output import complain, say

HELP = "bring a result of `vllm bench serve` or of SGLang's benchmark in as a session"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which file."""
    parser.add_argument("file", help="what --save-result --save-detailed or --output-file --output-details wrote")


def call(args: argparse.Namespace) -> int:
    """Name each session made, and on stderr what its file does not tell."""
    from tui.recording.foreign.importing import import_result, not_known

    for folder in import_result(Path(args.file), __version__):
        say(folder.name)
        for what in not_known(folder):
            complain(f"not known: {what}")
    return 0
