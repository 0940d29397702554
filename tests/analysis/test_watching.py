"""The verdict as an operator sees it: calm, anew with each segment, and silent where nothing may be said."""

from dataclasses import replace

import numpy as np
import pytest

from tests.analysis.simulated import seconds_of
from tui.analysis.verdict.watching import Now, Watch
from tui.analysis.verdict.word import Word


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


def test_settling_says_how_long() -> None:
    told = Watch().look(Now(1, {"a": [], "b": []}, settling_s=6.0))
    assert (told.word, told.verdict.reason, told.verdict.need_s) == ("undecided", "settling", 6.0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bound": True}, "client"),
        ({"apart": True}, "different loads"),
        ({"down": "B is down: refused"}, "B is down"),
        ({"refused": "KV tokens differ", "bound": True}, "KV tokens"),
        ({"tps": {"a": [1.0]}}, "one lane"),
    ],
)
def test_where_nothing_may_be_said_the_reason_is_told_at_once(change: dict[str, object], reason: str) -> None:
    watch = Watch()
    assert watched(watch, 1, 0.2, 120)[-1] == "A ahead"
    a, b = series(0.2)
    told = watch.look(replace(Now(1, {"a": a[:120], "b": b[:120]}), **change))  # type: ignore[arg-type]
    assert told.word == "not comparable"
    assert reason in told.verdict.reason


def test_after_the_obstacle_is_gone_the_word_comes_back() -> None:
    watch = Watch()
    a, b = series(0.2)
    now = Now(1, {"a": a[:120], "b": b[:120]})
    watch.look(replace(now, bound=True))
    assert [watch.look(now).word for _ in range(3)][-1] == "A ahead"


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
