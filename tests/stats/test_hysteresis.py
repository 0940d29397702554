"""The verdict as an operator sees it: steady, and reset with each segment."""

import numpy as np

from tests.judge.simulated import seconds_of
from tui.stats.verdict import DELTA, Hysteresis, Word, throughput_verdict


def series(lead: float, seconds: int = 200, seed: int = 1) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(seed)
    return seconds_of(rng, 1, seconds, 0.3, 1000 * (1 + lead))[0].tolist(), seconds_of(rng, 1, seconds, 0.3)[
        0
    ].tolist()


def watched(lead: float, seconds: int, delta: float = DELTA) -> list[Word]:
    """The words shown while an operator watches, second after second."""
    a, b = series(lead)
    word, words = Hysteresis(), []
    for t in range(seconds):
        word = word.look(throughput_verdict(a[:t], b[:t], delta=delta), delta)
        words.append(word.shown)
    return words


def test_the_word_comes_once_and_stays() -> None:
    words = watched(0.2, 200)
    first = words.index("A ahead")
    assert 20 <= first <= 62
    assert set(words[:first]) == {"undecided"}
    assert set(words[first:]) == {"A ahead"}


def test_a_wider_delta_makes_a_small_lead_level() -> None:
    assert watched(0.05, 200, delta=0.15)[-1] == "level"
