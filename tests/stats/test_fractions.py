"""Shares against published values."""

import numpy as np
import pytest

from tui.stats.distributions import binomial_cdf, share_met, wilson


# Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_published(count: int, total: int, low: float, high: float) -> None:
    assert wilson(count, total) == pytest.approx((low, high), abs=5e-5)


def test_wilson_at_the_ends() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(20, 20)[1] == 1.0
    assert wilson(20, 20)[0] == pytest.approx(1 - 0.1611, abs=5e-5)
    with pytest.raises(ValueError, match="no share"):
        wilson(3, 2)


def test_a_share_of_nothing_is_unknown() -> None:
    assert share_met(0, 0) == "undecided"


def test_the_binomial_distribution_function_is_the_sum() -> None:
    rng = np.random.default_rng(1)
    drawn = rng.binomial(40, 0.3, 200_000)
    for count in (0, 5, 12, 20, 39):
        assert binomial_cdf(count, 40, 0.3) == pytest.approx(float(np.mean(drawn <= count)), abs=0.004)
    assert binomial_cdf(0, 10, 0.1) == pytest.approx(0.9**10)
    assert binomial_cdf(10, 10, 0.1) == 1.0


# The totals at which MLPerf's rule is first met, by requests over the limit.
@pytest.mark.parametrize(
    ("percentile", "totals"), [(0.99, (459, 662, 2010)), (0.95, (90, 130, 398)), (0.90, (44, 64, 197))]
)
def test_mlperf_needs_so_many_requests(percentile: float, totals: tuple[int, int, int]) -> None:
    for over, total in zip((0, 1, 10), totals, strict=True):
        assert share_met(over, total, percentile) == "met"
        assert share_met(over, total - 1, percentile) == "undecided"


def test_too_many_over_the_limit_is_not_met() -> None:
    assert share_met(30, 1000) == "not met"
    assert share_met(10, 1000) == "undecided"
    assert share_met(1_000_000 // 200, 1_000_000) == "met"


def test_a_server_that_just_misses_is_seldom_called_good() -> None:
    over = np.random.default_rng(2).binomial(2000, 0.01, 4000)
    words = [share_met(int(count), 2000) for count in over]
    assert words.count("met") / len(words) <= 0.0125
    assert words.count("not met") / len(words) <= 0.0125
