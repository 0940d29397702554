"""What is not right yet: the only list. Whoever mends a behaviour removes its entry, and the test must pass then."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pytest


class Named(Protocol):
    @property
    def name(self) -> str: ...


UNMENDED: Mapping[str, Mapping[str, str]] = {}


def cases(test: str, servers: Sequence[Named]) -> list[Any]:
    """Parameters of a test, those that are not mended marked as expected to fail."""
    return [pytest.param(each, id=each.name, marks=marks(test, each.name)) for each in servers]


def marks(test: str, case: str) -> list[pytest.MarkDecorator]:
    reason = UNMENDED.get(test, {}).get(case)
    return [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
