"""The words, their reasons, the seconds still needed, and the calm with which the word changes."""

import math
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from tests.judge.simulated import seconds_of
from tui.stats.batches import correlation_time
from tui.stats.verdict import (
    LONG_ENOUGH_S,
    METHOD,
    SETTLING,
    Hysteresis,
    State,
    Verdict,
    Word,
    throughput_verdict,
    word_of,
)


def lanes(lead: float, seconds: int, noise_seed: int = 1) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(noise_seed)
    a = seconds_of(rng, 1, seconds, 0.3, 1000 * (1 + lead))[0].tolist()
    return a, seconds_of(rng, 1, seconds, 0.3)[0].tolist()


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.001, 0.2, "A ahead"),
        (-0.2, -0.001, "B ahead"),
        (-0.02, 0.02, "level"),
        (0.01, 0.025, "level"),
        (-0.01, 0.05, "undecided"),
        (0.01, 0.035, "undecided"),  # it leads, and is about to be level
        (-0.035, -0.01, "undecided"),
        (0.01, 0.055, "A ahead"),
        (float("nan"), float("nan"), "undecided"),
    ],
)
def test_the_word_of_an_interval(low: float, high: float, word: Word) -> None:
    assert word_of(low, high, 0.03) == word


def test_where_lower_is_better_the_lower_lane_is_ahead() -> None:
    assert word_of(0.1, 0.2, 0.03, "lower") == "B ahead"
    assert word_of(-0.2, -0.1, 0.03, "lower") == "A ahead"


def test_the_ratio_is_a_over_b_and_swapping_the_lanes_mirrors_everything() -> None:
    a, b = lanes(0.2, 200)
    one, other = throughput_verdict(a, b), throughput_verdict(b, a)
    assert (one.word, other.word) == ("A ahead", "B ahead")
    assert one.ratio is not None
    assert one.low is not None
    assert other.ratio is not None
    assert other.high is not None
    assert one.ratio == pytest.approx(1.2, rel=0.05)
    assert one.ratio * other.ratio == pytest.approx(1)
    assert one.low * other.high == pytest.approx(1)


def test_too_few_seconds_say_how_many_more() -> None:
    a, b = lanes(0.5, 12)
    verdict = throughput_verdict(a, b)
    assert verdict.word == "undecided"
    assert verdict.ratio is None
    assert verdict.need_s == 8


def test_the_frozen_interval_is_narrower() -> None:
    a, b = lanes(0.05, 300)
    watched, frozen = throughput_verdict(a, b), throughput_verdict(a, b, frozen=True)
    assert watched.low is not None
    assert watched.high is not None
    assert frozen.low is not None
    assert frozen.high is not None
    assert watched.low < frozen.low < frozen.high < watched.high


@pytest.mark.parametrize(("lead", "phi"), [(0.05, 0.0), (0.10, 0.5)])
def test_the_seconds_needed_are_right_within_half_as_much_again(lead: float, phi: float) -> None:
    """Where a number is given at all: of most small leads nobody can tell when they will be named."""
    rng = np.random.default_rng([8, round(phi * 10)])
    a, b = seconds_of(rng, 120, 400, phi, 1000 * (1 + lead)), seconds_of(rng, 120, 400, phi)
    right = []
    for one, other in zip(a, b, strict=True):
        foreseen: dict[int, float] = {}
        for look in range(80, 401, 20):
            verdict = throughput_verdict(one[:look].tolist(), other[:look].tolist())
            if verdict.word != "undecided":
                right += [need_s / 1.5 <= look - at <= need_s * 1.5 for at, need_s in foreseen.items()]
                break
            if verdict.need_s is not None and not foreseen:
                foreseen[look] = verdict.need_s
    assert len(right) >= 5
    assert np.mean(right) >= 0.8


def test_a_lane_that_puts_out_nothing_is_not_comparable() -> None:
    a, b = lanes(0.0, 200)
    b[60:100] = [0.0] * 40
    assert throughput_verdict(a, b).word == "not comparable"


def test_lanes_without_noise_are_level_or_ahead_at_once() -> None:
    assert throughput_verdict([100.0] * 80, [100.0] * 80).word == "level"
    assert throughput_verdict([110.0] * 80, [100.0] * 80).word == "A ahead"


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="delta"):
        throughput_verdict([1.0], [1.0], delta=0)


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_the_correlation_time_of_an_autoregression(phi: float) -> None:
    series = seconds_of(np.random.default_rng(5), 50, 4000, phi)
    assert correlation_time(series).mean() == pytest.approx((1 + phi) / (1 - phi), rel=0.1)


def verdict(word: Word, low: float = 1.0, high: float = 1.2) -> Verdict:
    return Verdict("output_tps", word, 1.1, low, high, 5)


def shown(calm: Hysteresis, *verdicts: Verdict) -> list[Word]:
    words = []
    for one in verdicts:
        calm = calm.look(one)
        words.append(calm.shown)
    return words


def test_another_word_is_shown_once_it_has_held_for_three_looks() -> None:
    ahead: Verdict = verdict("A ahead", 1.05, 1.2)
    assert shown(Hysteresis(), ahead, ahead, ahead) == ["undecided", "undecided", "A ahead"]
    wide = verdict("undecided", 0.9, 1.3)
    assert shown(Hysteresis(), ahead, ahead, wide, ahead, ahead) == ["undecided"] * 5


def test_a_border_that_is_just_passed_does_not_change_the_word() -> None:
    ahead = Hysteresis("A ahead", "A ahead")
    grazing, clear = verdict("undecided", 0.995, 1.2), verdict("undecided", 0.95, 1.2)
    assert shown(ahead, *[grazing] * 10)[-1] == "A ahead"
    assert shown(ahead, *[clear] * 3) == ["A ahead", "A ahead", "undecided"]


def test_a_word_flickering_at_the_border_is_steady_on_the_screen() -> None:
    rng = np.random.default_rng(4)
    calm, changes = Hysteresis(), 0
    for _ in range(300):
        low = math.exp(rng.normal(0, 0.004))
        after = calm.look(verdict("A ahead" if low > 1 else "undecided", low, 1.15))
        changes += after.shown != calm.shown
        calm = after
    assert changes <= 1


@pytest.mark.parametrize("word", ["A ahead", "level", "undecided"])
def test_not_comparable_is_shown_at_once(word: Literal["A ahead", "level", "undecided"]) -> None:
    assert shown(Hysteresis(word, word), Verdict("output_tps", "not comparable"))[0] == "not comparable"


@pytest.mark.parametrize(
    ("one", "state"),
    [
        (Verdict("output_tps", "undecided", reason=SETTLING), "settling"),
        (Verdict("output_tps", "undecided", 1.1, 0.9, 1.3, measured_s=LONG_ENOUGH_S - 1), "measuring"),
        (Verdict("output_tps", "undecided", 1.1, 0.9, 1.3, measured_s=LONG_ENOUGH_S), "cannot_tell"),
        (Verdict("output_tps", "A ahead", 1.1, 1.05, 1.2, measured_s=30), "decided"),
        (Verdict("output_tps", "level", 1.0, 0.99, 1.01, measured_s=LONG_ENOUGH_S), "decided"),
        (Verdict("output_tps", "not comparable", reason="A down"), "cannot_tell"),
    ],
)
def test_the_state_follows_from_the_word_and_from_how_long_it_was_measured(one: Verdict, state: State) -> None:
    assert one.state == state
    assert replace(one, word="B ahead").state == "decided"
    assert (one.level, one.method) == (0.95, METHOD)
