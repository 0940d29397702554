"""Faults on demand, to test what a client makes of them: POST /_simulator/fault {"kind": …, "count": n}."""

from collections import deque
from typing import Literal, get_args

Fault = Literal[
    "http_429",
    "http_503",
    "error_in_stream",  # HTTP 200, some tokens, an error object, the end mark all the same
    "cut",  # the connection closes in mid-stream
    "reset",  # the connection is reset in mid-stream
    "stall",  # tokens stop and the connection stays open
    "no_stream",  # answers with one JSON object though a stream was asked for
    "no_usage",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
TOKENS_BEFORE = 3  # a fault in mid-stream comes after so many


class Faults:
    """The faults still to come, each for one request."""

    def __init__(self) -> None:
        self._queue: deque[Fault] = deque()

    def add(self, kind: Fault, count: int) -> None:
        """The next `count` requests have it."""
        self._queue.extend([kind] * count)

    def clear(self) -> None:
        """No request to come has any."""
        self._queue.clear()

    def take(self) -> Fault | None:
        """The next request's fault, if it has one."""
        return self._queue.popleft() if self._queue else None
