"""Summaries of many values as other benchmark tools compute them.

vLLM, SGLang: numpy's linear percentiles and the population's deviation. GuideLLM: inverse-CDF percentiles without
interpolation, weighted, and rates weighted by time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NS = 1e9

GUIDELLM_PERCENTS = {
    "p001": 0.001, "p01": 0.01, "p05": 0.05, "p10": 0.1, "p25": 0.25, "p50": 0.5,
    "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999,
}  # fmt: skip
MERGE_S = 1e-4  # events closer than this are one to GuideLLM
_TINY = 1e-6


def summaries_ms(latencies_s: Mapping[str, Floats], percents: Sequence[int]) -> dict[str, float]:
    """`mean_NAME_ms`, `median_NAME_ms`, `std_NAME_ms`, `pNN_NAME_ms`; all 0 without values, as vLLM and SGLang do."""
    summaries: dict[str, float] = {}
    for name, values_s in latencies_s.items():
        ms = values_s * 1000 if values_s.size else np.zeros(1)
        statistics = {"mean": ms.mean(), "median": np.median(ms), "std": ms.std()}
        statistics |= {f"p{percent}": np.percentile(ms, percent) for percent in percents}
        summaries |= {f"{statistic}_{name}_ms": float(value) for statistic, value in statistics.items()}
    return summaries


def busiest_second(moments_ns: Ints, start_ns: int) -> float:
    """The most chunks that arrived in one second counted from `start_ns`."""
    return float(np.bincount((moments_ns - start_ns) // int(NS)).max()) if moments_ns.size else 0.0


def most_at_once(starts_ns: Floats, latencies_s: Floats) -> int:
    """The most requests that touched one second counted from the first start: more than ever ran at once."""
    if not starts_ns.size:
        return 0
    since_s = (starts_ns - starts_ns.min()) / NS
    change = np.zeros(int((since_s + latencies_s).max()) + 2, dtype=np.int64)
    np.add.at(change, since_s.astype(np.int64), 1)
    np.add.at(change, (since_s + latencies_s).astype(np.int64) + 1, -1)
    return int(np.cumsum(change).max())


def or_zero(values: Floats) -> list[float]:
    """With 0 for nan, as these tools write what never came."""
    return np.nan_to_num(values).tolist()  # type: ignore[no-any-return]


def tpot_or_zero_s(latency_s: Floats, ttft_s: Floats, tokens: Ints) -> Floats:
    """TPOT of every request; 0 for one of a single token, which therefore meets any limit on it."""
    return np.where(tokens > 1, (latency_s - ttft_s) / np.maximum(tokens - 1, 1), 0.0)


def tpot_s(latency_s: Floats, ttft_s: Floats, tokens: Ints) -> Floats:
    """`(latency - ttft) / (n - 1)` of requests with more than one token: vLLM's and SGLang's TPOT."""
    return tpot_or_zero_s(latency_s, ttft_s, tokens)[tokens > 1]


def distribution(values: Floats, weights: Floats | None = None, count: int | None = None) -> dict[str, Any]:
    """GuideLLM's summary of values, each as often as its weight; all 0 without any."""
    weights = np.ones(values.size) if weights is None else weights
    if count is None:
        count = round(float(weights.sum()))
    values, weights = _distinct(values, weights)
    if not values.size:
        return _summary(np.zeros(1), np.ones(1), count)
    return _summary(values, weights / weights.sum(), count)


def rates(times_s: Floats, weights: Floats, start_s: float, end_s: float) -> dict[str, Any]:
    """GuideLLM's events a second: each event over half the way to its neighbours, weighted by that time."""
    inside = (times_s >= start_s) & (times_s <= end_s)
    times_s = np.concatenate(([start_s], times_s[inside], [end_s]))
    times_s, weights = _merged(times_s, np.concatenate(([0.0], weights[inside], [0.0])))
    if times_s.size <= 1:
        return distribution(np.empty(0), count=times_s.size)
    middles = (times_s[1:] + times_s[:-1]) / 2
    edges = np.concatenate((times_s[:1], middles, times_s[-1:]))
    lengths = np.diff(edges)
    lengths[-1] = max(lengths[-1], _TINY)
    return distribution(weights / lengths, lengths, round(float(weights.sum())))


def concurrency(starts_s: Floats, ends_s: Floats, start_s: float, end_s: float) -> dict[str, Any]:
    """GuideLLM's number of open requests, weighted by time."""
    changes = np.concatenate((np.ones(starts_s.size), -np.ones(ends_s.size)))
    times_s, changes = _merged(np.concatenate((starts_s, ends_s)), changes)
    if not times_s.size:
        return distribution(np.empty(0))
    first = np.searchsorted(times_s, start_s, side="left")
    last = np.searchsorted(times_s, end_s, side="right")
    times_s = np.concatenate(([start_s], times_s[first:last], [end_s]))
    changes = np.concatenate(([changes[:first].sum()], changes[first:last], [0.0]))
    open_now = np.clip(np.cumsum(changes), 0, None)
    return distribution(open_now[:-1], np.clip(np.diff(times_s), 0, None), starts_s.size)


def _summary(values: Floats, share: Floats, count: int) -> dict[str, Any]:
    """Of rising values, each with its share of the weight."""
    at = np.searchsorted(np.cumsum(share), list(GUIDELLM_PERCENTS.values()), side="left")
    at = np.minimum(at, values.size - 1)
    percentiles = dict(zip(GUIDELLM_PERCENTS, values[at].tolist(), strict=True))
    mean = float((values * share).sum())
    variance = float(((values - mean) ** 2 * share).sum())
    return {
        "mean": mean,
        "median": percentiles["p50"],
        "mode": float(values[np.argmax(share)]),
        "variance": variance,
        "std_dev": variance**0.5,
        "min": float(values[0]),
        "max": float(values[-1]),
        "count": count,
        "total_sum": mean * count,
        "percentiles": percentiles,
        "pdf": None,
    }


def _distinct(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Rising values, each once, with the sum of its weights; those that weigh nothing are left out."""
    distinct, place = np.unique(values, return_inverse=True)
    summed = np.bincount(place, weights, distinct.size).astype(np.float64)
    weighs = summed > 0
    if distinct.size and summed[weighs].sum() <= _TINY:
        return distinct[weighs], np.ones(int(weighs.sum()))
    return distinct[weighs], summed[weighs]


def _merged(times_s: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Rising times with summed weights, where a time takes in all that follow it within MERGE_S."""
    times_s, place = np.unique(times_s, return_inverse=True)
    weights = np.bincount(place, weights, times_s.size).astype(np.float64)
    ends = np.searchsorted(times_s, times_s + MERGE_S, side="right")
    starts = []
    at = 0
    while at < times_s.size:
        starts.append(at)
        at = int(ends[at])
    return times_s[starts], np.add.reduceat(weights, starts) if starts else weights
