"""The line that compares the lanes, and what stays on the terminal."""

import dataclasses

import pytest
from msgspec.structs import replace

from tests.ui.fake_source import FakeSource
from tests.ui.made_ledger import long_ledger, row, swept
from tui.judge.sentence import lane_names
from tui.model.session import LaneInfo
from tui.stats.verdict import Verdict, Word
from tui.ui.comparison import OBJECTIVES, compare, summary_lines


def sentence(verdict: Verdict | None, **changes: object) -> str:
    """What is said of a verdict on the throughput by a view with these changes."""
    view = replace(FakeSource(second=150).view(30), **changes)
    if verdict is not None:
        view = replace(view, verdicts={"output_tps": verdict})
    return compare(view, OBJECTIVES[0], dials_differ=False).sentence.text


def test_in_turns_what_a_verdict_needs_is_counted_in_turns() -> None:
    verdict = Verdict("output_tps", "undecided", 1.2, 0.9, 1.5, need_s=100, measured_s=300)
    assert sentence(verdict) == "measuring: A vLLM 1.2× so far, sure in about 2 min"
    assert sentence(verdict, mode="alternate") == "measuring: A vLLM 1.2× so far, sure in about 2 turns of each"
    last = dataclasses.replace(verdict, need_s=3)
    assert sentence(last, mode="alternate") == "measuring: A vLLM 1.2× so far, sure in about 1 turn of each"


def test_while_it_settles_no_ratio_is_shown() -> None:
    settling = Verdict("output_tps", "undecided", need_s=5.2, reason="settling", measured_s=6)
    assert sentence(settling) == "settling: 6 of about 12 s"
    assert sentence(settling, segment_tps={"a": [900.0], "b": [300.0]}) == "settling: 6 of about 12 s"


def test_before_both_servers_answer_it_says_whom_it_waits_for() -> None:
    view = FakeSource().view(30)
    assert compare(view, OBJECTIVES[0], dials_differ=False).sentence.text == "connecting to A and B"


def test_one_lane_has_nothing_to_be_compared_with() -> None:
    view = FakeSource(second=150, lanes="a").view(30)
    assert compare(view, OBJECTIVES[0], dials_differ=False).sentence.text == "one lane alone: nothing to compare"


def test_what_is_measured_so_far_is_that_of_the_settled_seconds() -> None:
    few = Verdict("output_tps", "undecided", need_s=17.0, measured_s=3)
    shown = sentence(few, segment_tps={"a": [900.0, 700.0], "b": [500.0, 500.0]})
    assert shown == "measuring: A vLLM 1.6× so far, sure in about 17 s"


def test_a_lane_that_is_down_comes_first() -> None:
    view = FakeSource(second=150).view(30)
    lanes = {**view.lanes, "b": replace(view.lanes["b"], state="down")}
    reason = Verdict("output_tps", "not comparable", reason="B down")
    assert sentence(reason, lanes=lanes) == "B SGLang is down: not comparable"


def test_a_setting_visited_again_shows_the_verdict_over_all_visits() -> None:
    def shown(visits: int, word: Word) -> str:
        setting = row(16, 1200, 90, word)
        ledger = [dataclasses.replace(setting, visits=visits)]
        return sentence(Verdict("output_tps", "undecided", need_s=40.0), ledger=ledger, ledger_now=0)

    assert shown(4, "A ahead").startswith(
        "A vLLM gives 1.11× B SGLang's tokens/s (95 %: 1.02 to 1.21), after 60 s in 4"
    )
    assert shown(4, "undecided") == shown(1, "A ahead") == "measuring, sure in about 40 s"


def test_a_word_says_whether_it_holds_among_all_settings() -> None:
    settings = [row(8, 900, 80, "A ahead"), row(16, 1200, 90, "A ahead")]
    verdict = settings[1].verdict
    assert "holds among all 2 settings" in sentence(verdict, ledger=settings, ledger_now=1)
    alone = dataclasses.replace(verdict, holds_among=1)
    ledger = [settings[0], dataclasses.replace(settings[1], verdict=alone)]
    assert "alone, not among all 2 settings" not in sentence(alone, ledger=ledger, ledger_now=1)
    ledger[0] = dataclasses.replace(ledger[0], verdict=alone)
    assert "alone, not among all 2 settings" in sentence(alone, ledger=ledger, ledger_now=1)


def test_different_work_is_said_next_to_a_rate_of_tokens() -> None:
    verdict = Verdict("output_tps", "A ahead", 1.14, 1.08, 1.21, note="different work: answers")
    assert sentence(verdict).endswith("! different work: answers")


@pytest.mark.parametrize(
    ("a", "b", "names"),
    [
        ({}, {"title": "SGLang"}, ("A vLLM", "B SGLang")),
        ({"version": "0.26"}, {"version": "0.31"}, ("A vLLM 0.26", "B vLLM 0.31")),
        ({"model": "x/llama-8b"}, {"model": "x/qwen"}, ("A vLLM llama-8b", "B vLLM qwen")),
        ({"url": "http://h:8000"}, {"url": "http://h:8001"}, ("A vLLM :8000", "B vLLM :8001")),
        ({}, {}, ("A vLLM", "B vLLM")),
    ],
)
def test_equal_engines_are_named_by_what_differs(
    a: dict[str, str], b: dict[str, str], names: tuple[str, str]
) -> None:
    known = LaneInfo(url="http://h:1", engine="vllm", title="vLLM", version="1", model="m")
    assert tuple(lane_names({"a": replace(known, **a), "b": replace(known, **b)}).values()) == names
    assert lane_names({"a": known, "b": None}) == {"a": "A vLLM", "b": "B"}


def test_the_ledger_stays_on_the_terminal_a_row_a_setting() -> None:
    view = swept()(FakeSource(second=150).view(30))
    lines = summary_lines(view)
    said = "A vLLM gives 1.11× B SGLang's tokens/s (95 %: 1.02 to 1.21), after 60 s · holds among all 5 settings"
    assert f"conc 1 streams: {said}" in lines
    assert len([line for line in lines if line.startswith("conc ")]) == 5


def test_of_many_settings_the_newest_eight_stay_on_the_terminal() -> None:
    lines = summary_lines(long_ledger(FakeSource(second=150).view(30)))
    assert [line.partition(":")[0] for line in lines if line.startswith("conc ")] == [
        f"conc {streams} streams" for streams in range(8, 0, -1)
    ]
    assert "+32 in the report" in lines


def test_without_a_setting_the_verdict_stays_on_the_terminal() -> None:
    view = replace(FakeSource(second=150).view(30), verdicts={"output_tps": Verdict("output_tps", "undecided")})
    assert "measuring" in summary_lines(view)
