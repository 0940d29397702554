"""What a report is made of and how it is written: values as text, blocks as Markdown or as an HTML page.

The page holds all it needs: it opens from disk, on a phone and on paper. Markdown is for a pull request and leaves
out the charts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from tui.judge.sentence import ENDLESS
from tui.model.metrics import PERCENTILES
from tui.stats.verdict import Margin, Verdict

SIMULATED: Final = "SIMULATED: these numbers come from simulated engines, not from real ones."
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
    """A whole report. `simulated` is marked at its top and next to every chart."""

    title: str
    simulated: bool
    blocks: Sequence[Block]


# A and B in Okabe and Ito's blue and orange, distinguishable under common colour blindness; darker on a light ground.
STYLE: Final = """
:root { --a: #0072b2; --b: #9a5b00; --ink: #1a1a1a; --faint: #8a8a8a; --ground: #ffffff; --line: #dddddd; }
@media (prefers-color-scheme: dark) {
  :root { --a: #56b4e9; --b: #e69f00; --ink: #e6e6e6; --faint: #9a9a9a; --ground: #121212; --line: #383838; }
}
body { margin: 0 auto; padding: 1rem; max-width: 60rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.simulated { border: 2px solid var(--b); padding: .4rem .8rem; font-weight: bold; }
.wide { overflow-x: auto; }
table { width: max-content; border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
td:not(.n) { max-width: 16rem; white-space: normal; overflow-wrap: normal; }
.n { text-align: right; }
figure { margin: 1rem 0; } figcaption { font-size: .9rem; color: var(--faint); }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; fill: var(--ink); }
svg polyline { fill: none; stroke-width: 1.5; stroke-linecap: round; } svg .grid { stroke: var(--line); }
svg .mark { stroke: var(--faint); stroke-dasharray: 1 3; } svg text.mark { stroke: none; fill: var(--faint); }
svg .a { stroke: var(--a); } svg .b { stroke: var(--b); } svg polyline.b { stroke-dasharray: 5 3; }
svg text, svg .a text, svg .b text { stroke: none; } svg circle { fill: var(--ground); }
svg .letter { stroke: none; font-weight: bold; } svg .a.letter { fill: var(--a); } svg .b.letter { fill: var(--b); }
svg .dim { opacity: .4; }
@media (max-width: 40rem) { svg { font-size: 20px; } svg polyline { stroke-width: 2.5; } }
@media print {
  :root { --a: #0072b2; --b: #9a5b00; --ink: #000000; --faint: #555555; --ground: #ffffff; --line: #cccccc; }
  body { max-width: none; padding: 0; font-size: 10pt; } .wide { overflow: visible; }
  table { width: auto; }
  td, th { padding: .1rem .3rem; font-size: 8pt; white-space: normal; } tr, figure { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""


def page(document: Document) -> str:
    title = escape(document.title)
    simulated = ""
    if document.simulated:
        simulated = f'<p class="simulated">{SIMULATED}</p>'
    body = "\n".join(_html_block(block, simulated=document.simulated) for block in document.blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Nothing may be fetched, whatever a server's own words hold.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{simulated}\n{body}\n"
        "</body>\n</html>\n"
    )


def _html_block(block: Block, *, simulated: bool) -> str:
    match block:
        case Heading(text):
            return f"<h2>{escape(text)}</h2>"
        case Paragraph(text, strong):
            return f"<p><strong>{escape(text)}</strong></p>" if strong else f"<p>{escape(text)}</p>"
        case Table():
            return _table(block)
        case Chart(svg, caption):
            caption_text = f"SIMULATED. {caption}" if simulated else caption
            return f"<figure>{svg}<figcaption>{escape(caption_text)}</figcaption></figure>"


def _table(table: Table) -> str:
    sides = [' class="n"' if right else "" for right in table.of_numbers()]
    head = "".join(
        f'<th scope="col"{side}>{escape(cell)}</th>' for side, cell in zip(sides, table.header, strict=True)
    )
    lines = "".join(
        f"<tr>{''.join(f'<td{side}>{escape(cell)}</td>' for side, cell in zip(sides, row, strict=True))}</tr>"
        for row in table.rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


_SPECIAL = str.maketrans({char: f"\\{char}" for char in "\\`*_{}[]<>#|~"})


def markdown(document: Document) -> str:
    """The whole report; ends with a newline."""
    parts = [f"# {escaped(document.title)}"]
    if document.simulated:
        parts.append(f"**{SIMULATED}**")
    return "\n\n".join([*parts, markdown_blocks(document.blocks)])


def markdown_blocks(blocks: Sequence[Block]) -> str:
    """A part of a report; ends with a newline."""
    return "\n\n".join(text for text in map(_markdown_block, blocks) if text) + "\n"


def escaped(text: str) -> str:
    """Plain text that Markdown shows as it is, on one line."""
    return " ".join(text.split()).translate(_SPECIAL)


def _markdown_block(block: Block) -> str:
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


NONE = "–"
ALONE = "`alone` marks a verdict that holds for its row, but not among all rows judged at once by Holm's rule at 5 %."


def meaning(margin: Margin) -> str:
    """What the words mean, and where δ comes from."""
    return (
        f"Level: the 95 % interval lies within δ: {margin.text}. "
        "Ahead: the interval excludes equality, and its middle lies beyond δ."
    )


def number(value: float | None, digits: int = 0) -> str:
    """A number with thousands separators; a dash for none, ∞ for what never came."""
    if value is None or value != value:  # noqa: PLR0124 - nan is the one value that differs from itself
        return NONE
    return "∞" if value in {float("inf"), float("-inf")} else f"{value:,.{digits}f}"


def ms(value: float | None) -> str:
    """Milliseconds with three figures' worth of digits."""
    return number(value, 0 if value is None or value >= 100 else 1 if value >= 10 else 2)


def any_alone(verdicts: Sequence[Verdict], significant: Sequence[bool]) -> bool:
    """Whether a word is marked."""
    return any(not holds and one.state == "decided" for one, holds in zip(verdicts, significant, strict=True))


def percentile_ms(value: float | None, name: str, n: int) -> str:
    """A percentile in ms, or how many values are missing before it may be shown."""
    missing = PERCENTILES[name].samples - n
    return ms(value) if missing <= 0 else f"needs {missing} more"


def percent(ratio: float | None) -> str:
    """A ratio as what it is above or below 1: 1.123 is +12.3 %."""
    return NONE if ratio is None or math.isnan(ratio) else f"{(ratio - 1) * 100:+,.1f} %"


def interval(verdict: Verdict) -> str:
    """The interval of a verdict's ratio in percent. That of few sessions may have no upper end to speak of."""
    if verdict.low is None or verdict.high is None:
        return NONE
    endless = verdict.high > ENDLESS >= (verdict.ratio or 0.0)
    high = f"over +{(ENDLESS - 1) * 100:,} %" if endless else percent(verdict.high)
    return f"{percent(verdict.low)} to {high}"


def range_ms(low: float | None, high: float | None) -> str:
    """An interval in ms in brackets, empty where there is none."""
    return "" if low is None else f" [{ms(low)}, {ms(high)}]"
