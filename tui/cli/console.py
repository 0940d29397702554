"""What a command says on its two streams."""

import errno
import sys
from typing import Final

# Escape codes would steer the terminal, and bidi overrides turn a line around: both may stand in what a server or a
# recording says, which most callers have cleaned before.
_NOT_TOLD: Final = dict.fromkeys(
    [*range(9), *range(11, 32), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)


def print_result(text: str = "") -> None:
    """A line of result, on stdout.

    BrokenPipeError when nobody can read it any more, whether a pipe was closed or the terminal is gone (EIO).
    """
    try:
        sys.stdout.write(text.translate(_NOT_TOLD) + "\n")
        sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.EIO:
            raise BrokenPipeError(errno.EPIPE, "the terminal is gone") from error
        raise


def print_notice(text: str) -> None:
    """A line about what goes on or went wrong, on stderr, so that stdout stays free for results.

    Where nobody can read it, it is lost: what was going on is more than the sentence about it.
    """
    try:
        sys.stderr.write(text.translate(_NOT_TOLD) + "\n")
        sys.stderr.flush()
    except OSError as error:
        if error.errno not in {errno.EPIPE, errno.EIO}:
            raise
