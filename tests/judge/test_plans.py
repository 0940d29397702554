"""Plans made of moves and sweeps, and the curve that a sweep draws."""

from dataclasses import replace

import pytest

from tests.judge.made import requests_frame, second, seconds_frame, session, turned
from tests.report.test_report import ran
from tui.judge.ledger import ledger
from tui.judge.sweep import curve, plan_of_moves, sweep_plan
from tui.judge.tables import Tables
from tui.model.dials import DIALS, dial_text, dial_value
from tui.model.profile import Step
from tui.model.rows import LANES
from tui.model.text import UserError


def test_the_moves_of_a_session_are_a_plan() -> None:
    events = [turned(10, "concurrency", "32"), turned(10, "prompt_tokens", "1024"), turned(40, "shared_prefix", "25")]
    tables = Tables(session(60.0), requests_frame([]), seconds_frame([]), events)
    first, second, third = plan_of_moves(tables)
    assert (first.dials["concurrency"], first.dials["arrival"], first.for_s) == (8, "closed", 10.5)
    assert set(first.dials) == {spec.name for spec in DIALS}
    assert second == Step(dials={"concurrency": 32, "prompt_tokens": 1024}, for_s=30.0)
    assert third == Step(dials={"shared_prefix": 0.25}, for_s=19.5)


def test_of_lanes_in_turns_a_step_is_as_long_as_each_lanes_share() -> None:
    ticks = [second(lane, i, 100, resting=(lane == "a") == (i // 5 % 2 == 1)) for i in range(30) for lane in LANES]
    tables = Tables(session(30.0), requests_frame([]), seconds_frame(ticks), [turned(20, "concurrency", "32")])
    assert [step.for_s for step in plan_of_moves(tables)] == [11.0, 4.0]


def test_a_move_of_lane_b_alone_is_not_in_the_plan() -> None:
    tables = Tables(session(60.0), requests_frame([]), seconds_frame([]), [turned(10, "concurrency", "32", "b")])
    assert len(plan_of_moves(tables)) == 1


def test_what_the_operator_read_is_the_value_again() -> None:
    for spec in DIALS:
        for notch in spec.notches:
            assert dial_value(spec, dial_text(spec, notch)) == notch
            assert type(dial_value(spec, dial_text(spec, notch))) is type(notch)


def test_a_sweep_is_a_plan_by_doubling() -> None:
    assert [step.dials["concurrency"] for step in sweep_plan("concurrency=1..8", 30)] == [1, 2, 4, 8]
    assert {step.for_s for step in sweep_plan("prompt_tokens = 50 .. 500", 30)} == {30}


def test_a_sweep_can_list_its_settings() -> None:
    assert [step.dials for step in sweep_plan("concurrency=1, 8,64", 30)] == [
        {"concurrency": 1},
        {"concurrency": 8},
        {"concurrency": 64},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "concurrency",
        "concurrency=",
        "concurrency=8,1",
        "concurrency=1,,8",
        "concurrency=4,4",
        "concurrency=1..8..64",
        "concurrency=1..8,64",
        "concurrency=1-8",
        "arrival=1..2",
        "concurrency=0..8",
        "concurrency=8..1",
        "concurrency=1..9999",
    ],
)
def test_a_sweep_that_cannot_be_read_says_how_to_write_it(text: str) -> None:
    with pytest.raises(UserError, match=r"sweep"):
        sweep_plan(text, 30)


def test_the_curve_has_a_point_for_each_setting_with_its_intervals() -> None:
    tables = ran()
    drawn = curve(ledger(tables))
    assert drawn is not None
    assert drawn.dial == "concurrency"
    assert [point.setting for point in drawn.lines["a"]] == [8, 16, 32]
    assert [point.throughput for point in drawn.lines["a"]] == pytest.approx([1300, 1000, 700], rel=0.05)
    for point in drawn.lines["b"]:
        assert point.latency_low is not None
        assert point.latency_high is not None
        assert point.latency_low < point.latency < point.latency_high


def test_without_a_varied_dial_there_is_no_curve() -> None:
    tables = replace(ran(), events=())
    assert curve(ledger(tables)[:1]) is None


def test_a_session_that_reached_no_server_has_no_plan() -> None:
    assert plan_of_moves(Tables(session(60.0, lanes=""), requests_frame([]), seconds_frame([]))) == []
