"""Shares of requests: their interval, and whether a limit is met."""

import math
from typing import Final, Literal

from tui.analysis.intervals.student import incomplete_beta, normal_quantile

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
