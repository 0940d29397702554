"""Percentiles of latencies with intervals, and the verdict on them.

Requests of one moment share the server's state, so the rank of a value says too little: with a shared state (lag-1
correlation 0.8 a second) order statistics cover a p95 in 53 % of runs at nominal 95 %. One lane's interval is by
sectioning (92 %); a verdict's is from how the share of requests under the percentile varies between batches of time.

Goodput: requests a second that met every limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from tui.model.metrics import PERCENTILES
from tui.stats.batches import (
    BATCH_S,
    EARLY_LOOKS_S,
    EARLY_SHARE,
    MIN_BATCHES,
    looked_at,
    stepped,
    stretch,
    variance_of_mean,
)
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


# Before there are four batches of 20 s: Student's t of batches of 5 s and, because these still correlate, half as
# much again. By simulation equal lanes get a winner from these looks in 0.5 % of runs at most, also where requests
# share a state that correlates by 0.8 from second to second.
_EARLY_BATCH_S: Final = 5
_EARLY_STRETCH: Final = 1.5
_MIDDLE_SHARE: Final = 0.2  # how far from a median its density is taken


def latency_verdict(
    figure: str, a: Latencies, b: Latencies, *, delta: float = DELTA, frozen: bool = False
) -> Verdict:
    """Compare a percentile (`ttft_p95`, …) of the same span of both lanes; the lower lane is ahead.

    Each lane's percentile is as uncertain as the share of requests under it, which varies from second to second, over
    the density there (Bahadur 1966). Unless `frozen`, the interval is stretched to hold at every look, as that of the
    throughput is.
    """
    if short := _too_few(figure, a, b):
        return short
    start_s, end_s = max(a.t_s[0], b.t_s[0]), min(a.t_s[-1], b.t_s[-1])
    span_s = int(end_s - start_s)
    seconds = span_s if frozen and span_s >= EARLY_LOOKS_S[0] else looked_at(span_s)
    if not seconds:
        missing_s = max(EARLY_LOOKS_S[0] - float(end_s - start_s), 1.0)
        return Verdict(figure, "undecided", need_s=missing_s, reason=f"needs {EARLY_LOOKS_S[0]} settled seconds")
    lanes = [_between(one, start_s, start_s + seconds) for one in (a, b)]
    if short := _too_few(figure, *lanes):
        return short
    gap_s = max(BATCH_S, seconds // SECTIONS)
    if any(np.diff(one.t_s, prepend=start_s, append=start_s + seconds).max() > gap_s for one in lanes):
        return Verdict(figure, "undecided", need_s=float(seconds), reason="a part of the time has no request")
    tails = [_Tail.of(one, start_s, seconds, _share(figure)) for one in lanes]
    early = seconds < BATCH_S * MIN_BATCHES
    batches, alpha = max(seconds // BATCH_S, 1), ALPHA * EARLY_SHARE if early and not frozen else ALPHA

    def width_at(count: int, level: float) -> float:
        return math.hypot(*(tail.half_width(count, level, frozen=frozen) for tail in tails))

    estimate = Estimate(
        tails[0].value - tails[1].value,
        width_at,
        batches,
        None if early else float(BATCH_S),
        alpha,
        math.hypot(*(tail.error * tail.slope(tail.error) for tail in tails)),
    )
    reason = f"{lanes[0].ms.size} and {lanes[1].ms.size} requests in {seconds} s"
    return replace(estimate.verdict(figure, delta, reason), level=1 - alpha)


@dataclass(frozen=True, slots=True)
class _Tail:
    """A percentile of one lane over some seconds, as a natural logarithm, and what says how uncertain it is."""

    ordered: Floats  # logarithms of the values (n,), rising
    share: float
    seconds: int
    error: float  # standard error of the share of requests under the percentile
    dof: float  # degrees of freedom with which it is known

    @classmethod
    def of(cls, latencies: Latencies, start_s: float, seconds: int, share: float) -> _Tail:
        ordered = np.sort(np.log(np.maximum(latencies.ms, _SMALLEST_MS)))
        value_ms = math.exp(_log_percentile(latencies.ms, share))
        under = (latencies.ms <= value_ms * (1 + _ROUNDING)) - share
        second = np.minimum((latencies.t_s - start_s).astype(np.int64), seconds - 1)
        noise = np.bincount(second, weights=under, minlength=seconds) * seconds / ordered.size
        variance, dof = _variance(noise - noise.mean())
        return cls(ordered, share, seconds, math.sqrt(variance), dof)

    @property
    def value(self) -> float:
        return self._at(self.share)

    def half_width(self, count: int, level: float, *, frozen: bool) -> float:
        """Of the interval at 1 - level once `count` batches of 20 s are measured, noisy as those that are."""
        if self.seconds < BATCH_S * MIN_BATCHES:
            stretched, more = _EARLY_STRETCH * t_quantile(1 - level / 2, self.dof), 1.0
        else:
            more = count / (self.seconds // BATCH_S)
            stretched = stretch(count, stepped(self.dof * more), level, frozen)
        off = stretched * self.error / math.sqrt(more)
        return off * self.slope(off)

    def slope(self, off: float) -> float:
        """By how much the logarithm rises with the share: one over the density, taken `off` to each side."""
        most = min(0.8 * self.share, 0.8 * (1 - self.share), _MIDDLE_SHARE)
        reach = min(max(off, 2 / self.ordered.size), most)
        return (self._at(self.share + reach) - self._at(self.share - reach)) / (2 * reach)

    def _at(self, share: float) -> float:
        return float(self.ordered[max(math.ceil(share * self.ordered.size - _ROUNDING), 1) - 1])


_ROUNDING: Final = 1e-9


def _variance(noise: Floats) -> tuple[float, float]:
    """Of the mean of seconds (n,) of mean 0, and with how many degrees of freedom it is known."""
    if noise.size >= BATCH_S * MIN_BATCHES:
        return variance_of_mean(noise)
    count = noise.size // _EARLY_BATCH_S
    means = noise[-count * _EARLY_BATCH_S :].reshape(count, _EARLY_BATCH_S).mean(axis=1)
    return float(np.sum(means**2)) / (count - 1) / count, count - 1.0


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
    """What is said while one lane has too few requests: how many more, and how long these take as they come."""
    fewer = min(a, b, key=lambda one: one.ms.size)
    have, needed = fewer.ms.size, PERCENTILES[figure.rsplit("_", maxsplit=1)[-1]].samples
    if have >= needed:
        return None
    need_s = float(fewer.t_s[-1] - fewer.t_s[0]) * (needed - have) / (have - 1) if have > 1 else None
    reason = f"needs {needed - have} more request{'' if needed - have == 1 else 's'}"
    return Verdict(figure, "undecided", need_s=need_s, reason=reason)


def _judged(figure: str, spans: _Sections, delta: float, *, frozen: bool) -> Verdict:
    if not np.all(np.isfinite(spans.ratios)):  # a turn without a request
        need_s = spans.batches * spans.batch_s
        return Verdict(figure, "undecided", need_s=need_s, reason="a part of the time has no request")
    error, mean, batches = _standard_error(spans.ratios, spans.mean), spans.mean, spans.batches
    sections = spans.ratios.size

    def width_at(count: int, level: float) -> float:
        return error * math.sqrt(batches / count) * stretch(count, sections - 1, level, frozen)

    reason = f"{spans.requests[0]} and {spans.requests[1]} requests in {sections} spans"
    verdict = Estimate(mean, width_at, batches, spans.batch_s, error=error).verdict(figure, delta, reason)
    return replace(verdict, n_batches=sections)


def _in_turns(a: Latencies, b: Latencies, share: float, pairs: Sequence[Pair]) -> _Sections:
    """At most ten sections of whole pairs."""
    lanes = {"a": a, "b": b}
    parts: dict[str, list[Floats]] = {lane: [] for lane in lanes}
    for group in np.array_split(np.arange(len(pairs)), min(SECTIONS, len(pairs))):
        for lane, latencies in lanes.items():
            spans = [pairs[place].span_s["a" if lane == "a" else "b"] for place in group.tolist()]
            parts[lane].append(np.concatenate([_between(latencies, *span).ms for span in spans]))
    logs = {lane: np.array([_log_percentile(part, share) for part in latencies]) for lane, latencies in parts.items()}
    whole = {lane: np.concatenate(latencies) for lane, latencies in parts.items()}
    mean = _log_percentile(whole["a"], share) - _log_percentile(whole["b"], share)
    length_s = sum(pair.length_s for pair in pairs) / len(pairs)
    return _Sections(logs["a"] - logs["b"], mean, len(pairs), length_s, (whole["a"].size, whole["b"].size))


def _between(latencies: Latencies, start_s: float, end_s: float) -> Latencies:
    first, end = np.searchsorted(latencies.t_s, (start_s, end_s)).tolist()
    return Latencies(latencies.t_s[first:end], latencies.ms[first:end])


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
