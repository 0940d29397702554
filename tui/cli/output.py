"""What a command says on its two streams."""

import sys


def say(text: str = "") -> None:
    """A line of result, on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """A line about what goes on or went wrong, on stderr, so that stdout stays free for results."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
