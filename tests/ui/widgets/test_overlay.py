"""Both lanes in one chart, and the ratio below it."""

import pytest
from msgspec.structs import replace

from tests.ui.fake_source import FakeSource
from tests.ui.pilots import plain
from tests.ui.widgets.test_chart import shown, with_tokens
from tui.session.view import View
from tui.stats.verdict import Verdict, Word
from tui.ui.widgets.chart import GLYPHS, ground
from tui.ui.widgets.overlay import lines_of, overlay_rows, ratio_panel_rows, ratio_rows


def said(view: View, ratio: float, half: float, word: Word = "undecided", count: int = 60) -> View:
    verdict = Verdict("output_tps", word, ratio, ratio * (1 - half), ratio * (1 + half))
    return replace(view, history=[{"output_tps": verdict}] * count, verdicts={"output_tps": verdict})


@pytest.mark.parametrize("glyphs", range(len(GLYPHS)))
def test_neither_lane_hides_the_other_where_they_are_equal(glyphs: int) -> None:
    view = with_tokens([400.0] * 300)
    same = replace(view, lanes={lane: replace(view.lanes["a"], lane=lane) for lane in ("a", "b")})
    cells = lines_of(shown(same, glyphs=glyphs), ground(300, 80, 150), 8, 500.0)
    drawn = [role for row in cells for ch, role in row if ch != " "]
    assert drawn.count("a") == drawn.count("b") == 40


def test_the_axis_has_the_minutes_and_now_is_at_the_end() -> None:
    view = with_tokens([400.0] * 400)
    rows = plain(overlay_rows(shown(view), 120, 14)).splitlines()
    axis = next(row for row in rows if "└" in row)
    assert [text for text in axis.replace("─", " ").split() if ":" in text] == [
        "02:00",
        "03:00",
        "04:00",
        "05:00",
        "06:00",
    ]
    assert axis.index("03:00") - axis.index("02:00") == 20  # 3 s a cell
    assert rows[rows.index(axis) + 1].rstrip().endswith("now")
    assert {len(row) for row in rows} == {120}


def test_the_ribbon_is_b_over_a_and_narrows_on_a_line() -> None:
    view = FakeSource(second=60).view(30)
    wide, narrow = (plain(ratio_panel_rows(shown(said(view, 0.6, half)), 60, 8)) for half in (0.3, 0.05))
    assert wide.count("░") > narrow.count("░")
    for text in (wide, narrow):
        assert "1.67×" in text
        assert " 1.00┼" in text.splitlines()[6]  # nothing lies below equal
        assert "equal" in text
        assert "B/A" in text


def test_the_ribbon_has_the_colour_of_who_is_ahead_once_it_is_said() -> None:
    view = FakeSource(second=60).view(30)
    words: dict[Word, str] = {"A ahead": "a strong", "B ahead": "b strong", "undecided": "muted strong"}
    for word, role in words.items():
        rows = ratio_rows(shown(said(view, 0.6, 0.1, word)), ground(60, 40, 60), 60, 6)
        assert role in {span[1] for row in rows for span in row if "▀" in span[0] or "▄" in span[0]}


def test_without_a_ratio_it_says_why() -> None:
    view = FakeSource(second=20).view(30)
    nothing = replace(view, history=[{}] * 20, verdicts={})
    assert "once requests of the old setting have ended" in plain(
        ratio_rows(shown(nothing), ground(20, 40, 60), 80, 4)
    )
    soon = replace(
        nothing, verdicts={"output_tps": Verdict("output_tps", "undecided", need_s=34.2, reason="needs 80")}
    )
    assert "in about 34 s" in plain(ratio_rows(shown(soon), ground(20, 40, 60), 80, 4))
    never = replace(nothing, verdicts={"output_tps": Verdict("output_tps", "not comparable", reason="models differ")})
    assert "models differ" in plain(ratio_rows(shown(never), ground(20, 40, 60), 80, 4))


def test_seconds_of_which_nothing_was_said_are_a_gap() -> None:
    view = FakeSource(second=60).view(30)
    history = list(said(view, 0.8, 0.1).history)
    history[20:40] = [{"output_tps": Verdict("output_tps", "undecided", reason="settling")}] * 20
    rows = ratio_rows(shown(replace(said(view, 0.8, 0.1), history=history)), ground(60, 60, 60), 80, 4)
    line = next(text for text in plain(rows).splitlines() if "▀" in text or "▄" in text)
    assert line[6 + 20 : 6 + 40].strip(" ─") == ""
    assert line[6 + 19] in "▀▄"
    assert line[6 + 40] in "▀▄"
