"""The drawing of a curve: axes, lines, intervals, and letters that do not lie on one another."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tui.records.rows import Lane
from tui.widgets.glyphs import Glyphs
from tui.widgets.overlay_chart import SYMBOLS, dotted
from tui.widgets.plotting import EDGE_CELLS, TICK_CELLS, TICK_ROWS, draw, new_figure, rows_of, rule, write
from tui.widgets.rows import Row
from tui.widgets.scale import scale_for, tick_text

if TYPE_CHECKING:  # Polars stands behind it
    from tui.analysis.sweep import Point

LOG_FROM = 8.0  # latencies further apart than this are drawn by their logarithm
LABEL_CELLS = 6  # kept free at the right for the last point's value
BARS = {True: ("-", "|"), False: ("─", "│")}  # of the intervals, by whether only ASCII may be shown


@dataclass(slots=True)
class CurvePlot:
    """A figure and which of its cells have letters in them."""

    width: int
    height: int
    points: "Sequence[Point]"
    glyphs: Glyphs
    figure: Any = field(init=False)
    logarithmic: bool = field(init=False)
    top: float = field(init=False)
    left: float = field(init=False)
    right: float = field(init=False)
    taken: set[tuple[int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.figure = new_figure(self.width, self.height)
        lows, highs = _reach(self.points)
        self.logarithmic = highs > LOG_FROM * lows
        scale = scale_for([[p.throughput_high or p.throughput for p in self.points]])
        self.top = scale.top
        rule(self.figure, "y", 0, self.top, [(tick, f"{tick:>{TICK_CELLS}g}") for tick in scale.ticks])
        self._rule_x(lows, highs)

    def _rule_x(self, low: float, high: float) -> None:
        """From the least latency to the greatest, with room for the last label."""
        if self.logarithmic:
            ticks = [value for value in _steps(low, high) if low / 1.2 <= value <= high * 1.2]
            self.left, self.right = math.log10(low / 1.2), math.log10(high * 1.2)
        else:
            step = scale_for([[high - low / 2 if low > high / 3 else high]]).step
            first, last = (math.floor(low / step) if low > high / 3 else 0), math.ceil(high / step)
            ticks, self.left, self.right = [step * n for n in range(first, last + 1)], step * first, step * last
        self.right += (self.right - self.left) * LABEL_CELLS / self.columns
        named = [f"{tick_text(value)} ms" if value == ticks[-1] else tick_text(value) for value in ticks]
        rule(self.figure, "x", self.left, self.right, zip(map(self.x, ticks), named, strict=True))

    @property
    def columns(self) -> int:
        """Cells across, right of the axis."""
        return self.width - TICK_CELLS - EDGE_CELLS

    @property
    def lines(self) -> int:
        """Cells down, above the axis."""
        return self.height - EDGE_CELLS - TICK_ROWS

    def x(self, latency: float) -> float:
        """Where a latency stands."""
        return math.log10(latency) if self.logarithmic else latency

    def line(self, lane: Lane, line: "Sequence[Point]") -> None:
        """The line through all settings of a lane, in the order of the dial."""
        places = [(self.x(point.latency), point.throughput) for point in line]
        if lane == "b":
            places = self._dots(places)
        if places:
            draw(self.figure, places, SYMBOLS[self.glyphs.kind][lane], lane, joined=lane == "a")

    def _dots(self, places: list[tuple[float, float]]) -> list[tuple[float, float]]:
        """A line as dots that are evenly apart on the screen, whichever way it runs."""
        across, down = 2 * self.columns / (self.right - self.left), 4 * self.lines / self.top
        found: list[tuple[float, float]] = []
        for (x0, y0), (x1, y1) in pairwise(places):
            length = math.hypot((x1 - x0) * across, (y1 - y0) * down)
            shares = [x for x, _ in dotted([(0.0, 0.0), (1.0, 1.0)], 2.5 / max(length, 2.5))]
            found += [(x0 + (x1 - x0) * share, y0 + (y1 - y0) * share) for share in shares]
        return found or places

    def point(self, lane: Lane, point: "Point", *, now: bool) -> None:
        """The letter and the dial's value, where no earlier one stands."""
        x, y = self.x(point.latency), point.throughput
        column, row = self._cell(x, y)
        if (column, row) in self.taken:
            return
        role = "muted" if point.beaten else f"{lane} strong" if now else lane
        self._write(column, row, (x, y), lane if point.beaten else lane.upper(), role)
        text = f"{point.setting:g}" + ("◂" if now else "")
        at_edge = column + len(text) >= self.columns
        cell = (self.right - self.left) / max(self.columns - 1, 1)
        first = column - len(text) if at_edge else column + 1
        if not {(first + n, row) for n in range(-1 if at_edge else 0, len(text) + 1)} - {(column, row)} & self.taken:
            self._write(first, row, (x + (first - column) * cell, y), text, role)

    def _write(self, column: int, row: int, place: tuple[float, float], text: str, role: str) -> None:
        self.taken |= {(column + n, row) for n in range(len(text))}
        write(self.figure, place[0], place[1], text, role)

    def bars(self, point: "Point") -> None:
        """The intervals of a point on both axes."""
        across, down = BARS[self.glyphs.kind == "ascii"]
        x, y = self.x(point.latency), point.throughput
        if point.latency_low is not None and point.latency_high is not None:
            ends = [self.x(max(end, 1e-3)) for end in (point.latency_low, point.latency_high)]
            draw(self.figure, [(end, y) for end in ends], across, "muted", joined=True)
        if point.throughput_low is not None and point.throughput_high is not None:
            ends = [point.throughput_low, point.throughput_high]
            draw(self.figure, [(x, end) for end in ends], down, "muted", joined=True)

    def _cell(self, x: float, y: float) -> tuple[int, int]:
        """Column and row of a place, as plotext rounds it."""
        column = round((x - self.left) / (self.right - self.left) * (self.columns - 1))
        return column, round((1 - y / self.top) * (self.lines - 1))

    def rows(self) -> list[Row]:
        """What was drawn."""
        return rows_of(self.figure, self.width, self.height)


def _reach(points: "Iterable[Point]") -> tuple[float, float]:
    """The least and the greatest latency that is drawn, intervals included."""
    ends = [end for p in points for end in (p.latency, p.latency_low, p.latency_high) if end is not None and end > 0]
    return (min(ends), max(ends)) if ends else (1.0, 10.0)


def _steps(low: float, high: float) -> list[float]:
    """1, 2, 5, 10 … around the range."""
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    return [m * 10.0**power for power in range(first, last) for m in (1, 2, 5)]
