"""A report as Markdown, for a pull request. Charts are left out: they are in the HTML page."""

from collections.abc import Sequence

from tui.analysis.report.blocks import Block, Chart, Document, Heading, Paragraph, Table

_SPECIAL = str.maketrans({char: f"\\{char}" for char in "\\`*_{}[]<>#|~"})


def markdown(document: Document) -> str:
    """The whole report; ends with a newline."""
    parts = [f"# {escaped(document.title)}"]
    if document.simulated:
        parts.append("**SIMULATED: these numbers come from simulated engines, not from real ones.**")
    parts += [text for text in map(_block, document.blocks) if text]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Plain text that Markdown shows as it is, on one line."""
    return " ".join(text.split()).translate(_SPECIAL)


def _block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {escaped(text)}"
        case Paragraph(text, strong):
            return f"**{escaped(text)}**" if strong else escaped(text)
        case Table():
            ruler = ["--:" if right else ":--" for right in block.of_numbers()]
            return "\n".join([_row(block.header), _row(ruler, plain=True), *map(_row, block.rows)])
        case Chart():
            return ""


def _row(cells: Sequence[str], *, plain: bool = False) -> str:
    return f"| {' | '.join(cell if plain else escaped(cell) for cell in cells)} |"
