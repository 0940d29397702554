"""Quantiles of Student's t and of the normal distribution: the one thing that scipy would be needed for.

The import of scipy.stats costs half a second and 40 MB of memory; the tests check these few lines against tables.
Also intervals of shares of requests, and whether a limit is met.

Percentiles of values, by nearest rank: each is a value that was measured.

Nearest rank and not interpolation, so that a failed request can count as infinitely late (interpolating towards
infinity gives nothing), and so that a percentile of weighted gaps means the same as that of the gaps written out.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tui.model.metrics import PERCENTILES, SHOWN_PERCENTILES

_TINY = 1e-300


def normal_quantile(share: float) -> float:
    """The value that a standard normal variable stays under with probability `share` (0 to 1, open)."""
    return NormalDist().inv_cdf(share)


def t_cdf(value: float, dof: float) -> float:
    """Probability that Student's t with `dof` degrees of freedom, whole or not, stays under `value`."""
    tail = 0.5 * incomplete_beta(dof / (dof + value * value), dof / 2, 0.5)
    return tail if value < 0 else 1 - tail


@lru_cache(maxsize=4096)
def t_quantile(share: float, dof: float) -> float:
    """The value that Student's t with `dof` degrees of freedom stays under with probability `share`.

    Raises ValueError unless 0 < share < 1 and dof > 0.
    """
    if not 0 < share < 1 or dof <= 0:
        raise ValueError(f"no t quantile at share {share:g} with {dof:g} degrees of freedom")
    if share < 0.5:
        return -t_quantile(1 - share, dof)
    low, high = 0.0, 1.0
    while t_cdf(high, dof) < share:
        high *= 2
    for _ in range(60):  # halves 60 times: to the last bit of what the distribution function resolves
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, dof) < share else (low, middle)
    return (low + high) / 2


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function (DLMF 8.17.22), its continued fraction taken where it is quick."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(1 - x, b, a)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(front) / a / _continued_fraction(x, a, b)


def _continued_fraction(x: float, a: float, b: float) -> float:
    """1 + d1/(1 + d2/(1 + …)) of DLMF 8.17.22 by Lentz's method."""
    value, upper, lower = 1.0, 1.0, 0.0
    for step in range(1, 20_000):  # converges in about sqrt(a + b) steps
        m = step // 2
        if step % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        lower = 1 / ((1 + term * lower) or _TINY)
        upper = (1 + term / upper) or _TINY
        value *= upper * lower
        if abs(upper * lower - 1) < 1e-15:
            break
    return value


Met = Literal["met", "not met", "undecided"]

MLPERF_CONFIDENCE: Final = 0.99


def wilson(count: int, total: int, alpha: float = 0.05) -> tuple[float, float]:
    """Interval for a share at level 1 - alpha (Wilson 1927); (0, 1) of nothing.

    Raises ValueError unless 0 <= count <= total.
    """
    if not 0 <= count <= total:
        raise ValueError(f"{count} of {total} is no share")
    if total == 0:
        return 0.0, 1.0
    z = normal_quantile(1 - alpha / 2)
    share, weight = count / total, z * z / total
    centre = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / total + weight / (4 * total))
    low = 0.0 if count == 0 else max(centre - half, 0.0)
    high = 1.0 if count == total else min(centre + half, 1.0)
    return low, high


def binomial_cdf(count: int, total: int, share: float) -> float:
    """Probability of at most `count` of `total`, each of probability `share`."""
    if count < 0:
        return 0.0
    return 1.0 if count >= total else incomplete_beta(1 - share, total - count, count + 1)


def share_met(over: int, total: int, percentile: float = 0.99, confidence: float = MLPERF_CONFIDENCE) -> Met:
    """Whether at least `percentile` of all requests stay within a limit that `over` of `total` exceeded.

    MLPerf's early stopping (loadgen, `early_stopping.cc`): met when so few over the limit would come with
    probability 1 - confidence at most from a server that just misses; not met, the same of so many.
    """
    if total == 0:
        return "undecided"
    if binomial_cdf(over, total, 1 - percentile) <= 1 - confidence:
        return "met"
    if 1 - binomial_cdf(over - 1, total, 1 - percentile) <= 1 - confidence:
        return "not met"
    return "undecided"


_ROUNDING: Final = 1e-9  # 0.07 * 100 is 7.000000000000001, and its rank is 7


def percentile(values: ArrayLike, share: float) -> float | None:
    """The smallest value that at least `share` (0 to 1) of the values (n,) do not exceed; None of nothing."""
    return percentiles(values, (share,))[0]


def percentiles(values: ArrayLike, shares: tuple[float, ...], weights: ArrayLike | None = None) -> list[float | None]:
    """Several percentiles with one sort; see `percentile`. With `weights` (n,), each value counts that often."""
    array = np.asarray(values, dtype=np.float64)
    if weights is None:
        if array.size == 0:
            return [None] * len(shares)
        ranks = [max(math.ceil(share * array.size - _ROUNDING), 1) - 1 for share in shares]
        ordered = np.partition(array, sorted(set(ranks)))
        return [float(ordered[rank]) for rank in ranks]
    return _weighted(array, np.asarray(weights, dtype=np.float64), shares)


def _weighted(
    values: NDArray[np.float64], weights: NDArray[np.float64], shares: tuple[float, ...]
) -> list[float | None]:
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    if cumulative.size == 0 or cumulative[-1] <= 0:
        return [None] * len(shares)
    reached = np.array(shares) * cumulative[-1] - _ROUNDING
    places = np.minimum(np.searchsorted(cumulative, reached), values.size - 1)
    return [float(value) for value in values[order][places]]


def with_failures(values: ArrayLike, share: float, failed: int) -> float | None:
    """The percentile when each of `failed` requests counts as infinitely late (`p99+fail`)."""
    array = np.asarray(values, dtype=np.float64)
    return percentile(np.concatenate((array, np.full(failed, np.inf))), share)


def summary_percentiles(values: ArrayLike) -> dict[str, float | int | None]:
    """The percentiles that are shown of the values (n,), in their unit, and `n`, their number."""
    return {**named_percentiles(values), "n": np.asarray(values).size}


def named_percentiles(values: ArrayLike, weights: ArrayLike | None = None) -> dict[str, float | None]:
    """The percentiles that are shown, by name."""
    shares = tuple(PERCENTILES[name].share for name in SHOWN_PERCENTILES)
    return dict(zip(SHOWN_PERCENTILES, percentiles(values, shares, weights), strict=True))
