"""A mean with its interval."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tui.analysis.intervals.batches import BATCH_S, MIN_BATCHES, log_ratio
from tui.analysis.intervals.student import t_quantile

SECTIONS: Final = 10

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with standard deviation and 95 % interval; the interval is None of fewer than two values."""

    mean: float
    sd: float
    low: float | None
    high: float | None
    n: int


def mean_of(values: Floats) -> Mean:
    """Mean, deviation and 95 % interval of values (n,) in order of time.

    From 20 values on the interval is of the means of ten sections, because requests that overlap are alike. That of
    values of which none is negative does not reach below 0, where their mean cannot lie.
    """
    if not values.size:
        return Mean(math.nan, math.nan, None, None, 0)
    mean = float(values.mean())
    if values.size < 2:
        return Mean(mean, 0.0, None, None, 1)
    parts = np.array([part.mean() for part in np.array_split(values, SECTIONS)]) if values.size >= 20 else values
    half = float(parts.std(ddof=1)) / math.sqrt(parts.size) * t_quantile(0.975, parts.size - 1)
    low = mean - half if values.min() < 0 else max(mean - half, 0.0)
    return Mean(mean, float(values.std(ddof=1)), low, mean + half, int(values.size))


def rate_of(values: Floats) -> Mean:
    """The same of one lane's seconds (n,), which are correlated: the interval is that of its batches.

    There is none of fewer than 80 seconds: ten sections of 30 s at correlation 0.8 cover in 69 % of runs.
    """
    if values.size < BATCH_S * MIN_BATCHES or values.min() < 0:
        found = mean_of(values)
        return Mean(found.mean, found.sd, None, None, found.n)
    mean = float(values.mean())
    half = float(log_ratio(values[None], np.ones((1, values.size)), frozen=True).half_width[0])
    if not math.isfinite(half):
        return Mean(mean, float(values.std(ddof=1)), None, None, values.size)
    return Mean(mean, float(values.std(ddof=1)), mean * math.exp(-half), mean * math.exp(half), values.size)
