"""Colours can be read, and every theme has colours for each lane."""

import pytest
from rich.color import Color

from tests.ui.fake_source import FakeSource
from tests.ui.pilots import settled
from tui.ui.app import DragstripApp
from tui.ui.widgets.theme import PALETTES, SHORT_GREYS, Palette, first_theme, style_of


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("palette", [p for p in PALETTES if p.name != "dragstrip-sixteen"], ids=lambda p: p.label)
def test_every_colour_can_be_read(palette: Palette) -> None:
    for colour in (palette.text, *palette.roles.values()):
        light, dark = sorted((luminance(palette.ground), luminance(colour)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_the_short_greys_are_the_same_greys() -> None:
    for named, number in SHORT_GREYS.items():
        assert Color.parse(number).get_truecolor().hex == named


def test_few_colours_and_light_grounds_choose_their_theme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORFGBG", "0;15")
    assert first_theme("truecolor") == "dragstrip-light"
    assert first_theme("standard") == "dragstrip-sixteen"
    monkeypatch.delenv("COLORFGBG")
    assert first_theme("256") == "dragstrip-dark"


async def test_another_theme_recolours_every_row() -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=(80, 24)) as pilot:
        for palette in PALETTES:
            app.theme = palette.name
            await settled(pilot)
            drawn = {s.style for strip in app.screen._compositor.render_strips() for s in strip if s.text == "A"}
            colour = style_of(palette.name, "a").color
            assert [style.color for style in drawn if style is not None] == [colour]
