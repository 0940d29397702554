"""What a lane's view says of the values behind it."""

import pytest
from msgspec.structs import replace

from tests.session.made_seconds import REQUESTS_A_SECOND, Run
from tui.model.dials import Dials
from tui.model.gauges import RUNNING, WAITING
from tui.model.profile import Limits
from tui.model.rows import GaugeRow
from tui.session.make_view import gauge_curve

NS = 1_000_000_000


def test_an_answer_of_one_token_has_no_tpot_and_does_not_miss_its_limit() -> None:
    run = Run(slo=Limits(ttft_ms=500, tpot_ms=200), one_token=True)
    run.seconds(20)
    shown = run.view().lanes["a"]
    assert shown.goodput == REQUESTS_A_SECOND
    assert (shown.latencies["ttft"].n, shown.latencies["tpot"].n) == (40, 30)


def test_one_limit_missed_is_enough() -> None:
    run = Run(slo=Limits(ttft_ms=500, tpot_ms=1), one_token=True)
    run.seconds(20)
    assert run.view().lanes["a"].goodput == 1


def test_figures_are_of_the_dials_in_force_alone() -> None:
    run = Run()
    run.seconds(20)
    before = run.view().lanes["a"]
    assert before.over_s == 10
    assert before.output_tps == pytest.approx(1000, rel=0.1)
    run.turn()
    run.rate["a"], run.lagging = 3000, True
    after = run.second().lanes["a"]
    assert (after.over_s, after.latencies["ttft"].n, after.output_tokens_seen) == (1, 0, None)
    run.ttft_ms["a"], run.lagging = 500, False
    run.seconds(3)
    after = run.view().lanes["a"]
    assert (after.over_s, after.latencies["ttft"].n) == (4, 3 * REQUESTS_A_SECOND)
    assert after.output_tps == pytest.approx(3000, rel=0.1)
    assert after.latencies["ttft"].ms["p50"] == pytest.approx(500, rel=0.1)


@pytest.mark.parametrize("turns_s", [0, 20])
def test_requests_that_neither_run_nor_wait_are_in_front_of_the_scheduler(turns_s: int) -> None:
    run = Run(turns_s=turns_s)
    state = run.state.lanes["a"]
    for second in range(60):
        run.seconds(1)
        has_turn = not turns_s or state.seconds[-1].resting is False
        running, waiting = (4.0 + second % 2, 1.0) if has_turn else (0.0, 0.0)
        for name, value in ((RUNNING, running), (WAITING, waiting)):
            state.take_gauge(GaugeRow("a", "server", name, run.state.t_ns - NS // 2, value))
    assert run.view().lanes["a"].server.unscheduled == pytest.approx(1 - 5.5 / 8)
    while len(state.gauges["server", WAITING]) > 7:
        state.gauges["server", WAITING].popleft()
    assert run.view().lanes["a"].server.unscheduled is None


def test_gauges_that_follow_the_load_two_seconds_late_make_no_request_unscheduled() -> None:
    run = Run()
    for second in range(10):
        run.seconds(1)
        for name, value in ((RUNNING, 8.0 if second > 1 else 0.0), (WAITING, 0.0)):
            run.state.lanes["a"].take_gauge(GaugeRow("a", "server", name, run.state.t_ns - NS // 2, value))
    assert run.view().lanes["a"].server.unscheduled == 0


def test_the_curve_of_a_gauge_bridges_the_seconds_between_readings_but_no_outage() -> None:
    now_ns = 1_000 * NS
    readings = [((880 + at) * NS + 5, float(at)) for at in (-200, -9, 1, 30, 31, 90, 119)]
    curve = gauge_curve(readings, now_ns)
    assert curve[:32] == [-9.0, *[1.0] * 29, 30.0, 31.0]
    assert curve[32:90] == [None] * 58  # not read for longer than any exporter takes
    assert curve[90:] == [90.0] * 29 + [119.0]
    assert gauge_curve([], now_ns) == [None] * 120
    assert gauge_curve([(700 * NS, 1.0)], now_ns) == [None] * 120


def test_a_percentile_is_a_value_that_was_measured() -> None:
    run = Run()
    run.seconds(10)
    state = run.state.lanes["a"]
    measured = {ms for second in state.details for ms in second.latencies["ttft"].tolist()}
    assert run.view().lanes["a"].latencies["ttft"].ms["p50"] in measured


@pytest.mark.parametrize(
    ("course", "turn"),
    [
        ("", ""),
        ("w", "waits"),
        ("wwr", "ramp"),
        ("wrn", "ramp"),  # no request began in its newest second
        ("rrm", "measured"),
        ("rmr", "drains"),  # the second in which the turn ended
        ("rmrd", "drains"),
        ("mrdw", "waits"),
        ("mrrr", "ramp"),  # a dial moved, and the turn goes on
    ],
)
def test_what_a_lane_does_in_turns_is_derived_from_its_seconds(course: str, turn: str) -> None:
    kinds = {  # resting, requests that began, streams in flight
        "w": (True, 0, 0), "r": (True, 2, 4), "n": (True, 0, 4), "d": (True, 0, 3), "m": (False, 2, 4),
    }  # fmt: skip
    run = Run(turns_s=30)
    run.seconds(1)
    seconds = run.state.lanes["a"].seconds
    some = seconds.pop()
    for resting, started, in_flight in map(kinds.__getitem__, course):
        seconds.append(replace(some, resting=resting, started=started, in_flight=in_flight))
    assert run.view().lanes["a"].turn == turn
    if turn == "ramp":
        run.dials["a"] = Dials(concurrency=0)
        assert run.view().lanes["a"].turn == "drains"
