"""The screen as an SVG file that needs no network and no font with braille in it."""

import re
from pathlib import Path

from rich.terminal_theme import SVG_EXPORT_THEME
from textual.app import App

from tui.ui.widgets.theme import PALETTE_BY_NAME

CELL_HEIGHT, BASELINE = 24.4, 18.5  # in the SVGs that Rich writes, in user units
# Rich's cells are 12.2 wide; DejaVu Sans Mono is 0.602 of its size, and not every viewer stretches a run of text.
FONT_PX = "20.27px"
_FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_TEXT = re.compile(r'<text class="([^"]+)" x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>([^<]*)</text>')
_BRAILLE = re.compile("[\u2800-\u28ff]")
_DOT_POSITIONS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))  # column, row of each bit


def svg_of(app: App[int]) -> str:
    """The screen as SVG, with the viewer's monospace font in place of one from the network and braille as dots."""
    svg = _FONT_FACE.sub("", app.export_screenshot(title="dragstrip"))
    palette = PALETTE_BY_NAME.get(app.theme)
    if palette is not None and not palette.dark:  # Rich draws on a dark ground whatever the terminal has
        svg = svg.replace(SVG_EXPORT_THEME.background_color.hex, palette.ground)
        svg = svg.replace(SVG_EXPORT_THEME.foreground_color.hex, palette.text)
    svg = svg.replace("font-size: 20px", f"font-size: {FONT_PX}").replace("arial", "DejaVu Sans, Arial, sans-serif")
    return _TEXT.sub(_dots, svg).replace("Fira Code", "DejaVu Sans Mono")


def save_svg(app: App[int], path: Path) -> None:
    path.write_text(svg_of(app), encoding="utf-8")


def _dots(match: re.Match[str]) -> str:
    """A run of text with its braille drawn, so that it looks the same whatever fonts the viewer has."""
    style, x, y, width, rest, escaped = match.groups()
    text = escaped.replace("&#160;", " ")
    if not _BRAILLE.search(text):
        return match[0]
    cell = float(width) / len(text)
    drawn = [
        f'<circle class="{style}" cx="{left + (0.25 + 0.5 * column) * cell:.1f}" cy="{top:.1f}" r="1.5"/>'
        for left, ch in ((float(x) + at * cell, ch) for at, ch in enumerate(text) if _BRAILLE.match(ch))
        for bit, (column, row) in enumerate(_DOT_POSITIONS)
        if ord(ch) & (1 << bit)
        for top in [float(y) - BASELINE + (row + 0.5) * CELL_HEIGHT / 4]
    ]
    plain = _BRAILLE.sub(" ", text)
    if plain.strip():
        escaped = plain.replace(" ", "&#160;")
        drawn.append(f'<text class="{style}" x="{x}" y="{y}" textLength="{width}"{rest}>{escaped}</text>')
    return "".join(drawn)
