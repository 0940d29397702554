"""Rows are fitted to a width, and a change sends no more cells than it must, and no fewer."""

from collections.abc import Iterator

import pytest
from rich.style import Style
from textual._compositor import ChopsUpdate, Compositor

from tests.ui.fake_source import FakeSource
from tests.ui.pilots import SIZE, live, settled
from tui.ui.app import DragstripApp
from tui.ui.widgets.rows import Row, changed_cells, fit, printable, spread
from tui.ui.widgets.theme import to_ascii


def plain(row: Row) -> str:
    return "".join(text for text, _ in row)


def test_rows_are_cut_and_filled_to_their_width() -> None:
    assert plain(fit([("abc", ""), ("def", "")], 5)) == "abcd…"
    assert plain(fit([("模型", "")], 3)) == "模…"
    assert plain(spread([("left", "")], [("right", "")], 12)) == "left   right"
    assert plain(spread([("left", "")], [("right", "")], 7)) == "l…right"


def test_only_the_cells_from_the_first_to_the_last_that_differ_are_painted() -> None:
    before = (("one ", ""), ("two ", "a"), ("three", ""))
    assert changed_cells(before, (("one ", ""), ("2nd ", "a"), ("three", ""))) == (4, 3)
    assert changed_cells(before, (("one ", ""), ("two ", "b"), ("three", ""))) == (4, 4)
    assert changed_cells(before, (("One ", ""), ("two ", "a"), ("threE", ""))) == (0, 13)
    assert changed_cells(before, (("one two ", ""), ("three", ""))) == (4, 4)
    assert changed_cells(before, (("1 ", ""), ("three", ""))) == (0, 13)  # what only moved is painted where it went
    assert changed_cells((("模型 1", ""),), (("模型 2", ""),)) == (0, 6)


def test_no_control_character_passes_to_the_terminal() -> None:
    hostile = "a\x1b[2J\u202eb 模型"
    assert printable(hostile) == "a[2Jb 模型"
    assert to_ascii(hostile) == "a[2Jb ????"
    assert printable("● 12.3 …") == "● 12.3 …"


def painted(update: ChopsUpdate | None) -> dict[tuple[int, int], tuple[str, Style | None]]:
    """What an update sends, cell by cell."""
    assert update is not None
    cells = {}
    for y, left, right in update.spans:
        for x, strip in update.chops[y].items():
            if strip is not None and x < right and left < x + strip.cell_length:
                for at, (ch, style) in enumerate(_cells(strip.crop(0, right - x)), x):
                    cells[at, y] = (ch, style)
    return cells


def _cells(strip: object) -> Iterator[tuple[str, Style | None]]:
    for text, style, _ in strip:  # type: ignore[attr-defined]
        for ch in text:
            yield ch, style


@pytest.mark.parametrize("theme", ["dragstrip-dark", "dragstrip-light", "dragstrip-sixteen"])
async def test_a_second_is_painted_as_textual_would_and_no_widget_but_those_that_changed(
    theme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        app.theme = theme
        await settled(pilot)
        compositor = live(app)._compositor
        ours: list[dict[tuple[int, int], tuple[str, Style | None]]] = []
        theirs: list[dict[tuple[int, int], tuple[str, Style | None]]] = []

        def both() -> ChopsUpdate | None:
            dirty = set(compositor._dirty_regions)
            update = type(compositor).render_partial_update(compositor)
            ours.append(painted(update))
            compositor._dirty_regions = dirty
            theirs.append(painted(Compositor.render_partial_update(compositor)))
            return update

        monkeypatch.setattr(compositor, "render_partial_update", both)
        source.advance()
        await settled(pilot)
    assert sum(map(len, ours)) > 300
    for mine, textuals in zip(ours, theirs, strict=True):
        assert mine.keys() <= textuals.keys()  # Textual sends what stands left of a change with it
        assert {at: ch for at, (ch, _) in mine.items()} == {at: textuals[at][0] for at in mine}
        assert {at: _look(style) for at, (_, style) in mine.items()} == {at: _look(textuals[at][1]) for at in mine}


def _look(style: Style | None) -> tuple[object, ...]:
    return () if style is None else (style.color, style.bgcolor, style.bold, style.reverse)
