"""The verdict as an operator sees it: calm, and anew with each segment."""

from dataclasses import replace

import numpy as np

from tests.judge.simulated import seconds_of
from tui.stats.verdict import Now, Watch, Word


def series(lead: float, seconds: int = 200, seed: int = 1) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(seed)
    return seconds_of(rng, 1, seconds, 0.3, 1000 * (1 + lead))[0].tolist(), seconds_of(rng, 1, seconds, 0.3)[
        0
    ].tolist()


def watched(watch: Watch, segment: int, lead: float, seconds: int) -> list[Word]:
    a, b = series(lead)
    return [watch.look(Now(segment, {"a": a[:t], "b": b[:t]})).word for t in range(seconds)]


def test_the_word_comes_once_and_stays() -> None:
    words = watched(Watch(), 1, 0.2, 200)
    first = words.index("A ahead")
    assert 80 <= first <= 102
    assert set(words[:first]) == {"undecided"}
    assert set(words[first:]) == {"A ahead"}


def test_another_segment_starts_anew() -> None:
    watch = Watch()
    assert watched(watch, 1, 0.2, 120)[-1] == "A ahead"
    assert watched(watch, 2, -0.2, 1) == ["undecided"]
    assert watched(watch, 2, -0.2, 120)[-1] == "B ahead"


def test_a_wider_delta_makes_a_small_lead_level() -> None:
    a, b = series(0.05)
    watch = Watch(delta=0.15)
    looks = [watch.look(Now(1, {"a": a, "b": b})) for _ in range(3)]
    assert looks[-1].word == "level"


def test_lanes_that_turn_out_to_take_turns_are_told_what_turns_need() -> None:
    watch = Watch()
    now = Now(1, {"a": [], "b": []})
    assert "settled seconds" in watch.look(now).verdict.reason
    assert "turns of each lane" in watch.look(replace(now, pairs=[])).verdict.reason
