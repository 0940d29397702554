"""A report as one HTML page that holds all it needs: it opens from disk, on a phone and on paper."""

from html import escape
from typing import Final

from tui.analysis.report.blocks import Block, Chart, Document, Heading, Paragraph, Table

# A and B in Okabe and Ito's blue and orange, told apart by every common colour blindness; darker on a light ground.
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
    """The whole page."""
    title = escape(document.title)
    simulated = ""
    if document.simulated:
        simulated = (
            '<p class="simulated">SIMULATED: these numbers come from simulated engines, not from real ones.</p>'
        )
    body = "\n".join(_block(block, simulated=document.simulated) for block in document.blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Nothing may be fetched, whatever a server's own words hold.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{simulated}\n{body}\n"
        "</body>\n</html>\n"
    )


def _block(block: Block, *, simulated: bool) -> str:
    match block:
        case Heading(text):
            return f"<h2>{escape(text)}</h2>"
        case Paragraph(text, strong):
            return f"<p><strong>{escape(text)}</strong></p>" if strong else f"<p>{escape(text)}</p>"
        case Table():
            return _table(block)
        case Chart(svg, caption):
            told = f"SIMULATED. {caption}" if simulated else caption
            return f"<figure>{svg}<figcaption>{escape(told)}</figcaption></figure>"


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
