"""An engine's metrics become gauges under our names and units."""

import math
from collections.abc import Mapping, Sequence

from tui.engines.base import Engine, Selector
from tui.telemetry.prometheus import Sample, parse


def read_page(engine: Engine, page: bytes) -> dict[str, float]:
    """The gauges of a metrics page, by `records.gauges` name. ValueError when the page is malformed."""
    selectors = [selector for options in engine.gauges.values() for selector in options]
    names = dict.fromkeys(
        name for selector in selectors for name in (selector.metric, selector.plus, selector.by) if name
    )
    return read_samples(engine, parse(page, names))


def read_samples(engine: Engine, samples: Mapping[str, Sequence[Sample]]) -> dict[str, float]:
    """Of each gauge the first selector that finds a sample, joined over ranks by sum or mean."""
    gauges: dict[str, float] = {}
    for gauge, options in engine.gauges.items():
        for selector in options:
            values = _values(engine, selector, samples.get(selector.metric, ()))
            factor = _values(engine, Selector(selector.by), samples.get(selector.by, ())) if selector.by else [1.0]
            if values and factor:
                joined = sum(values) / (len(values) if gauge in engine.mean_of else 1)
                joined += sum(_values(engine, Selector(selector.plus), samples.get(selector.plus, ())))
                gauges[gauge] = joined * factor[0] * selector.scale
                break
    return gauges


def _values(engine: Engine, selector: Selector, samples: Sequence[Sample]) -> list[float]:
    """The finite values that a selector picks, one for each group of ranks that tell the same."""
    of_group: dict[tuple[tuple[str, str], ...], tuple[tuple[str, ...], float]] = {}
    for labels, exposed in samples:
        if any(labels.get(name) not in allowed for name, allowed in selector.where.items()):
            continue
        value = _value(selector, labels, exposed)
        if not math.isfinite(value):
            continue
        # The process id is no dimension: a restarted worker appears beside its predecessor.
        group = tuple((n, v) for n, v in sorted(labels.items()) if n not in engine.rank_labels and n != "pid")
        rank = tuple(labels.get(name, "").zfill(4) for name in engine.rank_labels)
        if group not in of_group or rank <= of_group[group][0]:
            of_group[group] = rank, value
    return [value for _, value in of_group.values()]


def _value(selector: Selector, labels: Mapping[str, str], exposed: float) -> float:
    if not selector.label:
        return exposed
    try:
        return float(labels.get(selector.label, "")) * float(labels[selector.times] if selector.times else 1)
    except (KeyError, ValueError):
        return math.nan  # vLLM writes "None" where it does not know
