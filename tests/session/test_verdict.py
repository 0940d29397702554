"""The verdict of a running head-to-head, from rows made up second by second."""

from collections.abc import Iterable

import pytest

from tests.session.made_seconds import Run
from tui.model.profile import Limits
from tui.model.rows import Batch, EventRow


def test_after_enough_settled_seconds_the_faster_lane_is_ahead() -> None:
    run = Run(rate={"a": 1200, "b": 1000})
    words = [run.second().verdicts["output_tps"].word for _ in range(240)]
    assert words[0] == "undecided"
    assert words[-1] == "A ahead"
    verdict = run.view().verdicts["output_tps"]
    assert verdict.ratio == pytest.approx(1.2, rel=0.03)
    assert verdict.low is not None
    assert verdict.high is not None
    assert verdict.low < 1.2 < verdict.high
    assert changes(words) == 1


def test_a_close_race_does_not_flicker() -> None:
    run = Run(rate={"a": 1032, "b": 1000})
    assert changes(run.second().verdicts["output_tps"].word for _ in range(600)) <= 3


def test_too_few_seconds_say_how_many_more_are_needed() -> None:
    run = Run()
    run.seconds(20)
    verdict = run.view().verdicts["output_tps"]
    assert verdict.word == "undecided"
    assert verdict.need_s == 20 - len(run.view().segment_tps["a"])


def test_a_turned_dial_starts_again_and_settles_first() -> None:
    run = Run(rate={"a": 1200, "b": 1000})
    run.seconds(200)
    run.turn()
    view = run.second()
    assert view.verdicts["output_tps"].reason == "settling"
    assert view.verdicts["output_tps"].word == "undecided"
    assert view.settling_s > 0
    assert view.segment_tps == {"a": [], "b": []}


def test_a_segment_is_not_settled_before_each_lane_has_finished_a_request() -> None:
    run = Run(finishing=False)
    run.seconds(30)
    assert run.view().segment_tps["a"] == []
    run.seconds(31)
    assert run.view().segment_tps["a"] != []  # but it is not waited for beyond a minute


def test_the_settled_start_stays_although_requests_become_slower() -> None:
    run = Run()
    run.seconds(20)
    before = run.view().segment_tps["a"]
    run.e2e_s = 20.0
    run.seconds(10)
    assert run.view().segment_tps["a"][: len(before)] == before
    assert run.view().settling_s == 0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"incomparable": "precision differs"}, "precision differs"),
        ({"bound": True}, "the client was the limit in most seconds"),
        ({"models": ("x", "y")}, "different models"),
        ({"dials_differ": True}, "dials differ: concurrency 8 against 9"),
        ({"failing": 0.5}, "requests failed in lane B"),
    ],
)
def test_what_forbids_a_comparison_is_said_instead_of_a_word(change: dict[str, object], why: str) -> None:
    run = Run(rate={"a": 1200, "b": 1000}, **change)  # type: ignore[arg-type]
    run.seconds(120)
    verdicts = run.view().verdicts
    assert {verdict.word for verdict in verdicts.values()} == {"not comparable"}
    assert all(why in verdict.reason for verdict in verdicts.values())


def test_latencies_and_goodput_have_separate_verdicts() -> None:
    run = Run(ttft_ms={"a": 100, "b": 200}, slo=Limits(ttft_ms=150))
    run.seconds(260)
    verdicts = run.view().verdicts
    assert verdicts["ttft_p50"].word == verdicts["ttft_p95"].word == "A ahead"
    assert verdicts["ttft_p95"].ratio == pytest.approx(0.5, rel=0.1)
    assert verdicts["goodput"].word == "A ahead"
    assert verdicts["output_tps"].word in {"level", "undecided"}


def test_limits_are_met_or_not_by_the_rule_for_a_share_of_all_requests() -> None:
    run = Run(ttft_ms={"a": 100, "b": 200}, slo=Limits(ttft_ms=150))
    run.seconds(20)
    assert run.view().lanes["a"].limits_met == "undecided"
    run.seconds(150)  # 600 requests; 459 without one over the limit are needed
    assert {lane: shown.limits_met for lane, shown in run.view().lanes.items()} == {"a": "met", "b": "not met"}
    assert Run().second().lanes["a"].limits_met == ""


def test_lanes_that_take_turns_are_compared_the_nth_second_with_the_nth() -> None:
    run = Run(rate={"a": 1200, "b": 1000}, turns_s=10)
    run.seconds(400)
    view = run.view()
    assert len(view.segment_tps["a"]) == len(view.segment_tps["b"]) > 150
    assert view.verdicts["output_tps"].word == "A ahead"


def changes(words: Iterable[str]) -> int:
    """How often the word became another."""
    said = list(words)
    return sum(said[i] != said[i - 1] for i in range(1, len(said)))


def test_limits_set_while_it_runs_count_from_their_event_on() -> None:
    run = Run(ttft_ms={"a": 100, "b": 200})
    run.seconds(30)
    before = run.view()
    assert (before.limits, before.lanes["a"].goodput, before.lanes["a"].inside_share) == ({}, None, None)
    run.state.apply(Batch(run.state.t_ns, events=[EventRow("", run.state.t_ns, "limits", new="ttft:150")]))
    after = run.view()
    assert after.limits == {"ttft": 150.0}
    shares = {lane: shown.inside_share for lane, shown in after.lanes.items()}
    assert shares["a"] is not None
    assert shares["b"] is not None
    assert shares["a"] > 0.9
    assert shares["b"] < 0.1
    assert "goodput" not in after.verdicts
    run.seconds(2)
    assert "goodput" in run.view().verdicts
    run.state.apply(Batch(run.state.t_ns, events=[EventRow("", run.state.t_ns, "limits", old="ttft:150")]))
    assert run.view().lanes["a"].goodput is None
