"""The screen as an SVG file that needs no network and no font with braille in it."""

import re
from pathlib import Path

from rich.terminal_theme import SVG_EXPORT_THEME
from textual.app import App

from tui.ui.widgets.theme import BY_NAME

CELL_HEIGHT, BASELINE = 24.4, 18.5  # of the SVGs that Rich writes, in their own units
# Rich's cells are 12.2 wide; DejaVu Sans Mono is 0.602 of its size, and not every viewer stretches a run of text.
FONT_PX = "20.27px"
_FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_TEXT = re.compile(r'<text class="([^"]+)" x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>([^<]*)</text>')
_BRAILLE = re.compile("[\u2800-\u28ff]")
_DOT_PLACES = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))  # column, row of each bit


def picture_of(app: App[int]) -> str:
    """The screen as SVG: the reader's monospace font stands in for one from the network, braille becomes dots."""
    svg = _FONT_FACE.sub("", app.export_screenshot(title="dragstrip"))
    palette = BY_NAME.get(app.theme)
    if palette is not None and not palette.dark:  # Rich draws on a dark ground whatever the terminal has
        svg = svg.replace(SVG_EXPORT_THEME.background_color.hex, palette.ground)
        svg = svg.replace(SVG_EXPORT_THEME.foreground_color.hex, palette.text)
    svg = svg.replace("font-size: 20px", f"font-size: {FONT_PX}").replace("arial", "DejaVu Sans, Arial, sans-serif")
    return _TEXT.sub(_dots, svg).replace("Fira Code", "DejaVu Sans Mono")


def save_picture(app: App[int], path: Path) -> None:
    """Write it; OSError when that is not possible."""
    path.write_text(picture_of(app), encoding="utf-8")


def _dots(match: re.Match[str]) -> str:
    """A run of text whose braille is drawn, so that it looks the same whatever fonts the reader has."""
    style, x, y, width, rest, escaped = match.groups()
    text = escaped.replace("&#160;", " ")
    if not _BRAILLE.search(text):
        return match[0]
    cell = float(width) / len(text)
    drawn = [
        f'<circle class="{style}" cx="{left + (0.25 + 0.5 * column) * cell:.1f}" cy="{top:.1f}" r="1.5"/>'
        for left, ch in ((float(x) + at * cell, ch) for at, ch in enumerate(text) if _BRAILLE.match(ch))
        for bit, (column, row) in enumerate(_DOT_PLACES)
        if ord(ch) & (1 << bit)
        for top in [float(y) - BASELINE + (row + 0.5) * CELL_HEIGHT / 4]
    ]
    left_over = _BRAILLE.sub(" ", text)
    if left_over.strip():
        kept = left_over.replace(" ", "&#160;")
        drawn.append(f'<text class="{style}" x="{x}" y="{y}" textLength="{width}"{rest}>{kept}</text>')
    return "".join(drawn)
