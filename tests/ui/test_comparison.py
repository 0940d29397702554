"""The line that compares the lanes, and what stays on the terminal."""

import dataclasses

import pytest
from msgspec.structs import replace

from tests.ui.fake_source import FakeSource
from tests.ui.made_ledger import row
from tui.stats.verdict import Verdict, Word
from tui.ui.comparison import OBJECTIVES, compare, summary_lines


async def test_in_turns_what_a_verdict_needs_is_counted_in_turns() -> None:
    def undecided(need_s: float, mode: str, reason: str = "5 pairs of turns, 30 s of each lane") -> str:
        view = replace(FakeSource(second=150).view(30), mode=mode)
        view = replace(
            view, verdicts={"output_tps": Verdict("output_tps", "undecided", need_s=need_s, reason=reason)}
        )
        return compare(view, OBJECTIVES[0], dials_differ=False).note

    assert undecided(40, "together") == "needs about 40 s more"
    assert undecided(100, "alternate") == "needs about 2 more turns each"
    few = "needs 4 turns of each lane side by side, has 1"
    assert undecided(180, "alternate", few) == few
    assert undecided(3, "alternate") == "needs about 1 more turn each"


def test_while_it_settles_the_verdict_says_over_which_seconds_its_ratio_is() -> None:
    def note(*over_s: int) -> str:
        view = FakeSource(second=150).view(30)
        lanes = {
            lane: replace(view_of_lane, over_s=s)
            for (lane, view_of_lane), s in zip(view.lanes.items(), over_s, strict=True)
        }
        settling = {"output_tps": Verdict("output_tps", "undecided", need_s=5.0, reason="settling")}
        return compare(replace(view, lanes=lanes, verdicts=settling), OBJECTIVES[0], dials_differ=False).note

    assert note(7, 6) == "over 6 s, settling"
    assert note(0, 0) == "settling"


def test_a_setting_visited_again_shows_the_verdict_over_all_visits() -> None:
    def note(visits: int, word: Word) -> str:
        view = FakeSource(second=150).view(30)
        setting = row(16, 1200, 90, word)
        view = replace(view, ledger=[dataclasses.replace(setting, visits=visits)], ledger_now=0)
        view = replace(view, verdicts={"output_tps": Verdict("output_tps", "undecided", need_s=40.0)})
        return compare(view, OBJECTIVES[0], dials_differ=False).note

    assert note(4, "A ahead") == "this visit; all 4 visits: A ahead 1.11, press t"
    assert note(4, "undecided") == note(1, "A ahead") == "needs about 40 s more"


@pytest.mark.parametrize(
    ("verdict", "line"),
    [
        (Verdict("output_tps", "A ahead", 1.14, 1.08, 1.21), "A/B output tok/s 1.14 [1.08 … 1.21], A ahead"),
        (Verdict("output_tps", "level", 1.0, 0.99, 1.01), "A/B output tok/s 1.00 [0.99 … 1.01], level"),
        (Verdict("output_tps", "undecided"), "A/B output tok/s 1.13, undecided"),
        (
            Verdict("output_tps", "level", 1.0, 0.99, 1.01, note="different work: answers"),
            "A/B output tok/s 1.00 [0.99 … 1.01], level; different work: answers",
        ),
        (
            Verdict("output_tps", "not comparable", reason="not comparable because the models differ"),
            "A/B output tok/s 1.13, not comparable: the models differ",
        ),
    ],
)
def test_the_last_verdict_is_in_the_summary(verdict: Verdict, line: str) -> None:
    view = replace(FakeSource(second=150).view(30), verdicts={"output_tps": verdict})
    assert line in summary_lines(view)


def test_without_a_verdict_the_plain_ratio_is_undecided() -> None:
    assert "A/B output tok/s 1.13, undecided" in summary_lines(FakeSource(second=150).view(30))


def test_different_work_is_said_next_to_a_rate_of_tokens() -> None:
    verdict = Verdict("output_tps", "A ahead", 1.14, 1.08, 1.21, note="different work: answers")
    view = replace(FakeSource(second=150).view(30), verdicts={"output_tps": verdict})
    assert compare(view, OBJECTIVES[0], dials_differ=False).warning == "different work: answers"
