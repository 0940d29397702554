"""The screen as an SVG file that needs no network."""

import re
from pathlib import Path

from textual.app import App

_FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def picture_of(app: App[object]) -> str:
    """The screen as SVG without fonts from the network; the reader's monospace font stands in."""
    svg = _FONT_FACE.sub("", app.export_screenshot(title="dragstrip"))
    return svg.replace("Fira Code", "DejaVu Sans Mono")


def save_picture(app: App[object], path: Path) -> None:
    """Write it; OSError when that is not possible."""
    path.write_text(picture_of(app), encoding="utf-8")
