"""Rows are fitted to a width, and a change sends no more cells than it must, and no fewer."""

from tui.stats.verdict import Verdict
from tui.ui.comparison import Comparison
from tui.ui.widgets import numbers
from tui.ui.widgets.header import verdict_row
from tui.ui.widgets.rows import Row, changed_cells, fit, printable, spread
from tui.ui.widgets.theme import to_ascii


def plain(row: Row) -> str:
    return "".join(text for text, _ in row)


def test_rows_are_cut_and_filled_to_their_width() -> None:
    assert plain(fit([("abc", ""), ("def", "")], 5)) == "abcd…"
    assert plain(fit([("模型", "")], 3)) == "模…"
    assert plain(spread([("left", "")], [("right", "")], 12)) == "left   right"
    assert plain(spread([("left", "")], [("right", "")], 7)) == "l…right"


def test_a_part_that_only_moved_is_painted_where_it_went() -> None:
    before = (("one ", ""), ("two ", "a"), ("three", ""))
    assert changed_cells(before, (("one ", ""), ("2nd ", "a"), ("three", ""))) == 8  # the right end stays as it is
    assert changed_cells(before, (("one ", ""), ("second ", "a"), ("three", ""))) == 16
    assert changed_cells(before, (("1 ", ""), ("three", ""))) == 13
    assert changed_cells(before, before) == 1


def test_a_count_takes_at_most_four_characters() -> None:
    values = (0, 999, 1_000, 1_249, 9_949, 9_960, 12_345, 999_499, 999_600, 1_250_000, 45_000_000, 2e9)
    told = [numbers.short(value) for value in values]
    wanted = ["0", "999", "1.0k", "1.2k", "9.9k", "10k", "12k", "999k", "1.0M", "1.2M", "45M", "2.0G"]
    assert told == wanted
    assert max(map(len, told)) == 4


def test_one_is_no_plural_and_a_small_file_has_a_size() -> None:
    assert [numbers.counted(count, "row") for count in (0, 1, 2481)] == ["0 rows", "1 row", "2 481 rows"]
    assert [numbers.size(count) for count in (17, 4_200, 612_345, 6_100_000)] == [
        "17 B",
        "4.2 kB",
        "610 kB",
        "6.1 MB",
    ]


def test_a_narrow_headline_drops_a_clause_and_cuts_no_number() -> None:
    verdict = Verdict("output_tps", "B ahead", 0.58, 0.54, 0.63)
    comparison = Comparison(verdict, "output tok/s", 0.58, note="116 s settled, level within 3.0%")
    wide, narrow = ("".join(text for text, _ in verdict_row(comparison, width)) for width in (100, 80))
    assert "level within 3.0%" in wide
    assert narrow.rstrip().endswith("116 s settled")


def test_no_control_character_passes_to_the_terminal() -> None:
    hostile = "a\x1b[2J\u202eb 模型"
    assert printable(hostile) == "a[2Jb 模型"
    assert to_ascii(hostile) == "a[2Jb ????"
    assert printable("● 12.3 …") == "● 12.3 …"
