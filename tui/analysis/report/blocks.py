"""What a report is made of. Said once here, written as Markdown and as HTML elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = frozenset("0123456789+-–∞")


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a part."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Plain text. `strong` is the sentence that matters."""

    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of plain text; the first column names the row."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def of_numbers(self) -> list[bool]:
        """For each column whether most of its cells begin with a number, and so stand at its right."""
        columns = [[row[place] for row in self.rows] for place in range(len(self.header))]
        numbers = [2 * sum(cell[:1] in _NUMBER for cell in cells) > len(cells) for cells in columns]
        return [False, *numbers[1:]]


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture as SVG, and what it shows in words for who cannot see it. Markdown leaves it out."""

    svg: str
    caption: str


Block = Heading | Paragraph | Table | Chart


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report. `simulated` is said at its top and beside every chart."""

    title: str
    simulated: bool
    blocks: Sequence[Block]
