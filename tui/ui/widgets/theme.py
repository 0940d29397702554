"""Colours by the part they play, one palette a theme; lanes are blue and orange, which every common colour blindness
tells apart (Okabe and Ito), and the letters A and B always stand beside them.

Except for high contrast the terminal's own background stays: `ground` is what the palette is meant for.

The characters that curves are drawn with, and what stands for every other sign where only ASCII may be shown.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache

import msgspec
from rich.cells import cell_len
from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme


class Palette(msgspec.Struct, frozen=True):
    """Foregrounds by role. `own_ground`: the background is painted, not left to the terminal."""

    name: str
    label: str
    ground: str
    text: str
    roles: Mapping[str, str]  # a b muted warn error
    own_ground: bool = False
    dark: bool = True


PALETTES: tuple[Palette, ...] = (
    Palette(
        "dragstrip-dark", "for a dark terminal", "#000000", "#d0d0d0",
        {"a": "#56b4e9", "b": "#e69f00", "muted": "#949494", "warn": "#f0e442", "error": "#ff8a3c"},
    ),
    Palette(
        "dragstrip-light", "for a light terminal", "#ffffff", "#202020",
        {"a": "#0072b2", "b": "#9a5b00", "muted": "#5f5f5f", "warn": "#7a6000", "error": "#b03a00"}, dark=False,
    ),
    Palette(
        "dragstrip-contrast", "high contrast", "#000000", "#ffffff",
        {"a": "#7fd0ff", "b": "#ffc24d", "muted": "#d0d0d0", "warn": "#ffff66", "error": "#ffa070"}, own_ground=True,
    ),
    Palette(
        "dragstrip-sixteen", "sixteen colours", "#000000", "default",
        {"a": "bright_cyan", "b": "yellow", "muted": "white", "warn": "bright_yellow", "error": "bright_red"},
    ),
)  # fmt: skip
# The same greys by their number among 256: 8 bytes less each time, and most of a screen's labels are grey.
SHORTER = {"#949494": "color(246)", "#5f5f5f": "color(59)"}
BY_NAME: dict[str, Palette] = {palette.name: palette for palette in PALETTES}


@lru_cache(maxsize=512)
def style_of(theme: str, role: str) -> Style:
    """The style of a role such as `a`, `muted strong` or `b reverse` under a theme."""
    palette = BY_NAME.get(theme, PALETTES[0])
    colour, words = None, {"bold": False, "reverse": False}
    for word in role.split():
        if word in palette.roles:
            colour = palette.roles[word]
        elif word == "strong":
            words["bold"] = True
        elif word == "reverse":
            words["reverse"] = True
    if colour is None and palette.own_ground:
        colour = palette.text
    ground = palette.ground if palette.own_ground else None
    colour = SHORTER.get(colour or "", colour)
    return Style(color=colour, bgcolor=ground, bold=words["bold"] or None, reverse=words["reverse"] or None)


def theme_of(palette: Palette) -> Theme:
    """The same colours as a Textual theme, for borders and the parts that Textual draws."""
    ground = palette.ground if palette.own_ground else "ansi_default"
    text = palette.text if palette.own_ground else "ansi_default"

    def colour(role: str) -> str:
        value = palette.roles[role]
        return value if value.startswith("#") else f"ansi_{value}"

    # An ansi theme must bring the variables that Textual's own stylesheet asks of ansi themes.
    variables = {} if palette.own_ground else BUILTIN_THEMES["ansi-dark" if palette.dark else "ansi-light"].variables

    return Theme(
        name=palette.name,
        primary=colour("a"),
        secondary=colour("b"),
        accent=colour("muted"),
        warning=colour("warn"),
        error=colour("error"),
        success=colour("a"),
        foreground=text,
        background=ground,
        surface=ground,
        panel=ground,
        boost=ground,
        dark=palette.dark,
        ansi=not palette.own_ground,
        variables={**variables, "border": colour("muted"), "border-blurred": colour("muted")},
    )


def first_theme(colour_system: str | None) -> str:
    """The theme to begin with: few colours, or a terminal that says by COLORFGBG that its ground is light."""
    if colour_system == "standard":
        return "dragstrip-sixteen"
    ground = os.environ.get("COLORFGBG", "").rpartition(";")[2]
    return "dragstrip-light" if ground in {"7", "15"} else "dragstrip-dark"


SPARK_BLOCKS = "▁▂▃▄▅▆▇█"
SPARK_ASCII = "_.,-=+*#"

_ASCII = {
    "●": "*", "○": "o", "✖": "x", "◀": "<", "▶": ">", "▲": "^", "▼": "v", "┊": "|", "…": "~", "→": ">", "–": "-",
    "×": "x", "≈": "~", "·": "-", "±": "+", "┤": "|", "└": "+", "─": "-", "│": "|", "╭": "+", "╮": "+", "╰": "+",
    "╯": "+", "‖": "=", "←": "<", "↑": "^", "↓": "v", "━": "=", "◆": "#", "▸": ">", "◂": "<",
    "◇": "o", "≡": "%", "═": "_", "°": "'",
    "“": '"', "”": '"', "’": "'",
    **dict(zip(SPARK_BLOCKS, SPARK_ASCII, strict=True)),
}  # fmt: skip


class Glyphs(msgspec.Struct, frozen=True):
    """One set of chart characters. `kind` says how a curve is put into cells."""

    kind: str  # braille, block or ascii
    label: str
    spark: str


GLYPHS: tuple[Glyphs, ...] = (
    Glyphs("braille", "braille", SPARK_BLOCKS),
    Glyphs("block", "blocks", SPARK_BLOCKS),
    Glyphs("ascii", "ASCII", SPARK_ASCII),
)


def to_ascii(text: str) -> str:
    """The text in printable ASCII, as many cells wide as before; a sign without a stand-in becomes `?`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(ch if ch.isascii() and ch.isprintable() else _ASCII.get(ch, "?" * cell_len(ch)) for ch in text)
