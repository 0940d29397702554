"""Percentiles of values, by nearest rank: each is a value that was measured.

Nearest rank and not interpolation, so that a failed request can count as infinitely late (interpolating towards
infinity gives nothing), and so that a percentile of weighted gaps means the same as that of the gaps written out.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tui.model.metrics import PERCENTILES, SHOWN_PERCENTILES

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
