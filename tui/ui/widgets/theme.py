"""Colours by role, and the ASCII replacement of every sign.

The lanes are blue and orange, distinguishable under common colour blindness (Okabe and Ito), and always carry
their letters A and B. Next to orange neither red nor yellow is safe: an error is reversed, a warning bold. Except for
high contrast the terminal's background is kept: `ground` is the background that a palette is made for.
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
    """Foregrounds by role. `paint_ground`: the background is painted, not left to the terminal."""

    name: str
    label: str
    ground: str
    text: str
    roles: Mapping[str, str]  # a b muted warn error; a warning is bold in the text's colour, an error reversed
    dims: Mapping[str, str]  # a b: behind something else, never for text
    paint_ground: bool = False
    dark: bool = True


PALETTES: tuple[Palette, ...] = (
    Palette(
        "dragstrip-dark", "for a dark terminal", "#000000", "#d0d0d0",
        {"a": "#56b4e9", "b": "#e69f00", "muted": "#949494", "warn": "#d0d0d0", "error": "#ff5f87"},
        {"a": "#2b5a75", "b": "#735000"},
    ),
    Palette(
        "dragstrip-light", "for a light terminal", "#ffffff", "#202020",
        {"a": "#0072b2", "b": "#9a5b00", "muted": "#5f5f5f", "warn": "#202020", "error": "#b3003c"},
        {"a": "#8fc3e0", "b": "#d9b98a"}, dark=False,
    ),
    Palette(
        "dragstrip-contrast", "high contrast", "#000000", "#ffffff",
        {"a": "#7fd0ff", "b": "#ffc24d", "muted": "#d0d0d0", "warn": "#ffffff", "error": "#ff87af"},
        {"a": "#4a7a96", "b": "#96722d"}, paint_ground=True,
    ),
    Palette(
        "dragstrip-sixteen", "sixteen colours", "#000000", "default",
        {"a": "bright_cyan", "b": "yellow", "muted": "white", "warn": "bright_white", "error": "bright_magenta"},
        {"a": "cyan", "b": "yellow"},
    ),
)  # fmt: skip
# The same greys as numbers of the 256 colours: 8 bytes less each time, and most labels of a screen are grey.
SHORT_GREYS = {"#949494": "color(246)", "#5f5f5f": "color(59)"}
THEME_PREFIX = "dragstrip-"
PALETTE_BY_NAME: dict[str, Palette] = {palette.name: palette for palette in PALETTES}


@lru_cache(maxsize=512)
def style_of(theme: str, role: str) -> Style:
    """The style of a role such as `a`, `muted strong` or `b reverse` in a theme."""
    palette = PALETTE_BY_NAME.get(theme, PALETTES[0])
    words = role.split()
    default, ground = (palette.text, palette.ground) if palette.paint_ground else (None, None)
    colours = palette.dims if "dim" in words else palette.roles
    colour = next((colours[word] for word in words if word in colours and word != "warn"), default)
    colour = SHORT_GREYS.get(colour or "", colour)
    bold = "strong" in words or "warn" in words
    reverse = "reverse" in words or "error" in words
    return Style(color=colour, bgcolor=ground, bold=bold or None, reverse=reverse or None)


def theme_of(palette: Palette) -> Theme:
    """The palette as a Textual theme, for borders and whatever Textual draws itself."""
    ground = palette.ground if palette.paint_ground else "ansi_default"
    text = palette.text if palette.paint_ground else "ansi_default"

    def colour(role: str) -> str:
        value = palette.roles[role]
        return value if value.startswith("#") else f"ansi_{value}"

    # Textual's stylesheet needs these variables from every ansi theme.
    variables = (
        {} if palette.paint_ground else BUILTIN_THEMES["ansi-dark" if palette.dark else "ansi-light"].variables
    )

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
        ansi=not palette.paint_ground,
        variables={**variables, "border": colour("muted"), "border-blurred": colour("muted")},
    )


def first_theme(colour_system: str | None, chosen: str = "") -> str:
    """The theme at the start: the one chosen before.

    Else by the number of colours and by COLORFGBG, which can say that the ground is light.
    """
    if (name := f"{THEME_PREFIX}{chosen}") in PALETTE_BY_NAME:
        return name
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
    "◇": "o", "≡": "%", "═": "_", "°": "'", "░": ".", "▒": "%", "▓": "#", "┄": "-", "┼": "+", "▀": "'", "▔": "*",
    "“": '"', "”": '"', "’": "'",
    **dict(zip(SPARK_BLOCKS, SPARK_ASCII, strict=True)),
}  # fmt: skip


def to_ascii(text: str) -> str:
    """The text in printable ASCII, as many cells wide as before; a sign without a replacement becomes `?`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(ch if ch.isascii() and ch.isprintable() else _ASCII.get(ch, "?" * cell_len(ch)) for ch in text)
