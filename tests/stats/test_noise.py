"""The δ of an A/A run."""

import numpy as np
import pytest

from tests.judge.made import requests_frame, second, seconds_frame, session
from tests.judge.simulated import seconds_of
from tui.judge.tables import Tables
from tui.model.rows import LANES
from tui.model.text import UserError
from tui.report.summary import summary
from tui.stats.verdict import noise_floor, widest_margin


def test_delta_covers_what_one_server_differs_from_itself_by() -> None:
    rng = np.random.default_rng(1)
    a, b = seconds_of(rng, 1, 300, 0.5)[0].tolist(), seconds_of(rng, 1, 300, 0.5)[0].tolist()
    noise = noise_floor(a, b)
    assert 1 / (1 + noise.delta) - 1e-9 <= noise.low <= noise.ratio <= noise.high <= 1 + noise.delta + 1e-9
    assert 0.01 < noise.delta < 0.06
    assert not noise.biased


def test_a_bias_between_the_lanes_is_within_delta() -> None:
    rng = np.random.default_rng(2)
    a, b = seconds_of(rng, 1, 600, 0.0, 1100)[0].tolist(), seconds_of(rng, 1, 600, 0.0)[0].tolist()
    noise = noise_floor(a, b)
    assert noise.biased
    assert noise.delta > 0.1


def test_delta_is_never_less_than_one_percent() -> None:
    assert noise_floor([100.0] * 100, [100.0] * 100).delta == 0.01


def test_a_short_run_is_refused() -> None:
    with pytest.raises(UserError, match="run it longer"):
        noise_floor([100.0] * 30, [100.0] * 30)


@pytest.mark.parametrize(
    ("profile", "delta", "source"),
    [
        ({}, 0.03, "the usual one"),
        ({"delta": None, "delta_from": ""}, 0.03, "the usual one"),
        ({"delta": 0.05}, 0.05, "set in the profile"),
        ({"delta": 0.012, "delta_from": "calibrated 2026-11-23"}, 0.012, "calibrated 2026-11-23"),
    ],
)
def test_a_session_is_judged_by_its_margin_and_says_where_it_is_from(
    profile: dict[str, object], delta: float, source: str
) -> None:
    info = session(200)
    info.profile.update(profile)
    rows = [second(lane, i, 1020 + i % 3 if lane == "a" else 1000 + i % 3) for i in range(200) for lane in LANES]
    judged = summary(Tables(info, requests_frame([]), seconds_frame(rows)), {})["verdict"]
    assert (judged["delta"], judged["delta_from"]) == (delta, source)
    assert judged["word"] == ("A ahead" if delta < 0.02 else "level")


def test_over_several_sessions_the_widest_margin_counts() -> None:
    assert widest_margin([{"delta": 0.01}, {"delta": 0.2, "delta_from": "x"}]).text == "±20 %, x"
    assert widest_margin([]).delta == 0.03
