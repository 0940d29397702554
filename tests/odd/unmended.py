"""What is not right yet: the only list. Whoever mends a behaviour removes its entry, and the test must pass then."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pytest


class Named(Protocol):
    @property
    def name(self) -> str: ...


UNMENDED: Mapping[str, Mapping[str, str]] = {
    "doctor": {
        "whole answer in one write": "doctor says nothing about it",
        "all but the first token held back": "doctor says nothing about it",
        "usage far above what came": "doctor says nothing about it",
        "usage far below what came": "doctor says nothing about it",
        "hidden thoughts in the count": "doctor says nothing about it",
        "count that holds the prompt": "doctor says nothing about it",
    },
    "figures": {
        "whole answer in one write": "the figure is given though the answer does not support it",
        "all but the first token held back": "the figure is given though the answer does not support it",
        "usage far above what came": "the figure is given though the answer does not support it",
        "usage far below what came": "the figure is given though the answer does not support it",
        "hidden thoughts in the count": "the figure is given though the answer does not support it",
        "count that holds the prompt": "the figure is given though the answer does not support it",
        "chunks of 3, 3, 3, 3, 2 tokens": "what the count adds goes to the last chunk",
        "chunks of 8 tokens": "what the count adds goes to the last chunk",
        "chunks of 5, 4, 6 tokens": "what the count adds goes to the last chunk",
        "chunks of 1, 7, 7, 7 tokens": "what the count adds goes to the last chunk",
        "chunks of 4 tokens of one byte": "what the count adds goes to the last chunk",
        "count in the finishing event": "what the count adds goes to the last chunk",
    },
    "live": {
        "chunks of 3, 3, 3, 3, 2 tokens": "what the count adds goes to the last chunk",
        "chunks of 8 tokens": "what the count adds goes to the last chunk",
        "chunks of 5, 4, 6 tokens": "what the count adds goes to the last chunk",
        "chunks of 1, 7, 7, 7 tokens": "what the count adds goes to the last chunk",
        "chunks of 4 tokens of one byte": "what the count adds goes to the last chunk",
        "count in the finishing event": "what the count adds goes to the last chunk",
    },
}


def cases(test: str, servers: Sequence[Named]) -> list[Any]:
    """Parameters of a test, those that are not mended marked as expected to fail."""
    return [pytest.param(each, id=each.name, marks=marks(test, each.name)) for each in servers]


def marks(test: str, case: str) -> list[pytest.MarkDecorator]:
    reason = UNMENDED.get(test, {}).get(case)
    return [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
