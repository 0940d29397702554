"""What a server reports, read as the type that it should have: None, or nothing, where it is something else."""

import math
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from tui.engines.metrics_page import exposed_samples
from tui.model.text import sanitize
from tui.net.http import Site
from tui.net.prometheus import Sample

_GGUF_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def finite(value: object) -> float | None:
    """A finite number, also from the text of a label. A whole number may be too large for a float: None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def integer(value: object) -> int | None:
    """A whole number, also from the text of a label."""
    number = finite(value)
    return int(number) if number is not None else None


def boolean(value: object) -> bool | None:
    """Yes or no, also from the text of a label."""
    words: dict[object, bool] = {"true": True, "false": False}
    return value if isinstance(value, bool) else words.get(value.lower()) if isinstance(value, str) else None


def negated(value: object) -> bool | None:
    return not value if isinstance(value, bool) else None


def text(value: object) -> str | None:
    """A setting's text; "auto" does not say what it was resolved to."""
    shown = sanitize(value, 40) if isinstance(value, str) else ""
    return shown if shown and shown not in ("auto", "None") else None


def last_part(path: object) -> str | None:
    """The last part of a path or of a repository's name."""
    return sanitize(PurePosixPath(path).name, 80) or None if isinstance(path, str) else None


def rows(value: object) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def table(parent: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """The object at that path of keys; empty when there is none."""
    for key in keys:
        inner = parent.get(key)
        parent = inner if isinstance(inner, dict) else {}
    return parent


async def metric_samples(site: Site, path: str, names: Sequence[str]) -> Mapping[str, list[Sample]]:
    """The samples of these metrics on a Prometheus page; none of a malformed page."""
    try:
        return exposed_samples((await site.ask(path)).body, names)
    except ValueError:
        return {}


async def first_samples(site: Site, path: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """For each metric the labels of its first sample, with its number as `value`; empty when it has none."""
    exposed = await metric_samples(site, path, names)
    return [{**exposed[name][0][0], "value": exposed[name][0][1]} if name in exposed else {} for name in names]


def gguf_weights(kind: object) -> dict[str, str | None]:
    """Quantisation and data type of a GGUF file's kind of weights: `BF16`, `all F32`, `Q4_K - Medium`."""
    name = sanitize(kind or "", 40)
    dtype = _GGUF_DTYPES.get(name.removeprefix("all "))
    return {"quantisation": "none" if dtype else name or None, "dtype": dtype}
