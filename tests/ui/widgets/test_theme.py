"""Colours can be read, and every theme has colours for each lane."""

import math

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


# Colours as they are seen without one kind of cone (Machado, Oliveira and Fernandes 2009, severity 1), in linear RGB.
SEEN = {
    "all cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}
SIXTEEN = {
    "bright_cyan": "#00ffff", "yellow": "#808000", "bright_magenta": "#ff00ff", "white": "#c0c0c0",
    "bright_white": "#ffffff",
}  # fmt: skip


def lab(colour: str, seen: str) -> tuple[float, float, float]:
    """CIE L*a*b* under D65 of a colour as seen."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    r, g, b = (min(max(sum(m * p for m, p in zip(row, linear, strict=True)), 0.0), 1.0) for row in SEEN[seen])
    x, y, z = (
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883,
    )
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def distance(palette: Palette, one: str, other: str, seen: str) -> float:
    """CIE 1976, between two roles."""
    ends = (lab(SIXTEEN.get(colour, colour), seen) for colour in (palette.roles[one], palette.roles[other]))
    return math.dist(*ends)


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("palette", PALETTES, ids=lambda p: p.label)
def test_errors_and_warnings_never_look_like_a_lane(palette: Palette, seen: str) -> None:
    assert distance(palette, "a", "b", seen) >= 70
    assert distance(palette, "error", "b", seen) >= 25
    assert distance(palette, "error", "a", seen) >= 23
    assert distance(palette, "warn", "b", seen) >= 35
    assert style_of(palette.name, "error").reverse
    warn = style_of(palette.name, "warn")
    assert warn.bold
    assert warn.color is None or warn.color.name == palette.text  # the text's own: a sign says the rest
