"""What a command says on its two streams."""

import errno
import sys


def say(text: str = "") -> None:
    """A line of result, on stdout.

    BrokenPipeError when nobody can read it any more, whether a pipe was closed or the terminal is gone (EIO).
    """
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.EIO:
            raise BrokenPipeError(errno.EPIPE, "the terminal is gone") from error
        raise


def complain(text: str) -> None:
    """A line about what goes on or went wrong, on stderr, so that stdout stays free for results.

    Where nobody can read it, it is lost: what was going on is more than the sentence about it.
    """
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except OSError as error:
        if error.errno not in {errno.EPIPE, errno.EIO}:
            raise
