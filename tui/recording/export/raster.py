"""An SVG picture as PNG, by resvg: one small wheel without dependencies, which no other part of the program needs."""

from functools import cache
from typing import Final

from tui.recording.export.picture import FONTS
from tui.records.errors import UserError

ZOOM: Final = 2  # pixels for each unit: sharp on a dense screen and on paper
_SVG: Final = '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24">{}</svg>'
_LETTER: Final = f'<text y="18" font-family="{FONTS}">A</text>'


def png_of(svg: str) -> bytes:
    """The picture. Raises UserError when the library or every font is missing."""
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise UserError(
            "PNG needs the library resvg: install it with `pip install 'dragstrip[png]'`, or export --format svg"
        ) from error
    if not _has_font():
        raise UserError("PNG needs a font and no common one is here: install DejaVu, or export --format svg")
    return svg_to_bytes(svg, zoom=ZOOM)


@cache
def _has_font() -> bool:
    """Whether a letter is drawn at all: resvg leaves out what it has no font for and says nothing."""
    from resvg_py import svg_to_bytes

    return svg_to_bytes(_SVG.format(_LETTER)) != svg_to_bytes(_SVG.format(""), skip_system_fonts=True)
