"""A figure over time as a chart or a sparkline, in blocks, braille or ASCII: pure rows, no terminal.

Blank cells are spaces: a braille blank is three bytes, and spaces cut a whole screen from 5.9 to 3.8 kB/s. A chart
moves by whole cells, so in most seconds only the cells at its right end change, and an area that is level changes
nothing when it moves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Literal

import msgspec
from msgspec.structs import replace

from tui.ui.widgets import numbers
from tui.ui.widgets.rows import Row, Span, fit
from tui.ui.widgets.theme import SPARK_ASCII, SPARK_BLOCKS

AXIS_CELLS = 6  # five of label and the axis itself
SPARK_HISTORY_S = 120
RULE_FROM_ROWS = 2
SLIT_FROM_ROWS = 5  # in a lower area the other lane's rule would cut too much away
MINUTES_FROM_S = 300
MARKS_APART = 3  # cells; marks that are closer are one, with the label of the last
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # braille bits by column, then row from the top
Curve = Sequence[float | None]  # None: no reading


class Glyphs(msgspec.Struct, frozen=True):
    """One way to draw charts."""

    kind: Literal["block", "braille", "seconds", "ascii", "ascii seconds"]
    label: str
    spark: str  # of sparklines, from low to high
    fill: str  # of areas: a cell filled from its lowest part to its whole
    band: str  # the range of the seconds behind the mean
    rule: str  # where the other lane is
    halves: Mapping[str, tuple[str, str, str]]  # of the lanes' lines: in the upper half of a cell, the lower, both
    markers: Mapping[str, str]  # plotext's names of the two lanes' lines
    intervals: tuple[str, str] = ("─", "│")  # across and down
    dots: bool = False  # thin lines in braille
    each_second: bool = False  # in place of the mean


_HALVES = {"a": ("▔", "▁", "│"), "b": ("▀", "▄", "█")}
_MARKERS = {"a": "braille", "b": "braille"}
_BLOCKS = Glyphs("block", "10 s mean, in blocks", SPARK_BLOCKS, SPARK_BLOCKS, "░", "┄", _HALVES, _MARKERS)
_BRAILLE = replace(_BLOCKS, kind="braille", label="10 s mean, in braille", fill="⣀⣤⣶⣿", dots=True)
_ASCII = Glyphs(
    "ascii", "10 s mean, in ASCII", SPARK_ASCII, "_=#", ".", "-",
    {"a": ("*", "*", "*"), "b": ("o", "o", "o")}, {"a": "*", "b": "o"}, ("-", "|"),
)  # fmt: skip
GLYPHS: tuple[Glyphs, ...] = (
    _BLOCKS,
    _BRAILLE,
    replace(_BRAILLE, kind="seconds", label="each second, in braille", each_second=True),
    _ASCII,
)
ASCII_GLYPHS: tuple[Glyphs, ...] = (
    _ASCII,
    replace(_ASCII, kind="ascii seconds", label="each second, in ASCII", each_second=True),
)

TOPS = (1, 1.2, 1.5, 2, 3, 4, 5, 6, 8, 10)  # times a power of ten
_INTERVALS = (4, 5, 3, 6, 2)  # between ticks, the most welcome number first
_STEPS = {1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.5}  # between ticks, times a power of ten


def top_for(highest: float) -> float:
    """The lowest top of a scale that holds a value; 10 for none."""
    if highest <= 0:
        return 10.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next(top * power for top in TOPS if highest <= top * power * (1 + 1e-9))


def ticks_of(top: float, rows: int) -> list[float]:
    """Values from 0 to `top`, an equal number of rows apart and at least two, each true for its row."""
    for count in _INTERVALS:
        step = top / count
        power = 10.0 ** math.floor(math.log10(step))
        if (rows - 1) % count == 0 and (rows - 1) // count >= 2 and round(step / power, 6) in _STEPS:
            return [step * n for n in range(count + 1)]
    return [0.0, top]


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """The ticks of one axis in one style and at most five characters each: `1,500`, or `15k` where that is longer."""
    texts = [f"{tick:,.6g}" for tick in ticks]
    return texts if max(map(len, texts)) <= AXIS_CELLS - 1 else [numbers.thousands(tick) for tick in ticks]


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
    """What is drawn on: `cells` columns of `cell_s` seconds from `start` until `second`.

    `marks` are the seconds at which a dial moved, each with a label.
    """

    second: int
    start: int
    cell_s: int
    cells: int
    marks: Sequence[tuple[int, str]] = ()

    @property
    def span_s(self) -> int:
        return self.cells * self.cell_s

    @property
    def ends(self) -> list[int]:
        """The last second of each column, as far as it has passed."""
        return [min(self.start + n * self.cell_s, self.second) - 1 for n in range(1, self.cells + 1)]

    def column(self, second: int) -> int:
        return (second - self.start) // self.cell_s


def ground(
    second: int, cells: int, min_s: int, marks: Sequence[tuple[int, str]] = (), *, even: bool = False
) -> Ground:
    """One that ends with the last whole second and covers at least `min_s` seconds; less while a session is young.

    `even`: columns hold two halves of whole seconds.
    """
    cells = max(cells, 1)
    cell_s = 1 if second < cells and not even else max(-(-min_s // cells), 1)
    cell_s += cell_s % 2 if even else 0
    last_cell = max(second - 1, 0) // cell_s
    return Ground(second, (last_cell - cells + 1) * cell_s, cell_s, cells, marks)


class Area(msgspec.Struct, frozen=True):
    """A lane's mean at the end of each column, and the greatest second that it holds."""

    means: Curve
    highs: Curve


class Rule(msgspec.Struct, frozen=True):
    """Where another lane is, with a label."""

    value: float
    text: str
    role: str


class Pen(msgspec.Struct, frozen=True):
    """How a lane's values become cells: the characters, and the value at full height."""

    lane: str
    glyphs: Glyphs
    top: float


Cells = list[list[tuple[str, str]]]  # rows of characters with roles
BLANK = (" ", "")


def area_rows(area: Area, on: Ground, height: int, pen: Pen, rule: Rule | None = None) -> Cells:
    """An area up to the mean, the range of the seconds behind it, and the other lane's rule above both."""
    fill, top, lane = pen.glyphs.fill, pen.top, pen.lane
    levels = len(fill)
    filled = [-1 if v is None else level_of(v, height * levels, top) for v in area.means]
    ranges = [-1 if v is None else level_of(v, height * levels, top) for v in area.highs]
    parts, whole, band = [(ch, lane) for ch in fill], (fill[-1], lane), (pen.glyphs.band, f"{lane} dim")
    rows: Cells = []
    for base in range((height - 1) * levels, -1, -levels):
        full = base + levels - 1
        rows.append(
            [
                whole if level >= full else parts[level - base] if level >= base else band if high >= base else BLANK
                for level, high in zip(filled, ranges, strict=True)
            ]
        )
    if rule is not None and rule.value <= top and height >= RULE_FROM_ROWS:
        at = height - 1 - level_of(rule.value, height * levels, top) // levels
        rows[at] = _ruled(rows[at], rule, pen, kept=lane if height < SLIT_FROM_ROWS else "")
    return rows


def _ruled(row: list[tuple[str, str]], rule: Rule, pen: Pen, *, kept: str) -> list[tuple[str, str]]:
    """The row with `┄┄ B 424 ┄┄┄┄`; cells of the role `kept` are covered by the label alone."""
    text = f"{pen.glyphs.rule * 2} {rule.text} " if len(rule.text) + 4 < len(row) else ""
    line = text.ljust(len(row), pen.glyphs.rule)
    return [
        old if kept and old[1] == kept and ch == pen.glyphs.rule else (ch, rule.role)
        for old, ch in zip(row, line, strict=True)
    ]


def line_rows(dots: Curve, height: int, pen: Pen) -> Cells:
    """A thin line: `dots` are two values a column."""
    if pen.glyphs.dots:
        lines = _braille(dots, height, pen.top)
        return [[(ch, pen.lane if ch != " " else "") for ch in line] for line in lines]
    return half_rows(means(dots, 0, len(dots) // 2, 2), height, pen)


def half_rows(values: Curve, height: int, pen: Pen) -> Cells:
    """A line of one value a column, half a row high."""
    cells: Cells = [[BLANK] * len(values) for _ in range(height)]
    upper, lower, both = pen.glyphs.halves[pen.lane]
    before: int | None = None
    for x, value in enumerate(values):
        level = None if value is None else level_of(value, 2 * height, pen.top)
        if level is not None:
            low, high = joined(level, before)
            for y in range(height - 1 - high // 2, height - low // 2):
                base = 2 * (height - 1 - y)
                has_lower, has_upper = low <= base <= high, low <= base + 1 <= high
                cells[y][x] = (both if has_lower and has_upper else lower if has_lower else upper, pen.lane)
        before = level
    return cells


def chart_rows(cells: Cells, on: Ground, top: float, unit: str) -> list[Row]:
    """The cells with an axis at their left, marks between them, and a row for the marks' labels below."""
    height = len(cells)
    ticks = ticks_of(top, height)
    labels = {
        height - 1 - round(place * (height - 1) / (len(ticks) - 1)): text
        for place, text in enumerate(tick_texts(ticks))
    }
    marks = joined_marks(on)
    rows = []
    for y, row in enumerate(cells):
        for x in marks:
            if row[x][1] in {"", "a dim", "b dim"}:
                row[x] = ("┊", "muted")
        axis = f"{labels[y]:>{AXIS_CELLS - 1}}┤" if y in labels else f"{'':{AXIS_CELLS - 1}}│"
        rows.append(fit([(axis, "muted"), *spans_of(row)], AXIS_CELLS + on.cells))
    return [*rows, below(on, marks, unit)]


def spans_of(row: Sequence[tuple[str, str]]) -> list[Span]:
    """Characters of one role as one text."""
    return [
        ("".join(ch for ch, _ in run), role)
        for role, run in ((role, list(run)) for role, run in groupby(row, lambda cell: cell[1]))
    ]


def joined_marks(on: Ground) -> dict[int, str]:
    """The columns at which a dial moved, with labels; of marks that nearly coincide the last."""
    columns: dict[int, str] = {}
    for second, text in on.marks:
        x = on.column(second)
        if 0 <= x < on.cells:
            if columns and x - max(columns) < MARKS_APART:
                columns.pop(max(columns))
            columns[x] = text
    return columns


def below(on: Ground, columns: Mapping[int, str], unit: str) -> Row:
    """`tok/s -120 s      conc 16→32      now`."""
    width = AXIS_CELLS + on.cells
    line = list(f"{unit} "[:width].ljust(width))
    first = max(AXIS_CELLS, len(unit) + 1)

    def write(x: int, text: str) -> None:
        x = min(max(x, first), width - len(text))
        if x >= first and all(ch == " " for ch in line[x - 1 : x + len(text) + 1]):
            line[x : x + len(text)] = text

    write(width - 3, "now")
    write(first, f"-{on.span_s} s" if on.span_s < MINUTES_FROM_S else f"-{on.span_s / 60:.0f} min")
    for x, text in sorted(columns.items(), reverse=True):
        write(AXIS_CELLS + x - len(text) // 2, text)
    return (("".join(line), "muted"),)


def level_of(value: float, steps: int, top: float) -> int:
    """Which of `steps` levels, 0 the lowest."""
    share = value / top if top > 0 else 0.0
    return min(max(round(share * (steps - 1)), 0), steps - 1)


def _braille(dots: Curve, rows: int, top: float) -> list[str]:
    steps = rows * 4
    grid = [[0] * (len(dots) // 2) for _ in range(rows)]
    before: int | None = None
    for x, value in enumerate(dots):
        level = None if value is None else level_of(value, steps, top)
        if level is not None:
            low, high = joined(level, before)
            for dot in range(low, high + 1):
                y = steps - 1 - dot
                grid[y // 4][x // 2] |= _DOTS[x % 2][y % 4]
        before = level
    return ["".join(chr(0x2800 + bits) if bits else " " for bits in row) for row in grid]


def joined(level: int, before: int | None) -> tuple[int, int]:
    """The levels to draw in one column, so that it joins the column before."""
    if before is None or abs(level - before) <= 1:
        return level, level
    return (before + 1, level) if level > before else (level, before - 1)


class SparkGround(msgspec.Struct, frozen=True):
    """What a sparkline is drawn on: `cells` of `cell_s` seconds from `start` on.

    Cells begin at whole multiples of their length, so the line moves only when one is full.
    """

    start: int
    cell_s: int
    cells: int


def spark_ground(second: int, cells: int) -> SparkGround:
    """The last two minutes before `second`."""
    cell_s = max(-(-SPARK_HISTORY_S // max(cells, 1)), 1)
    return SparkGround((max(second - 1, 0) // cell_s - cells + 1) * cell_s, cell_s, max(cells, 0))


def spark_text(values: Curve, top: float, glyphs: str) -> str:
    """On a scale from 0 to `top`; a space where there is no reading."""
    return "".join(" " if value is None else glyphs[level_of(value, len(glyphs), top)] for value in values)


def sparkline(curve: Curve, second: int, cells: int, top: float, glyphs: str) -> str:
    """The last two minutes of a curve that ends with second `second - 1`, in `cells` characters."""
    on = spark_ground(second, cells)
    return spark_text(means(curve, on.start - (second - len(curve)), on.cells, on.cell_s), top, glyphs)
