"""Percentiles of latencies with intervals, and the verdict on them.

By sectioning: requests of one moment share the server's state, so the rank of a value says too little. With a shared
state (lag-1 correlation 0.8 a second) order statistics cover a p95 in 53 % of runs at nominal 95 %, ten sections in
92 %.

Goodput: requests a second that met every limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from tui.model.metrics import PERCENTILES
from tui.stats.batches import BATCH_S, MIN_BATCHES, stretch
from tui.stats.distributions import Met, binomial_cdf, percentile, share_met, t_quantile, wilson, with_failures
from tui.stats.turns import MIN_PAIRS, USUAL_PAIR_S, Pair
from tui.stats.verdict import ALPHA, DELTA, Estimate, Verdict, Word, throughput_verdict, turns_verdict

SECTIONS: Final = 10
_SMALLEST_MS: Final = 1e-6  # the logarithm of a latency that a coarse clock called 0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Latencies:
    """One lane's values of one latency: when each request was sent, in seconds, rising, and the value in ms (n,)."""

    t_s: Floats
    ms: Floats
    failed: int = 0


@dataclass(frozen=True, slots=True)
class LatencyFigure:
    """One percentile of one lane. `value` is None while `missing` more values are needed; then so are the others."""

    value: float | None
    low: float | None
    high: float | None
    with_fail: float | None  # each failed request counts as infinitely late
    n: int
    failed: int
    missing: int


def latency_figure(latencies: Latencies, name: str, alpha: float = ALPHA) -> LatencyFigure:
    """The percentile `name` (p50, p95, p99, …) in ms with its interval at level 1 - alpha."""
    n, share, samples = latencies.ms.size, PERCENTILES[name].share, PERCENTILES[name].samples
    missing = max(samples - n, 0)
    late = with_failures(latencies.ms, share, latencies.failed) if n + latencies.failed >= samples else None
    value = percentile(latencies.ms, share)
    if missing or value is None:
        return LatencyFigure(None, None, None, late, n, latencies.failed, missing)
    if n < 2 * SECTIONS:
        return LatencyFigure(value, *order_interval(latencies.ms, share, alpha), late, n, latencies.failed, 0)
    sections = np.array([_log_percentile(part, share) for part in np.array_split(latencies.ms, SECTIONS)])
    width = t_quantile(1 - alpha / 2, SECTIONS - 1) * _standard_error(sections, _log(value))
    low, high = value * math.exp(-width), value * math.exp(width)
    return LatencyFigure(value, low, high, late, n, latencies.failed, 0)


def order_interval(ms: Floats, share: float, alpha: float = ALPHA) -> tuple[float, float]:
    """Two of the values (n,) that the percentile lies between at level 1 - alpha; for too few to cut into sections.

    By the binomial count of values under it, as in Hahn & Meeker, Statistical Intervals, 5.2.
    """
    ordered, n = np.sort(ms), ms.size
    low = max((rank for rank in range(1, n + 1) if binomial_cdf(rank - 1, n, share) <= alpha / 2), default=1)
    high = min((rank for rank in range(1, n + 1) if 1 - binomial_cdf(rank - 1, n, share) <= alpha / 2), default=n)
    return float(ordered[low - 1]), float(ordered[high - 1])


@dataclass(frozen=True, slots=True)
class _Sections:
    """The same part of the time of both lanes, cut at the same moments: what the interval of a ratio comes from."""

    ratios: Floats  # of each section, natural logarithms
    mean: float  # of the whole
    batches: int  # how often the answer could have changed until now
    batch_s: float
    requests: tuple[int, int]


def latency_verdict(
    figure: str, a: Latencies, b: Latencies, *, delta: float = DELTA, frozen: bool = False
) -> Verdict:
    """Compare a percentile (`ttft_p95`, `e2e_p50`, …) of the same span of both lanes; the lower lane is ahead.

    Both lanes are cut into the same ten spans of time, and the log ratios of the spans are paired. Unless `frozen`,
    the 95 % interval is stretched to hold at every look, as that of the throughput is.
    """
    if short := _too_few(figure, a, b):
        return short
    start_s, end_s = max(a.t_s[0], b.t_s[0]), min(a.t_s[-1], b.t_s[-1])
    span_s = float(end_s - start_s)
    if span_s < BATCH_S * MIN_BATCHES:
        missing_s = max(BATCH_S * MIN_BATCHES - span_s, 1.0)
        return Verdict(figure, "undecided", need_s=missing_s, reason=f"needs {BATCH_S * MIN_BATCHES} settled seconds")
    sections = _in_time(a, b, _share(figure), (start_s, end_s))
    return _judged(figure, sections, delta, frozen=frozen)


def latency_turns_verdict(
    figure: str,
    lanes: tuple[Latencies, Latencies],
    pairs: Sequence[Pair],
    *,
    delta: float = DELTA,
    frozen: bool = False,
) -> Verdict:
    """The same of lanes A and B that take turns: `pairs` says which turns are adjacent."""
    if short := _too_few(figure, *lanes):
        return short
    if len(pairs) < MIN_PAIRS:
        missing_s = (MIN_PAIRS - len(pairs)) * USUAL_PAIR_S
        reason = f"needs {MIN_PAIRS} turns of each lane side by side, has {len(pairs)}"
        return Verdict(figure, "undecided", need_s=missing_s, reason=reason)
    return _judged(figure, _in_turns(*lanes, _share(figure), pairs), delta, frozen=frozen)


def _share(figure: str) -> float:
    return PERCENTILES[figure.rsplit("_", maxsplit=1)[-1]].share


def _too_few(figure: str, a: Latencies, b: Latencies) -> Verdict | None:
    name = figure.rsplit("_", maxsplit=1)[-1]
    short = PERCENTILES[name].samples - min(a.ms.size, b.ms.size)
    return Verdict(figure, "undecided", reason=f"{name} needs {short} more requests") if short > 0 else None


def _judged(figure: str, spans: _Sections, delta: float, *, frozen: bool) -> Verdict:
    if not np.all(np.isfinite(spans.ratios)):
        need_s = spans.batches * spans.batch_s
        return Verdict(figure, "undecided", need_s=need_s, reason="a part of the time has no request")
    error, mean, batches = _standard_error(spans.ratios, spans.mean), spans.mean, spans.batches
    sections = spans.ratios.size

    def width_at(count: int, level: float) -> float:
        return error * math.sqrt(batches / count) * stretch(count, sections - 1, level, frozen)

    reason = f"{spans.requests[0]} and {spans.requests[1]} requests in {sections} spans"
    verdict = Estimate(mean, width_at, batches, spans.batch_s, error=error).verdict(figure, delta, reason)
    return replace(verdict, n_batches=sections)


def _in_time(a: Latencies, b: Latencies, share: float, span_s: tuple[float, float]) -> _Sections:
    """Ten spans of the time in which both lanes sent requests."""
    borders = np.linspace(*span_s, SECTIONS + 1)
    batches = int((span_s[1] - span_s[0]) // BATCH_S)
    ratios = _section_logs(a, borders, share) - _section_logs(b, borders, share)
    mean = _log_percentile(a.ms, share) - _log_percentile(b.ms, share)
    return _Sections(ratios, mean, batches, float(BATCH_S), (a.ms.size, b.ms.size))


def _in_turns(a: Latencies, b: Latencies, share: float, pairs: Sequence[Pair]) -> _Sections:
    """At most ten sections of whole pairs."""
    lanes = {"a": a, "b": b}
    parts: dict[str, list[Floats]] = {lane: [] for lane in lanes}
    for group in np.array_split(np.arange(len(pairs)), min(SECTIONS, len(pairs))):
        for lane, latencies in lanes.items():
            spans = [pairs[place].span_s["a" if lane == "a" else "b"] for place in group.tolist()]
            parts[lane].append(np.concatenate([_between(latencies, *span) for span in spans]))
    logs = {lane: np.array([_log_percentile(part, share) for part in latencies]) for lane, latencies in parts.items()}
    whole = {lane: np.concatenate(latencies) for lane, latencies in parts.items()}
    mean = _log_percentile(whole["a"], share) - _log_percentile(whole["b"], share)
    length_s = sum(pair.length_s for pair in pairs) / len(pairs)
    return _Sections(logs["a"] - logs["b"], mean, len(pairs), length_s, (whole["a"].size, whole["b"].size))


def _between(latencies: Latencies, start_s: float, end_s: float) -> Floats:
    first, end = np.searchsorted(latencies.t_s, (start_s, end_s)).tolist()
    inside: Floats = latencies.ms[first:end]
    return inside


def _section_logs(latencies: Latencies, borders: Floats, share: float) -> Floats:
    places = np.searchsorted(latencies.t_s, borders)
    places[-1] = np.searchsorted(latencies.t_s, borders[-1], side="right")
    parts = [latencies.ms[first:end] for first, end in pairwise(places.tolist())]
    return np.array([_log_percentile(part, share) for part in parts])


def _log_percentile(ms: Floats, share: float) -> float:
    value = percentile(ms, share)
    return math.nan if value is None else _log(value)


def _log(ms: float) -> float:
    return math.log(max(ms, _SMALLEST_MS))


def _standard_error(sections: Floats, centre: float) -> float:
    """Of the whole's percentile, from the sections' deviation from it (Nakayama 2014: sectioning, not batching)."""
    return float(np.sqrt(np.sum((sections - centre) ** 2) / (sections.size - 1) / sections.size))


SHARE: Final = 0.99  # of all requests, that is to be within the limits
DECIDES_ALONE: Final = 20  # good requests against none: 20 to 0 has a chance of 2 in a million between equals

Bools = NDArray[np.bool_]


def within_limits(ms: Mapping[str, Floats], limits_ms: Mapping[str, float]) -> Bools:
    """Which requests (n,) exceed no limit, by metric; nan, as the TPOT of an answer of one chunk, exceeds none."""
    exceeded = [ms[metric] > limit for metric, limit in limits_ms.items()]
    return ~np.logical_or.reduce(exceeded) if exceeded else np.ones(len(next(iter(ms.values()))), dtype=bool)


@dataclass(frozen=True, slots=True)
class Goodput:
    """How many of the requests of one lane met every limit."""

    good: int
    total: int  # ended well or failed; not those cut off by the end
    per_s: float
    share: float | None
    low: float
    high: float
    met: Met  # by `SHARE` of all requests, at 99 % confidence


def goodput(ends_s: Floats, total: int, at_s: Sequence[float]) -> Goodput:
    """Goodput of one lane of whose `total` requests the good ones ended at `ends_s`.

    The rate is of those that ended in the seconds that begin `at_s`: of a lane that takes turns its measured ones.
    """
    good = ends_s.size
    low, high = wilson(good, total)
    return Goodput(
        good=good,
        total=total,
        per_s=sum(counts_in(ends_s, at_s)) / len(at_s) if at_s else 0.0,
        share=good / total if total else None,
        low=low,
        high=high,
        met=share_met(total - good, total, SHARE),
    )


def counts_in(moments_s: Floats, at_s: Sequence[float]) -> list[float]:
    """How many of the moments lie in each of the seconds that begin `at_s`."""
    seconds = np.asarray(at_s)
    places = np.searchsorted(seconds, moments_s, side="right") - 1
    inside = places[(places >= 0) & (moments_s - seconds[np.maximum(places, 0)] < 1)] if seconds.size else places[:0]
    counts: list[float] = np.bincount(inside, minlength=seconds.size).astype(float).tolist()
    return counts


def goodput_verdict(
    a: Sequence[float],
    b: Sequence[float],
    *,
    delta: float = DELTA,
    frozen: bool = False,
    pairs: Sequence[Pair] | None = None,
) -> Verdict:
    """Compare the good requests of each settled second, as `throughput_verdict` does tokens.

    A lane of which no request met the limits has no ratio: the other is ahead once `DECIDES_ALONE` of its did.
    """
    seconds = max(len(a), len(b)) if pairs is not None else min(len(a), len(b))
    sums = {"a": sum(a[:seconds]), "b": sum(b[:seconds])}
    for lane, other, word in (("a", "b", "B ahead"), ("b", "a", "A ahead")):
        if sums[lane] == 0 and sums[other] >= DECIDES_ALONE:
            reason = (
                f"no request of lane {lane.upper()} met the limits, {sums[other]:.0f} of lane {other.upper()} did"
            )
            return Verdict("goodput", cast("Word", word), reason=reason)
    if pairs is not None:
        verdict = turns_verdict(a, b, pairs, delta=delta, frozen=frozen)
    else:
        verdict = throughput_verdict(a, b, delta=delta, frozen=frozen)
    verdict = replace(verdict, metric="goodput")
    if verdict.word == "not comparable":
        return replace(verdict, word="undecided", reason="too few requests met the limits")
    return verdict
