"""A line chart and a sparkline of one value a second, in braille, blocks or ASCII: pure rows, no terminal.

Blank cells are spaces: a braille blank is three bytes, and spaces cut a whole screen from 5.9 to 3.8 kB/s. The chart
moves by whole cells (two dots), so in most seconds only the cells at its right end change.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from tui.ui.widgets.rows import Row, Span, fit
from tui.ui.widgets.theme import SPARK_ASCII, SPARK_BLOCKS

AXIS_CELLS = 6  # five of label and the axis itself
SPARK_HISTORY_S = 120
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # braille bits by column, then row from the top
Curve = Sequence[float | None]  # None: no reading


class Glyphs(msgspec.Struct, frozen=True):
    """One set of chart characters."""

    kind: Literal["braille", "block", "ascii"]  # how a curve is put into cells
    label: str
    levels: int  # that a curve can have within one row
    spark: str  # of sparklines and blocks, from low to high
    markers: Mapping[str, str]  # plotext's names of the two lanes' lines
    intervals: tuple[str, str] = ("─", "│")  # across and down


GLYPHS: tuple[Glyphs, ...] = (
    Glyphs("braille", "braille", 4, SPARK_BLOCKS, {"a": "braille", "b": "braille"}),
    Glyphs("block", "blocks", 8, SPARK_BLOCKS, {"a": "hd", "b": "hd"}),
    Glyphs("ascii", "ASCII", 1, SPARK_ASCII, {"a": "*", "b": "o"}, ("-", "|")),
)


class Scale(msgspec.Struct, frozen=True):
    """From 0 to `top`, with a tick every `step`."""

    top: float
    step: float

    @property
    def ticks(self) -> Sequence[float]:
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
    return f"{value / 1000:.0f}k" if value >= 100_000 else f"{value:g}"


def mean(values: Iterable[float | None]) -> float | None:
    """Of the readings; None where there is none."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def means(curve: Curve, first: int, steps: int, step_s: int) -> list[float | None]:
    """The mean of each of `steps` spans of `step_s` seconds, where `curve[first]` is the first second.

    `first` is below 0 where the curve begins later than the spans.
    """
    begins = range(first, first + steps * step_s, step_s)
    return [mean(curve[max(begin, 0) : max(begin + step_s, 0)]) for begin in begins]


class Ground(msgspec.Struct, frozen=True):
    """What a curve is drawn on: `cells` columns of `cell_s` seconds from `start` to `second`, and a scale.

    `marks` are the seconds at which a dial moved, each with a label.
    """

    second: int
    start: int
    cell_s: int
    cells: int
    scale: Scale
    marks: Sequence[tuple[int, str]] = ()


def ground(second: int, cells: int, min_s: int, scale: Scale, marks: Sequence[tuple[int, str]]) -> Ground:
    """One that ends with the last whole second and covers at least `min_s` seconds."""
    cells = max(cells, 1)
    cell_s = 2 * max(-(-min_s // (2 * cells)), 1)
    last_cell = max(second - 1, 0) // cell_s
    return Ground(second, (last_cell - cells + 1) * cell_s, cell_s, cells, scale, marks)


def chart_rows(curve: Curve, on: Ground, height: int, lane: str, glyphs: Glyphs) -> list[Row]:
    """`height` rows: the curve, and below it one row for the marks' labels. `curve` ends with `second - 1`."""
    top, rows = on.scale.top, max(height - 1, 1)
    dots = means(curve, on.start - (on.second - len(curve)), on.cells * 2, on.cell_s // 2)
    cells = _braille(dots, rows, top) if glyphs.kind == "braille" else _columns(dots, rows, top, glyphs)
    columns = {(second - on.start) // on.cell_s: text for second, text in on.marks if second >= on.start}
    labels = _labels(on.scale, rows, glyphs.levels)
    drawn = [
        fit(((f"{labels.get(y, ''):>5}┤", "muted"), *_cells(cells[y], columns, lane)), AXIS_CELLS + on.cells)
        for y in range(rows)
    ]
    return [*drawn, _below(on, columns)]


def _labels(scale: Scale, rows: int, levels: int) -> dict[int, str]:
    """Which row has which tick: that of its value. Of two in one row the lower one goes, 0 and the top stay."""
    ticks = (*scale.ticks[1:-1], 0.0, scale.top)
    return {rows - 1 - _level(tick, rows * levels, scale.top) // levels: tick_text(tick) for tick in ticks}


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


def _below(on: Ground, columns: dict[int, str]) -> Row:
    """`-120 s      conc 16→32      now`."""
    line = [" "] * on.cells

    def write(x: int, text: str) -> None:
        x = min(max(x, 0), on.cells - len(text))
        if x >= 0 and all(ch == " " for ch in line[max(x - 1, 0) : x + len(text) + 1]):
            line[x : x + len(text)] = text

    write(on.cells - 3, "now")
    write(0, f"-{on.cells * on.cell_s} s")
    for x, text in sorted(columns.items(), reverse=True):
        write(x - len(text) // 2, text)
    return ((" " * AXIS_CELLS, ""), ("".join(line), "muted"))


def _level(value: float, steps: int, top: float) -> int:
    """Which of `steps` levels, 0 the lowest."""
    share = value / top if top > 0 else 0.0
    return min(max(round(share * (steps - 1)), 0), steps - 1)


def _braille(dots: Curve, rows: int, top: float) -> list[str]:
    steps = rows * 4
    grid = [[0] * (len(dots) // 2) for _ in range(rows)]
    before: int | None = None
    for x, value in enumerate(dots):
        level = None if value is None else _level(value, steps, top)
        if level is not None:
            low, high = _joined(level, before)
            for dot in range(low, high + 1):
                y = steps - 1 - dot
                grid[y // 4][x // 2] |= _DOTS[x % 2][y % 4]
        before = level
    return ["".join(chr(0x2800 + bits) if bits else " " for bits in row) for row in grid]


def _joined(level: int, before: int | None) -> tuple[int, int]:
    """The levels to draw in one column, so that it joins the column before."""
    if before is None or abs(level - before) <= 1:
        return level, level
    return (before + 1, level) if level > before else (level, before - 1)


def _columns(dots: Curve, rows: int, top: float, glyphs: Glyphs) -> list[str]:
    """One value a column: filled up to it with blocks, or a single character."""
    lines = [[" "] * (len(dots) // 2) for _ in range(rows)]
    for x, value in enumerate(means(dots, 0, len(dots) // 2, 2)):
        if value is not None:
            level = _level(value, rows * glyphs.levels, top)
            first = rows - 1 - level // glyphs.levels
            for y in range(first, rows if glyphs.kind == "block" else first + 1):
                part = min(level - (rows - 1 - y) * glyphs.levels, glyphs.levels - 1)
                lines[y][x] = glyphs.spark[part] if glyphs.kind == "block" else glyphs.markers["a"]
    return ["".join(line) for line in lines]


def sparkline(curve: Curve, second: int, cells: int, top: float, glyphs: str) -> str:
    """The last two minutes in `cells` characters on a scale from 0 to `top`; a space where there is no reading.

    `curve` ends with second `second - 1`. Cells begin at whole multiples of their length, so the line moves only when
    one is full.
    """
    if cells <= 0:
        return ""
    cell_s = max(-(-SPARK_HISTORY_S // cells), 1)
    start = (max(second - 1, 0) // cell_s - cells + 1) * cell_s
    values = means(curve, start - (second - len(curve)), cells, cell_s)
    return "".join(" " if value is None else glyphs[_level(value, len(glyphs), top)] for value in values)
