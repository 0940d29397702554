"""Several charts as one SVG picture that needs nothing from outside: no font, no script, no network."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from tui.analysis.report.svg import HEIGHT, WIDTH

COLUMNS: Final = 2
TITLE_HEIGHT: Final = 52
CAPTION_HEIGHT: Final = 30
SIMULATED: Final = "SIMULATED: these numbers come from simulated engines, not from real ones."
FONTS: Final = "DejaVu Sans, Liberation Sans, Noto Sans, Helvetica Neue, Helvetica, Arial, Verdana, sans-serif"
# Plain colours, because not every program that shows SVG knows CSS variables: those of the report on a light ground.
_STYLE: Final = """
svg { font-family: %s; font-size: 12px; fill: #1a1a1a; }
text.title { font-size: 19px; font-weight: bold; } text.note { font-size: 13px; fill: #555555; }
text.caption { font-size: 14px; font-weight: bold; } text.simulated { font-size: 13px; fill: #9a5b00; }
polyline { fill: none; stroke-width: 1.5; stroke-linecap: round; } .grid { stroke: #dddddd; }
line.mark { stroke: #8a8a8a; stroke-dasharray: 1 3; } text.mark { fill: #8a8a8a; }
.a { stroke: #0072b2; } .b { stroke: #9a5b00; } polyline.b { stroke-dasharray: 5 3; }
text.letter { stroke: none; font-weight: bold; } text.a { fill: #0072b2; } text.b { fill: #9a5b00; }
"""


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart, as `analysis.report.svg` draws it, or the reason why there is none, and what stands above it."""

    caption: str
    svg: str


def picture(title: str, note: str, panels: Sequence[Panel], *, simulated: bool) -> str:
    """The panels in rows of two below the title. A simulated session's picture says so."""
    each = HEIGHT + CAPTION_HEIGHT
    width, height = COLUMNS * WIDTH, TITLE_HEIGHT + each * -(-len(panels) // COLUMNS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f'<style>{_STYLE % FONTS}</style><rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text class="title" x="16" y="27">{escape(title)}</text>',
        f'<text class="note" x="16" y="46">{escape(note)}</text>',
    ]
    if simulated:
        parts.append(f'<text class="simulated" x="{width - 16}" y="27" text-anchor="end">{SIMULATED}</text>')
    for at, panel in enumerate(panels):
        parts.append(_placed(panel, at % COLUMNS * WIDTH, TITLE_HEIGHT + at // COLUMNS * each))
    return "".join(parts) + "</svg>\n"


def _placed(panel: Panel, x: int, y: int) -> str:
    """`visible`, because to cut a panel off at its edges costs resvg as much time as all the rest."""
    size = f'overflow="visible" x="{x}" y="{y + CAPTION_HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    return f'<text class="caption" x="{x + 16}" y="{y + 20}">{escape(panel.caption)}</text>' + panel.svg.replace(
        "<svg ", f"<svg {size} ", 1
    )
