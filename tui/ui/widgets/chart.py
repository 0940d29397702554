"""A line chart of one value a second, drawn in braille, blocks or ASCII: pure rows, nothing of the terminal.

Blank cells are spaces: a braille blank is three bytes, and spaces cut a whole screen from 5.9 to 3.8 kB/s. The chart
moves by whole cells (two dots), so in most seconds only the cells at its right end change.

The vertical scale that both lanes share, in steps of 1, 2 or 5.

One row of bars on a fixed scale, so that two lanes' sparklines can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from tui.ui.widgets.rows import Row, Span, fit
from tui.ui.widgets.theme import SPARK_BLOCKS


class Scale(msgspec.Struct, frozen=True):
    """From 0 to `top`, with a tick every `step`."""

    top: float
    step: float

    @property
    def ticks(self) -> Sequence[float]:
        """Every tick, 0 first."""
        return [self.step * n for n in range(round(self.top / self.step) + 1)]


def scale_for(series: Iterable[Iterable[float | None]], ticks: int = 4) -> Scale:
    """The smallest scale of at most `ticks` 1-2-5 steps that holds every value."""
    highest = max((value for values in series for value in values if value is not None), default=0.0)
    if highest <= 0:
        return Scale(10.0, 5.0)
    power = 10 ** math.floor(math.log10(highest / ticks))
    step = next(power * m for m in (1, 2, 5, 10) if math.ceil(highest / (power * m)) <= ticks)
    return Scale(step * math.ceil(highest / step), step)


def tick_text(value: float) -> str:
    """A tick in at most five characters."""
    if value >= 100_000:
        return f"{value / 1000:.0f}k"
    return f"{value:g}"


AXIS_CELLS = 6  # five of label and the axis itself
LEVELS_A_ROW = {"braille": 4, "block": 8, "ascii": 1}
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # braille bits by column, then row from the top


class Span2D(msgspec.Struct, frozen=True):
    """Which seconds the chart shows: `cells` columns of `cell_s` seconds, the first beginning at `start`."""

    start: int
    cell_s: int
    cells: int

    @property
    def dot_s(self) -> int:
        """Seconds of one dot; a cell has two."""
        return max(self.cell_s // 2, 1)


def span_of(second: int, cells: int, least_s: int) -> Span2D:
    """The span that ends with the last whole second and covers at least `least_s` seconds."""
    cells = max(cells, 1)
    cell_s = 2 * max(-(-least_s // (2 * cells)), 1)
    last_cell = max(second - 1, 0) // cell_s
    return Span2D((last_cell - cells + 1) * cell_s, cell_s, cells)


def dots(curve: Sequence[float | None], second: int, span: Span2D) -> list[float | None]:
    """The mean of each dot's seconds; None where there is no reading. `curve` ends with second `second - 1`."""
    first = second - len(curve)
    found: list[float | None] = []
    for dot in range(span.cells * 2):
        begin = span.start + dot * span.dot_s - first
        values = [v for v in curve[max(begin, 0) : max(begin + span.dot_s, 0)] if v is not None]
        found.append(sum(values) / len(values) if values else None)
    return found


class Pen(msgspec.Struct, frozen=True):
    """What a curve is drawn with: its colour's role, braille, block or ascii, and whether it is dotted."""

    role: str
    kind: str = "braille"
    dotted: bool = False


class Ground(msgspec.Struct, frozen=True):
    """What a curve is drawn on: the seconds, the scale, and the seconds at which a dial moved, with a label."""

    span: Span2D
    scale: Scale
    marks: Sequence[tuple[int, str]] = ()


def chart_rows(values: Sequence[float | None], ground: Ground, height: int, pen: Pen) -> list[Row]:
    """`height` rows: the curve, and below it one row for the marks' labels. `values` are the dots of the span."""
    span, scale, rows = ground.span, ground.scale, max(height - 1, 1)
    draw = {"braille": _braille, "block": _blocks}.get(pen.kind, _ascii)
    cells = draw(values, rows, scale.top, pen.dotted)
    columns = {(second - span.start) // span.cell_s: text for second, text in ground.marks if second >= span.start}
    labels = _labels(scale, rows, LEVELS_A_ROW[pen.kind])
    drawn = [
        fit(
            (((f"{labels.get(y, ''):>5}" + "┤"), "muted"), *_cells(cells[y], columns, pen.role)),
            AXIS_CELLS + span.cells,
        )
        for y in range(rows)
    ]
    return [*drawn, _below(span, columns)]


def _labels(scale: Scale, rows: int, levels_a_row: int) -> dict[int, str]:
    """Which row has which tick: that of its value. Of two on one row the lower one goes, 0 and the top stay."""
    placed: dict[int, str] = {}
    for tick in (*scale.ticks[1:-1], 0.0, scale.top):
        placed[rows - 1 - _level(tick, rows * levels_a_row, scale.top) // levels_a_row] = tick_text(tick)
    return placed


def _cells(cells: str, columns: dict[int, str], role: str) -> list[Span]:
    """One row of the curve with `┊` where a dial moved and the curve leaves room."""
    spans: list[Span] = []
    begin = 0
    for x in sorted(columns):
        if x < len(cells) and cells[x] == " ":
            spans += [(cells[begin:x], role), ("┊", "muted")]
            begin = x + 1
    spans.append((cells[begin:], role))
    return [(text, style) if text.strip() else (text, "") for text, style in spans]


def _below(span: Span2D, columns: dict[int, str]) -> Row:
    """`-120 s      conc 16→32      now`."""
    line = [" "] * span.cells

    def write(x: int, text: str) -> None:
        x = min(max(x, 0), span.cells - len(text))
        if x >= 0 and all(ch == " " for ch in line[max(x - 1, 0) : x + len(text) + 1]):
            line[x : x + len(text)] = text

    write(span.cells - 3, "now")
    write(0, f"-{span.cells * span.cell_s} s")
    for x, text in sorted(columns.items(), reverse=True):
        write(x - len(text) // 2, text)
    return ((" " * AXIS_CELLS, ""), ("".join(line), "muted"))


def _level(value: float, steps: int, top: float) -> int:
    """Which of `steps` levels, 0 the lowest."""
    return min(max(round(value / top * (steps - 1)), 0), steps - 1)


def _braille(values: Sequence[float | None], rows: int, top: float, dotted: bool) -> list[str]:
    steps = rows * 4
    grid = [[0] * (len(values) // 2) for _ in range(rows)]
    before: int | None = None
    for x, value in enumerate(values):
        level = None if value is None else _level(value, steps, top)
        if level is not None:
            low, high = _reach(level, before)
            for dot in range(low, high + 1):
                y = steps - 1 - dot
                if not dotted or (x + dot - level) % 2 == 0:
                    grid[y // 4][x // 2] |= _DOTS[x % 2][y % 4]
        before = level
    return ["".join(chr(0x2800 + bits) if bits else " " for bits in row) for row in grid]


def _reach(level: int, before: int | None) -> tuple[int, int]:
    """The levels to draw in one column, so that it joins the column before."""
    if before is None or abs(level - before) <= 1:
        return level, level
    return (before + 1, level) if level > before else (level, before - 1)


def _blocks(values: Sequence[float | None], rows: int, top: float, dotted: bool) -> list[str]:
    """Columns filled up to the value; a dotted curve leaves every other column out."""
    lines = [[" "] * (len(values) // 2) for _ in range(rows)]
    for x, value in enumerate(_pairs(values)):
        if value is None or (dotted and x % 2):
            continue
        level = _level(value, rows * 8, top)
        for y in range(rows):
            part = level - (rows - 1 - y) * 8
            if part >= 0:
                lines[y][x] = SPARK_BLOCKS[min(part, 7)]
    return ["".join(line) for line in lines]


def _ascii(values: Sequence[float | None], rows: int, top: float, dotted: bool) -> list[str]:
    lines = [[" "] * (len(values) // 2) for _ in range(rows)]
    for x, value in enumerate(_pairs(values)):
        if value is not None:
            lines[rows - 1 - _level(value, rows, top)][x] = "o" if dotted else "*"
    return ["".join(line) for line in lines]


def _pairs(values: Sequence[float | None]) -> list[float | None]:
    found: list[float | None] = []
    for left, right in zip(values[::2], values[1::2], strict=False):
        both = [v for v in (left, right) if v is not None]
        found.append(sum(both) / len(both) if both else None)
    return found


HISTORY_S = 120


def sparkline(curve: Sequence[float | None], second: int, cells: int, top: float, glyphs: str) -> str:
    """The last two minutes in `cells` characters; a space where there is no reading.

    `curve` ends now, at `second` of the session. Cells stand on whole multiples of their length, so the line moves
    only when one is full.
    """
    if cells <= 0:
        return ""
    cell_s = max(-(-HISTORY_S // cells), 1)
    first = second - len(curve)
    start = (max(second - 1, 0) // cell_s - cells + 1) * cell_s
    drawn = []
    for cell in range(cells):
        begin = start + cell * cell_s - first
        values = [v for v in curve[max(begin, 0) : max(begin + cell_s, 0)] if v is not None]
        drawn.append(_bar(sum(values) / len(values), top, glyphs) if values else " ")
    return "".join(drawn)


def _bar(value: float, top: float, glyphs: str) -> str:
    share = value / top if top > 0 else 0.0
    return glyphs[min(max(round(share * (len(glyphs) - 1)), 0), len(glyphs) - 1)]
