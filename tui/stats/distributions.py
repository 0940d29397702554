"""Quantiles of Student's t and of the normal distribution: the one thing that scipy would be needed for.

The import of scipy.stats costs half a second and 40 MB of memory; the tests hold these few lines against tables.
"""

import math
from functools import lru_cache
from statistics import NormalDist

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
