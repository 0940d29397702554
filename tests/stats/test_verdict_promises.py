"""What the verdict promises under repeated looking, by 2,000 simulated runs of ten minutes each, look by look."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.judge.simulated import seconds_of
from tui.stats.batches import BATCH_S, MIN_BATCHES, log_ratio
from tui.stats.verdict import DELTA, throughput_verdict, word_of

RUNS = 2000
SECONDS = 600


@dataclass(frozen=True)
class Watched:
    """For each run, the second at which a word was first said (inf: never), and whether the interval ever missed."""

    first_a: NDArray[np.float64]
    first_b: NDArray[np.float64]
    ever_missed: NDArray[np.bool_]


@cache
def watched(phi: float, lead: float) -> Watched:
    """Look at every run whenever the answer can change, which is every 20 s (`test_looking_more_often…`)."""
    rng = np.random.default_rng([2026, round(phi * 10), round(lead * 100)])
    a, b = seconds_of(rng, RUNS, SECONDS, phi, 1000 * (1 + lead)), seconds_of(rng, RUNS, SECONDS, phi)
    seen = Watched(np.full(RUNS, np.inf), np.full(RUNS, np.inf), np.zeros(RUNS, dtype=np.bool_))
    for look in range(BATCH_S * MIN_BATCHES, SECONDS + 1, BATCH_S):
        estimate = log_ratio(a[:, :look], b[:, :look])
        low, high = estimate.mean - estimate.half_width, estimate.mean + estimate.half_width
        words = np.array([word_of(*ends, DELTA) for ends in zip(low, high, strict=True)])
        for first, word in ((seen.first_a, "A ahead"), (seen.first_b, "B ahead")):
            first[(words == word) & np.isinf(first)] = look
        seen.ever_missed[:] |= (low > np.log1p(lead)) | (high < np.log1p(lead))
    return seen


@pytest.mark.parametrize(("phi", "at_most"), [(0.0, 0.05), (0.5, 0.07), (0.8, 0.10)])
def test_equal_lanes_seldom_have_a_winner(phi: float, at_most: float) -> None:
    seen = watched(phi, 0.0)
    assert np.mean(np.isfinite(seen.first_a) | np.isfinite(seen.first_b)) <= at_most


@pytest.mark.parametrize(("phi", "within_s"), [(0.0, 120), (0.5, 180), (0.8, 300)])
def test_a_lead_of_ten_percent_is_detected_in_time(phi: float, within_s: int) -> None:
    seen = watched(phi, 0.10)
    assert np.mean(seen.first_a <= within_s) >= 0.95
    assert np.mean(np.isfinite(seen.first_b)) <= 0.005


@pytest.mark.parametrize("lead", [0.0, 0.10])
@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_the_sequence_covers_at_every_look_at_once(phi: float, lead: float) -> None:
    assert 0.92 <= 1 - watched(phi, lead).ever_missed.mean() <= 0.98


@pytest.mark.parametrize("seconds", [80, 180, 600])
@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_the_frozen_interval_covers_at_its_one_look(phi: float, seconds: int) -> None:
    rng = np.random.default_rng([7, round(phi * 10), seconds])
    a, b = seconds_of(rng, 2000, seconds, phi, 1100), seconds_of(rng, 2000, seconds, phi)
    estimate = log_ratio(a, b, frozen=True)
    assert 0.92 <= np.mean(np.abs(estimate.mean - np.log(1.1)) <= estimate.half_width) <= 0.98


def test_looking_more_often_than_every_batch_adds_nothing() -> None:
    rng = np.random.default_rng(3)
    a, b = seconds_of(rng, 1, 240, 0.8)[0], seconds_of(rng, 1, 240, 0.8)[0]
    for look in range(BATCH_S * MIN_BATCHES, 241):
        whole = look // BATCH_S * BATCH_S
        assert throughput_verdict(a[:look], b[:look]) == throughput_verdict(a[:whole], b[:whole])
