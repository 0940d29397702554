"""What charts over time show: the trailing mean, a scale that is true and calm, both lanes, and marks."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from msgspec.structs import replace

from tests.ui.fake_source import FakeSource
from tests.ui.pilots import plain
from tui.model.rows import LANES
from tui.session.view import Curve, View
from tui.ui.comparison import OBJECTIVES, compare
from tui.ui.widgets.chart import ASCII_GLYPHS, GLYPHS, Pen, Rule, area_rows, chart_rows, ground, tick_texts, ticks_of
from tui.ui.widgets.lane_pane import chart_height, lane_rows
from tui.ui.widgets.panel import ScreenState
from tui.ui.widgets.trailing import HOLD_S, Trailing, shared_top, trailing, unit_of


def shown(view: View, figure: str = "output_tps", glyphs: int = 0) -> ScreenState:
    return ScreenState(view, compare(view, OBJECTIVES[0], dials_differ=False), GLYPHS[glyphs], figure=figure)


def with_tokens(a: Sequence[float | None], *, starts: tuple[int, ...] = ()) -> View:
    """Lane A brought these tokens; lane B half of them."""
    view = FakeSource(second=len(a)).view(30)
    b = [None if value is None else value / 2 for value in a]
    curves = dict(zip(LANES, (a, b), strict=True))
    lanes = {lane: replace(view.lanes[lane], curve=curve) for lane, curve in curves.items()}
    return replace(view, lanes=lanes, segment_starts=starts, dial_marks=[(at, f"conc {at}") for at in starts])


def of_lane(view: View, figure: str = "output_tps") -> Trailing:
    return trailing(view, figure)["a"]


def test_the_mean_is_of_the_last_ten_seconds_and_no_more() -> None:
    tokens = of_lane(with_tokens([float(value) for value in range(40)]))
    assert tokens.mean(39) == sum(range(30, 40)) / 10
    assert tokens.mean(4) == sum(range(5)) / 5
    assert tokens.mean(40) is None
    assert tokens.mean(-1) is None
    assert tokens.high(39) == 39


def test_the_mean_begins_anew_at_a_turn_of_a_dial_and_when_a_lane_comes_back() -> None:
    turned = of_lane(with_tokens([100.0] * 20 + [10.0] * 20, starts=(20,)))
    assert (turned.mean(19), turned.mean(20), turned.mean(25)) == (100, 10, 10)
    back = of_lane(with_tokens([100.0] * 20 + [None] * 3 + [50.0] * 7))
    assert (back.mean(19), back.mean(21), back.mean(23), back.mean(29)) == (100, None, 50, 50)


def test_the_mean_of_a_latency_weighs_each_request_once() -> None:
    view = with_tokens([100.0] * 12)
    lane = replace(view.lanes["a"], curves={"ttft": Curve([100.0, 3000.0, 0.0, *[0.0] * 9], [1, 3, 0, *[0] * 9])})
    ttft = of_lane(replace(view, lanes={"a": lane}), "ttft_p95")
    assert ttft.mean(2) == 3100 / 4
    assert ttft.mean(11) is None  # no request ended within ten seconds
    assert ttft.each[:3] == [100, 1000, None]


@pytest.mark.parametrize("rows", range(3, 25))
def test_ticks_are_equally_far_apart_and_true_for_their_rows(rows: int) -> None:
    for top in (10.0, 12.0, 15.0, 20.0, 300.0, 4_000.0, 5_000.0, 60_000.0, 80_000.0):
        ticks = ticks_of(top, rows)
        assert (ticks[0], ticks[-1]) == (0, top)
        gaps = len(ticks) - 1
        assert (rows - 1) % gaps == 0
        assert gaps == 1 or (rows - 1) // gaps >= 2
        on = ground(60, 20, 20)
        flat = [[("#", "a")] * 20 for _ in range(rows)]
        labels = [row[0][0] for row in chart_rows(flat, on, top, "tok/s")[:-1]]
        with_text = [y for y, label in enumerate(labels) if label.strip(" │┤")]
        assert [label[-1] for label in labels] == ["┤" if y in with_text else "│" for y in range(rows)]
        assert {after - before for before, after in pairwise(with_text)} == {(rows - 1) // gaps}


def test_one_axis_has_one_style_of_numbers() -> None:
    assert tick_texts([0, 500, 1000, 1500]) == ["0", "500", "1,000", "1,500"]
    assert tick_texts([0, 5000, 10_000]) == ["0", "5k", "10k"]
    assert tick_texts([0, 2.5, 5]) == ["0", "2.5", "5"]
    assert max(len(text) for text in tick_texts([0, 1_500_000, 3_000_000])) <= 5


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 10), (0.9, 1), (1.1, 1.2), (1014, 1200), (2500, 3000), (16_326, 20_000)]
)
def test_tops_waste_no_third_of_a_chart(highest: float, top: float) -> None:
    view = with_tokens([highest] * 60)
    assert shown(view).top == pytest.approx(top)


def test_a_scale_waits_half_a_minute_before_it_shrinks_and_grows_at_once() -> None:
    seconds = [900.0] * 50 + [90.0] * 300
    tops = {}
    for second in range(60, 350):
        tops[second] = shared_top(
            trailing(with_tokens(seconds[:second]), "output_tps"), second, 100, each_second=False
        )
    last = 49 + 100 + HOLD_S  # 49: the last high second; 100: what the chart covers
    assert tops[last - HOLD_S] == tops[last] == 1000
    assert tops[last + 1] == 100
    grown = with_tokens([90.0] * 50 + [900.0] * 10)
    assert shown(grown).top == 1000


def test_single_seconds_do_not_crush_the_mean_but_each_second_is_shown_whole_when_asked_for() -> None:
    combed = with_tokens([5000.0 if second % 10 == 9 else 100.0 for second in range(120)])
    assert shown(combed).top == 800
    assert shown(combed, glyphs=2).top == 5000


def test_an_area_up_to_the_mean_the_range_behind_it_and_the_other_lane_across() -> None:
    tokens = [300.0 if second % 2 else 500.0 for second in range(120)]
    state = shown(with_tokens(tokens))
    on = ground(120, 40, 100)
    pen = Pen("a", GLYPHS[0], state.top)
    cells = area_rows(state.trailing["a"].area(on), on, 13, pen, Rule(200.0, "B 200", "b"))
    rows = ["".join(ch for ch, _ in row) for row in cells]
    assert rows[-1] == "█" * 40
    assert [row[-1] for row in rows[:4]] == ["░", "░", "▃", "█"]
    assert rows[7].startswith("┄┄ B 200 ┄┄┄")
    assert {role for _, role in cells[7]} == {"b"}


def test_in_a_low_chart_the_other_lanes_rule_leaves_the_area_whole() -> None:
    state = shown(with_tokens([400.0] * 120))
    on = ground(120, 40, 100)
    cells = area_rows(state.trailing["a"].area(on), on, 4, Pen("a", GLYPHS[0], 500.0), Rule(200.0, "B 200", "b"))
    row = "".join(ch for ch, _ in cells[2])
    assert row == "┄┄ B 200 ".replace("┄", "█") + "█" * 31


def test_marks_that_nearly_coincide_are_one_with_the_last_label() -> None:
    view = with_tokens([70.0] * 100, starts=(60, 62, 63, 66, 68))
    state = shown(view)
    text = plain(lane_rows(state, "a", 56, 26))
    assert text.count("conc") == 1
    assert "conc 68" in text
    assert max(row.count("┊") for row in text.splitlines()) == 1


@pytest.mark.parametrize("room", range(4, 26))
def test_a_chart_leaves_at_most_one_row_blank(room: int) -> None:
    assert room - chart_height(room) in ({0, 1} if room <= 25 else {0})
    assert chart_height(room) < 6 or chart_height(room) % 2 == 0


@pytest.mark.parametrize("glyphs", [*GLYPHS, ASCII_GLYPHS[1]], ids=lambda one: one.kind)
@pytest.mark.parametrize("figure", ["output_tps", "ttft_p95", "tpot_p95", "e2e_p95", "goodput"])
def test_every_way_to_draw_every_figure_has_the_rows_asked_for(glyphs: object, figure: str) -> None:
    view = FakeSource(second=150).view(30)
    for second, height in ((0, 26), (1, 12), (150, 26), (150, 3)):
        at = FakeSource(second=second).view(30) if second != 150 else view
        state = ScreenState(at, compare(at, OBJECTIVES[0], dials_differ=False), glyphs, figure=figure)  # type: ignore[arg-type]
        rows = lane_rows(state, "a", 56, height)
        assert len(rows) == height
        assert {sum(len(text) for text, _ in row) for row in rows} == {56}
        assert height < 20 or unit_of(figure) in plain(rows)


def test_a_second_more_changes_only_what_moved() -> None:
    level = [400.0] * 140
    before, after = (lane_rows(shown(with_tokens(level[:second])), "a", 56, 26)[2:14] for second in (131, 132))
    assert before == after


def test_a_chart_that_must_stay_empty_says_why() -> None:
    view = FakeSource(second=150).view(30)
    assert "no latency limits: L sets them" in plain(lane_rows(shown(view, "goodput"), "a", 56, 26))
    doubted = replace(view.lanes["a"], curves={}, unknown={"tpot": "TPOT unknown: tokens came at once"})
    text = plain(lane_rows(shown(replace(view, lanes={"a": doubted}), "tpot_p95"), "a", 56, 26))
    assert "│ TPOT unknown: tokens came at once" in text
