"""Percentiles of a bucketed window against those of the values themselves."""

import math

import numpy as np
import pytest

from tui.session.state import BUCKETS, HIGH_MS, LOW_MS, LatencyHistogram, bucketed


def nearest_rank(values: np.ndarray, share: float) -> float:
    return float(np.sort(values)[max(math.ceil(share * values.size - 1e-9), 1) - 1])


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0])
def test_percentile_is_within_half_a_percent(share: float) -> None:
    values = np.exp(np.random.default_rng(3).normal(3.0, 2.0, 20_000))
    histogram = LatencyHistogram()
    histogram.add(values)
    assert histogram.percentile(share) == pytest.approx(nearest_rank(values, share), rel=0.005)


def test_every_decade_is_within_half_a_percent() -> None:
    for value in np.geomspace(LOW_MS * 1.001, HIGH_MS * 0.999, 997):
        histogram = LatencyHistogram()
        histogram.add([value])
        assert histogram.percentile(0.5) == pytest.approx(value, rel=0.005)


def test_weights_count_a_value_that_often() -> None:
    weighted, repeated = LatencyHistogram(), LatencyHistogram()
    weighted.add([10.0, 20.0, 30.0], [1, 5, 2])
    repeated.add([10.0] + [20.0] * 5 + [30.0] * 2)
    assert (weighted.counts == repeated.counts).all()
    assert weighted.n == 8


def test_a_window_is_its_seconds_merged() -> None:
    rng = np.random.default_rng(5)
    seconds = [rng.lognormal(3, 1, 200) for _ in range(30)]
    window, whole = LatencyHistogram(), LatencyHistogram()
    for values in seconds:
        window.merge(bucketed(values))
    whole.add(np.concatenate(seconds))
    assert (window.counts == whole.counts).all()


def test_what_lies_outside_counts_at_the_ends() -> None:
    histogram = LatencyHistogram()
    histogram.add([0.0, 5e-4, math.inf])
    assert histogram.percentile(0.5) == LOW_MS
    assert histogram.percentile(1.0) == math.inf
    assert histogram.counts[0] == 2
    assert histogram.counts[BUCKETS - 1] == 1


def test_nothing_has_no_percentile() -> None:
    histogram = LatencyHistogram()
    histogram.add([])
    assert histogram.n == 0
    assert histogram.percentile(0.99) is None
