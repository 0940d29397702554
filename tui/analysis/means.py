"""A mean with its interval."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tui.analysis.student import t_quantile

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

    From 20 values on the interval is of the means of ten sections, because requests that overlap are alike.
    """
    if not values.size:
        return Mean(math.nan, math.nan, None, None, 0)
    mean = float(values.mean())
    if values.size < 2:
        return Mean(mean, 0.0, None, None, 1)
    parts = np.array([part.mean() for part in np.array_split(values, SECTIONS)]) if values.size >= 20 else values
    half = float(parts.std(ddof=1)) / math.sqrt(parts.size) * t_quantile(0.975, parts.size - 1)
    return Mean(mean, float(values.std(ddof=1)), mean - half, mean + half, int(values.size))
