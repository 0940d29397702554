"""The characters that curves are drawn with, and what stands for every other sign where only ASCII may be shown."""

import msgspec
from rich.cells import cell_len

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
