"""One value of a setting, as its type says, or None where a server wrote something else there."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from tui.model.text import sanitize
from tui.telemetry.server import finite

Told = dict[str, Any]  # by the names of `Settings`; None: it does not say

# What a GGUF file calls weights that are not quantised.
WHOLE = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def rows(value: object) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def table(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object below a key; empty when there is none."""
    found = parent.get(key)
    return found if isinstance(found, dict) else {}


def whole(value: object) -> int | None:
    """A whole number, also from the text of a label."""
    number = finite(value)
    return int(number) if number is not None else None


def flag(value: object) -> bool | None:
    """Yes or no, also from the text of a label."""
    words: dict[object, bool] = {"true": True, "false": False}
    return value if isinstance(value, bool) else words.get(value.lower()) if isinstance(value, str) else None


def opposite(value: object) -> bool | None:
    """The other of yes and no."""
    return not value if isinstance(value, bool) else None


def text(value: object) -> str | None:
    """A setting's text; "auto" says nothing about what it was resolved to."""
    found = sanitize(value, 40) if isinstance(value, str) else ""
    return found if found and found not in ("auto", "None") else None


def last_part(path: object) -> str | None:
    """The last part of a path or of a repository's name."""
    return sanitize(PurePosixPath(path).name, 80) or None if isinstance(path, str) else None
