"""Rows are fitted to a width, and a change sends no more cells than it must, and no fewer."""

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


def test_no_control_character_passes_to_the_terminal() -> None:
    hostile = "a\x1b[2J\u202eb 模型"
    assert printable(hostile) == "a[2Jb 模型"
    assert to_ascii(hostile) == "a[2Jb ????"
    assert printable("● 12.3 …") == "● 12.3 …"
