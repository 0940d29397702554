"""Nearest-rank percentiles, plain and weighted."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.stats.distributions import percentile, percentiles, summary_percentiles, with_failures


@pytest.mark.parametrize(
    ("share", "value"), [(0.01, 1), (0.07, 7), (0.5, 50), (0.95, 95), (0.951, 96), (0.99, 99), (1.0, 100)]
)
def test_of_one_to_a_hundred_each_percentile_is_its_rank(share: float, value: float) -> None:
    shuffled = np.random.default_rng(1).permutation(np.arange(1, 101))
    assert percentile(shuffled, share) == value


@given(
    st.lists(st.tuples(st.floats(0.01, 1e5), st.integers(0, 5)), min_size=1, max_size=40).filter(
        lambda rows: any(weight for _, weight in rows)
    ),
    st.sampled_from([0.01, 0.5, 0.9, 0.95, 0.99, 1.0]),
)
def test_a_weight_is_the_value_written_out_that_often(rows: list[tuple[float, int]], share: float) -> None:
    values, weights = zip(*rows, strict=True)
    written_out = [value for value, weight in rows for _ in range(weight)]
    assert percentiles(values, (share,), weights) == [percentile(written_out, share)]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_a_percentile_is_a_value_that_was_measured_and_they_rise(values: list[float]) -> None:
    computed = percentiles(values, (0.1, 0.5, 0.9, 0.99))
    assert all(value in values for value in computed)
    assert computed == sorted(value for value in computed if value is not None)


def test_nothing_has_no_percentile() -> None:
    assert percentile([], 0.5) is None
    assert percentiles([], (0.5,), []) == [None]
    assert summary_percentiles([]) == {"p50": None, "p95": None, "p99": None, "n": 0}


def test_failures_are_infinitely_late() -> None:
    values = np.arange(1, 99)
    assert with_failures(values, 0.5, 2) == 50
    assert with_failures(values, 0.99, 2) == math.inf
    assert with_failures([], 0.5, 1) == math.inf
