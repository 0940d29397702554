"""What the verdict promises under repeated looking, by simulated runs of twelve minutes each, look by look."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.judge.simulated import NOISE, autoregression, seconds_of
from tui.stats.batches import BATCH_S, EARLY_LOOKS_S, Balance, Floats, log_ratio
from tui.stats.verdict import DELTA, throughput_verdict

RUNS = 1000
SECONDS = 720
LOOKS_S = sorted({*EARLY_LOOKS_S, *range(80, SECONDS + 1, BATCH_S)})
TEN_MINUTES = 600
BORDER = np.log1p(DELTA)


@dataclass(frozen=True)
class Watched:
    """Mean and half width of the log ratio of equal lanes at each look (looks, runs)."""

    mean: Floats
    half_width: Floats

    def first_a(self, lead: float = 0.0, sign: int = 1) -> NDArray[np.float64]:
        """When each run first names A (B for sign -1) if A leads by that much: it moves the means and no more."""
        mean = (self.mean + np.log1p(lead)) * sign
        named = (mean - self.half_width > 0) & (mean > BORDER)
        return np.where(named.any(axis=0), np.array(LOOKS_S, dtype=float)[named.argmax(axis=0)], np.inf)

    def missed(self, until_s: int) -> NDArray[np.bool_]:
        """Whether the interval of any look until then left out the truth."""
        looks = np.array(LOOKS_S) <= until_s
        return np.asarray((np.abs(self.mean) > self.half_width)[looks].any(axis=0))


def watched_of(a: Floats, b: Floats, balances: list[Balance]) -> Watched:
    looks = [
        log_ratio(a[:, :look], b[:, :look], balances=[one.until(look) for one in balances])
        for look in LOOKS_S
        if look <= a.shape[1]
    ]
    return Watched(np.array([look.mean for look in looks]), np.array([look.half_width for look in looks]))


@cache
def watched(phi: float) -> Watched:
    rng = np.random.default_rng([2026, round(phi * 10)])
    return watched_of(seconds_of(rng, RUNS, SECONDS, phi), seconds_of(rng, RUNS, SECONDS, phi), [])


@cache
def watched_with_a_second_reading(phi: float) -> Watched:
    """Half of the noise is also in another count of the same tokens."""
    rng = np.random.default_rng([2027, round(phi * 10)])
    lanes = []
    for _ in range(2):
        shared, rest = (NOISE * np.sqrt(0.5) * autoregression(rng, RUNS // 2, SECONDS, phi) for _ in range(2))
        lanes.append((1 + shared + rest, 1 + shared))
    (a, of_a), (b, of_b) = lanes
    return watched_of(a, b, [Balance((of_a, a), (of_b, b))])


@pytest.mark.parametrize(("phi", "at_most"), [(0.0, 0.05), (0.5, 0.07), (0.8, 0.10)])
def test_equal_lanes_seldom_have_a_winner(phi: float, at_most: float) -> None:
    seen = watched(phi)
    assert np.mean(np.minimum(seen.first_a(), seen.first_a(sign=-1)) <= TEN_MINUTES) <= at_most


@pytest.mark.parametrize(
    ("lead", "phi", "within_s", "at_least"),
    [
        (0.10, 0.0, 120, 0.95),
        (0.10, 0.5, 180, 0.95),
        (0.10, 0.8, 300, 0.95),
        (0.05, 0.0, 180, 0.95),
        (0.05, 0.5, 360, 0.95),
        (0.05, 0.8, 720, 0.85),
    ],
)
def test_a_lead_is_named_in_time(lead: float, phi: float, within_s: int, at_least: float) -> None:
    seen = watched(phi)
    assert np.mean(seen.first_a(lead) <= within_s) >= at_least
    assert np.mean(np.isfinite(seen.first_a(lead, sign=-1))) <= 0.005


def test_a_second_reading_of_half_the_noise_names_a_small_lead_sooner() -> None:
    seen = watched_with_a_second_reading(0.8)
    assert np.mean(seen.first_a(0.05) <= SECONDS) >= 0.95
    assert seen.missed(TEN_MINUTES).mean() <= 0.09
    assert np.median(seen.half_width[-1] / watched(0.8).half_width[-1, : RUNS // 2]) < 0.8


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_the_sequence_covers_at_every_look_at_once(phi: float) -> None:
    assert 0.92 <= 1 - watched(phi).missed(TEN_MINUTES).mean() <= 0.98


@pytest.mark.parametrize("seconds", [80, 180, 600])
@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_the_frozen_interval_covers_at_its_one_look(phi: float, seconds: int) -> None:
    rng = np.random.default_rng([7, round(phi * 10), seconds])
    a, b = seconds_of(rng, 1500, seconds, phi, 1100), seconds_of(rng, 1500, seconds, phi)
    estimate = log_ratio(a, b, frozen=True)
    assert 0.92 <= np.mean(np.abs(estimate.mean - np.log(1.1)) <= estimate.half_width) <= 0.98


@cache
def watched_early(phi: float) -> Watched:
    rng = np.random.default_rng([2028, round(phi * 10)])
    return watched_of(seconds_of(rng, 8000, 60, phi), seconds_of(rng, 8000, 60, phi), [])


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_early_looks_name_hardly_ever_a_winner_of_equal_lanes(phi: float) -> None:
    seen = watched_early(phi)
    assert np.mean(np.isfinite(np.minimum(seen.first_a(), seen.first_a(sign=-1)))) <= 0.005


@pytest.mark.parametrize(
    ("lead", "within_s", "at_least"), [(0.70, 30, (0.99, 0.98, 0.95)), (0.25, 60, (0.99, 0.95, 0.80))]
)
def test_a_large_lead_is_named_by_an_early_look(lead: float, within_s: int, at_least: tuple[float, ...]) -> None:
    named = [np.mean(watched_early(phi).first_a(lead) <= within_s) for phi in (0.0, 0.5, 0.8)]
    assert all(share >= least for share, least in zip(named, at_least, strict=True)), named


def test_an_early_word_says_its_level_and_stays_until_the_next_look() -> None:
    rng = np.random.default_rng(4)
    a, b = seconds_of(rng, 1, 60, 0.5, 1700)[0], seconds_of(rng, 1, 60, 0.5)[0]
    words = [throughput_verdict(a[:t], b[:t]) for t in range(20, 61)]
    assert {verdict.level for verdict in words} == {0.9975}
    assert words[-1].word == "A ahead"
    for t, verdict in enumerate(words, start=20):
        look = max(look for look in EARLY_LOOKS_S if look <= t)
        assert verdict == throughput_verdict(a[:look], b[:look])


def test_looking_more_often_than_every_batch_adds_nothing() -> None:
    rng = np.random.default_rng(3)
    a, b = seconds_of(rng, 1, 240, 0.8)[0], seconds_of(rng, 1, 240, 0.8)[0]
    for look in range(80, 241):
        whole = look // BATCH_S * BATCH_S
        assert throughput_verdict(a[:look], b[:look]) == throughput_verdict(a[:whole], b[:whole])
