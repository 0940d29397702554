"""What a server reports, as gauges under our names and units or as the type that a setting should have.

None, or nothing, where it reports something else.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from tui.engines.base import Engine, Selector
from tui.model import gauges
from tui.model.text import sanitize
from tui.net.http import Site
from tui.net.prometheus import Sample, parse

_NEEDED = (gauges.RUNNING, gauges.WAITING)  # what a page must have to be worth its reading


def gauges_from(engine: Engine, page: bytes) -> dict[str, float]:
    """The gauges of a page, by `model.gauges` name: of each the first selector that has a sample.

    Ranks are joined by sum or mean. ValueError when the page is malformed.
    """
    if page.lstrip()[:1] == b"{":
        return engine.read_loads(page)
    samples = exposed_samples(page, _metrics(engine))
    values_by_gauge: dict[str, float] = {}
    for gauge, options in engine.gauges.items():
        for selector in options:
            values = _values(engine, selector, samples.get(selector.metric, ()))
            factor = _values(engine, Selector(selector.by), samples.get(selector.by, ())) if selector.by else [1.0]
            if values and factor:
                joined = sum(values) / (len(values) if gauge in engine.mean_of else 1)
                joined += sum(_values(engine, Selector(selector.plus), samples.get(selector.plus, ())))
                values_by_gauge[gauge] = joined * factor[0] * selector.scale
                break
    return values_by_gauge


def missing_gauges(engine: Engine, reported: Collection[str]) -> str:
    """What a page lacks although requests have ended, and what to do; empty: nothing."""
    missing = [name for name in _NEEDED if name in engine.gauges and name not in reported]
    if not missing:
        return ""
    if reported:
        what = f"the metrics of {engine.title} lack the gauges of {' and '.join(missing)} requests"
    else:
        what = f"there is no metric of {engine.title} at {engine.metrics_path}"
    return f"{what}: {engine.metrics_hint or 'is this its own page?'}"


def is_page_of(engine: Engine, page: bytes) -> bool:
    """Whether the page has a metric under the engine's own prefix."""
    try:
        return bool(exposed_samples(page, [name for name in _metrics(engine) if name.startswith(engine.kind)]))
    except ValueError:
        return False


def exposed_samples(page: bytes, names: Iterable[str]) -> dict[str, list[Sample]]:
    """The samples of these metrics. `:` and `_` after a prefix are the same: routers and collectors write either."""
    names = list(names)
    if samples := parse(page, names):
        return samples
    asked = {_other_spelling(name): name for name in names}
    return {asked[spelling]: samples for spelling, samples in parse(page, asked).items()}


def renamed_prefix(engine: Engine, page: bytes) -> str:
    """The engine's prefix as the page spells it, where that is not its own spelling."""
    names = [name for name in _metrics(engine) if name.startswith(engine.kind)]
    renamed = [] if parse(page, names) else list(parse(page, map(_other_spelling, names)))
    return renamed[0][: len(engine.kind) + 1] if renamed else ""


def _other_spelling(name: str) -> str:
    return name.replace(":", "_", 1) if ":" in name else name.replace("_", ":", 1)


def _metrics(engine: Engine) -> list[str]:
    selectors = [selector for options in engine.gauges.values() for selector in options]
    return list(dict.fromkeys(name for s in selectors for name in (s.metric, s.plus, s.by) if name))


def _values(engine: Engine, selector: Selector, samples: Sequence[Sample]) -> list[float]:
    """The finite values that a selector picks, one for each group of ranks that report the same."""
    by_group: dict[tuple[tuple[str, str], ...], tuple[tuple[str, ...], float]] = {}
    for labels, exposed in samples:
        if any(labels.get(name) not in allowed for name, allowed in selector.where.items()):
            continue
        value = _value(selector, labels, exposed)
        if not math.isfinite(value):
            continue
        # The process id is no dimension: a restarted worker appears next to its predecessor.
        group = tuple((n, v) for n, v in sorted(labels.items()) if n not in engine.rank_labels and n != "pid")
        rank = tuple(labels.get(name, "").zfill(4) for name in engine.rank_labels)
        if group not in by_group or rank <= by_group[group][0]:
            by_group[group] = rank, value
    return [value for _, value in by_group.values()]


def _value(selector: Selector, labels: Mapping[str, str], exposed: float) -> float:
    if not selector.label:
        return exposed
    try:
        return float(labels.get(selector.label, "")) * float(labels[selector.times] if selector.times else 1)
    except (KeyError, ValueError):
        return math.nan  # vLLM writes "None" where it does not know


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
