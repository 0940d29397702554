"""Throughput against latency, drawn by plotext.

Plotext is imported when something is first drawn with it, because that costs a tenth of a second. `Plot` is plotext
as this program uses it: an independent figure, roles in place of colours, rows in place of a string.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.widget import Widget

from tui.model.dials import DIAL
from tui.model.rows import Lane
from tui.session.view import View
from tui.ui.widgets.chart import Glyphs, tick_texts, ticks_of, top_for
from tui.ui.widgets.panel import Panel, ScreenState
from tui.ui.widgets.rows import Row, Span, fit, spread

if TYPE_CHECKING:
    from tui.judge.sweep import Curve as SweepCurve
    from tui.judge.sweep import Point


# Roles as numbers of the 256 colours, and back when the drawn text is read. The texts that plotext adds have numbers
# below 16: they are muted.
_COLOUR = {"a": 33, "b": 208, "muted": 246, "a strong": 45, "b strong": 214}
_ROLE = {number: role for role, number in _COLOUR.items()}
EDGE_CELLS = 1  # the axes, left and below; a frame all around would say nothing
TICK_CELLS = 5  # of the labels left of the axis
TICK_ROWS = 1
Points = Sequence[tuple[float, float]]


class Plot:
    """A figure of `width` by `height` cells. What is drawn later lies above."""

    def __init__(self, width: int, height: int, glyphs: Glyphs) -> None:
        self.width, self.height, self.glyphs = width, height, glyphs
        self._plotext: Any = importlib.import_module("plotext")  # it has no types
        self._plotext.terminal.limit(False, False)
        # The public `plotext.figure` is one object for the whole program.
        figure = self._figure = type(self._plotext.figure)(self._plotext.terminal)
        figure.plot_size(width, height)
        figure.canvas("default")
        figure.axes(True, "default", self._pixel("muted"))
        figure.axes(False, axis="x", side="upper")
        figure.axes(False, axis="y", side="right")
        figure.legend(False)

    @property
    def columns(self) -> int:
        """Cells across, right of the axis."""
        return self.width - TICK_CELLS - EDGE_CELLS

    @property
    def lines(self) -> int:
        """Cells down, above the axis."""
        return self.height - EDGE_CELLS - TICK_ROWS

    def _pixel(self, role: str) -> Any:
        return self._plotext.pixel(_COLOUR[role], "default")

    def draw(self, points: Points, marker: str, role: str, *, joined: bool) -> None:
        """Points in one character, or the lines between them."""
        xs, ys = [x for x, _ in points], [y for _, y in points]
        signal = self._figure.signal(xs, ys, marker=self._plotext.marker(marker, self._pixel(role)))
        self._figure.draw(signal.lines() if joined and len(points) > 1 else signal)

    def draw_lane(self, lane: Lane, points: Points) -> None:
        """A joined by lines; B as points, which `dotted` spaces evenly."""
        if points:
            self.draw(points, self.glyphs.markers[lane], lane, joined=lane == "a")

    def write(self, x: float, y: float, text: str, role: str) -> None:
        """A text that begins at a point; one that does not fit is not drawn."""
        self._figure.draw(self._figure.text(x, y, self._plotext.colorize(text, self._pixel(role))))

    def set_axis(self, axis: str, low: float, high: float, ticks: Iterable[tuple[float, str]]) -> None:
        at = list(ticks)
        self._figure.ruler(axis).lim(low, high)
        self._figure.ruler(axis).ticks([value for value, _ in at], [text for _, text in at])

    def set_y_axis(self, highest: float) -> float:
        """From 0 to the top that holds every value, which is returned."""
        top = top_for(highest)
        ticks = ticks_of(top, self.lines)
        self.set_axis(
            "y",
            0,
            top,
            [(tick, f"{text:>{TICK_CELLS}}") for tick, text in zip(ticks, tick_texts(ticks), strict=True)],
        )
        return top

    def rows(self) -> list[Row]:
        text = Text.from_ansi(self._figure.build().string().rstrip("\n"))
        return [_row(line, self.width) for line in text.split("\n", allow_blank=True)][: self.height]


def _row(line: Text, width: int) -> Row:
    """A line as runs of one role; braille blanks are spaces to the terminal."""
    plain = line.plain.replace("\u2800", " ")
    roles = ["muted"] * len(plain)
    for span in line.spans:
        style = span.style
        number = style.color.number if not isinstance(style, str) and style.color is not None else None
        if number in _ROLE:
            roles[span.start : span.end] = [_ROLE[number]] * (span.end - span.start)
    edges = [0, *(x for x in range(1, len(plain)) if roles[x] != roles[x - 1]), len(plain)]
    return fit([(plain[begin:end], roles[begin]) for begin, end in pairwise(edges) if begin < end], width)


def dotted(points: Points, step: float) -> list[tuple[float, float]]:
    """The line through the points, as points every `step` along x."""
    dots = list(points[:1])
    for (x0, y0), (x1, y1) in pairwise(points):
        x = dots[-1][0] + step
        while x <= x1:
            dots.append((x, y0 + (y1 - y0) * (x - x0) / (x1 - x0)))
            x += step
    return dots


LOG_FROM = 8.0  # latencies with a wider range than this are drawn by their logarithm
LABEL_CELLS = 6  # kept free at the right for the last point's value


class SweepPlot(Plot):
    """Throughput against latency: a letter for each setting, and the cells that have letters already."""

    def __init__(self, width: int, height: int, points: Sequence[Point], glyphs: Glyphs) -> None:
        super().__init__(width, height, glyphs)
        self.written: set[tuple[int, int]] = set()
        lowest, highest = _latency_range(points)
        self.logarithmic = highest > LOG_FROM * lowest
        self.top = self.set_y_axis(max(point.throughput_high or point.throughput for point in points))
        self._set_x_axis(lowest, highest)

    def _set_x_axis(self, low: float, high: float) -> None:
        """From the lowest latency to the highest, with room for the last label."""
        if self.logarithmic:
            ticks = [value for value in _log_steps(low, high) if low / 1.2 <= value <= high * 1.2]
            self.left, self.right = math.log10(low / 1.2), math.log10(high * 1.2)
        else:
            step = _step_for(high - low / 2 if low > high / 3 else high)
            first, last = (math.floor(low / step) if low > high / 3 else 0), math.ceil(high / step)
            ticks, self.left, self.right = [step * n for n in range(first, last + 1)], step * first, step * last
        self.right += (self.right - self.left) * LABEL_CELLS / self.columns
        texts = tick_texts(ticks)
        texts[-1] += " ms"
        self.set_axis("x", self.left, self.right, zip(map(self.x, ticks), texts, strict=True))

    def x(self, latency: float) -> float:
        return math.log10(latency) if self.logarithmic else latency

    def draw_line(self, lane: Lane, line: Sequence[Point]) -> None:
        """The line through all settings of a lane, in the order of the dial."""
        places = [(self.x(point.latency), point.throughput) for point in line]
        self.draw_lane(lane, places if lane == "a" else self._dots(places))

    def _dots(self, places: Points) -> Points:
        """A line as dots evenly spaced on the screen, in any direction."""
        across, down = 2 * self.columns / (self.right - self.left), 4 * self.lines / self.top
        dots: list[tuple[float, float]] = []
        for (x0, y0), (x1, y1) in pairwise(places):
            length = math.hypot((x1 - x0) * across, (y1 - y0) * down)
            shares = [x for x, _ in dotted([(0.0, 0.0), (1.0, 1.0)], 2.5 / max(length, 2.5))]
            dots += [(x0 + (x1 - x0) * share, y0 + (y1 - y0) * share) for share in shares]
        return dots or places

    def write_point(self, lane: Lane, point: Point, *, now: bool) -> None:
        """The letter and the dial's value, unless an earlier one is there."""
        x, y = self.x(point.latency), point.throughput
        column, row = self._cell(x, y)
        if (column, row) in self.written:
            return
        role = "muted" if point.beaten else f"{lane} strong" if now else lane
        self._write_at(column, row, (x, y), lane if point.beaten else lane.upper(), role)
        text = f"{point.setting:g}" + ("◂" if now else "")
        at_edge = column + len(text) >= self.columns
        cell = (self.right - self.left) / max(self.columns - 1, 1)
        first = column - len(text) if at_edge else column + 1
        needed = {(first + n, row) for n in range(-1 if at_edge else 0, len(text) + 1)} - {(column, row)}
        if not needed & self.written:
            self._write_at(first, row, (x + (first - column) * cell, y), text, role)

    def _write_at(self, column: int, row: int, place: tuple[float, float], text: str, role: str) -> None:
        self.written |= {(column + n, row) for n in range(len(text))}
        self.write(place[0], place[1], text, role)

    def draw_intervals(self, point: Point) -> None:
        """On both axes."""
        across, down = self.glyphs.intervals
        x, y = self.x(point.latency), point.throughput
        if point.latency_low is not None and point.latency_high is not None:
            ends = [self.x(max(end, 1e-3)) for end in (point.latency_low, point.latency_high)]
            self.draw([(end, y) for end in ends], across, "muted", joined=True)
        if point.throughput_low is not None and point.throughput_high is not None:
            self.draw([(x, point.throughput_low), (x, point.throughput_high)], down, "muted", joined=True)

    def _cell(self, x: float, y: float) -> tuple[int, int]:
        """Column and row of a place, as plotext rounds it."""
        column = round((x - self.left) / (self.right - self.left) * (self.columns - 1))
        return column, round((1 - y / self.top) * (self.lines - 1))


def _step_for(highest: float) -> float:
    """The least of 1-2-5 steps of which at most four reach so far."""
    power = 10.0 ** math.floor(math.log10(highest / 4))
    return next(power * m for m in (1, 2, 5, 10) if math.ceil(highest / (power * m)) <= 4)


def _latency_range(points: Iterable[Point]) -> tuple[float, float]:
    """The lowest and the highest latency that is drawn, intervals included."""
    ends = [end for p in points for end in (p.latency, p.latency_low, p.latency_high) if end is not None and end > 0]
    return (min(ends), max(ends)) if ends else (1.0, 10.0)


def _log_steps(low: float, high: float) -> list[float]:
    """1, 2, 5, 10 … around the range."""
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    return [m * 10.0**power for power in range(first, last) for m in (1, 2, 5)]


NO_CURVE = (
    "No curve yet: it needs two settings of one dial, and requests under each. "
    "Turn a dial and leave it for a while, or let the profile's [[plan]] do it: P."
)


class SweepPanel(Panel):
    """Throughput against latency of both lanes as it grows; a curve that did not change is not drawn again."""

    def __init__(self) -> None:
        super().__init__(self._sweep_rows, id="curve", min_size=(TICK_CELLS + 20, 5))
        self._drawn: object = None

    def _sweep_rows(self, state: ScreenState, width: int, height: int) -> Sequence[Row]:
        from tui.judge.sweep import curve  # it imports Polars

        view = state.view
        sweep = curve(view.ledger) if view.ledger else None
        shown = (sweep, in_force(view, sweep), view.crossover, state.glyphs, width, height)
        if shown == self._drawn:
            return self.rows
        self._drawn = shown
        if isinstance(self.parent, Widget):
            self.parent.border_title = sweep_title(sweep)
        return sweep_rows(view, sweep, state.glyphs, (width, height))


def sweep_title(sweep: SweepCurve | None) -> str:
    """What the axes are."""
    if sweep is None:
        return "Output tok/s against TTFT"
    return f"Output tok/s against TTFT {sweep.percentile}, by {DIAL[sweep.dial].label}   A solid   B dotted"


def in_force(view: View, sweep: SweepCurve | None) -> Mapping[Lane, float]:
    """The value that the varied dial has now, by lane."""
    if sweep is None or not 0 <= view.ledger_now < len(view.ledger):
        return {}
    settings = view.ledger[view.ledger_now].dials
    unnamed = (*DIAL[sweep.dial].special.values(), "")
    values = {lane: setting[sweep.dial] for lane, setting in settings.items()}
    return {lane: math.nan if text in unnamed else float(text) for lane, text in values.items()}


def sweep_rows(view: View, sweep: SweepCurve | None, glyphs: Glyphs, size: tuple[int, int]) -> list[Row]:
    """The chart, and below it where the lead changes hands and what small letters mean.

    A point is the lane's letter and the dial's value; where another setting of the same lane is better on both axes
    the letter is small and dim.
    """
    width, height = size
    points = [(lane, point) for lane, line in sweep.lines.items() for point in line] if sweep else []
    if sweep is None or not points:
        return [fit((), width), *(fit([(f" {text}", "muted")], width) for text in wrap(NO_CURVE, width - 2))]
    plot = SweepPlot(width, height - 1, [point for _, point in points], glyphs)
    for _, point in points:
        plot.draw_intervals(point)
    for lane, line in sweep.lines.items():
        plot.draw_line(lane, line)
    now = in_force(view, sweep)
    ranked = [(lane, point, point.setting == now.get(lane)) for lane, point in points]
    for lane, point, is_now in sorted(ranked, key=lambda one: (not one[2], one[1].beaten)):
        plot.write_point(lane, point, now=is_now)
    beaten: list[Span] = [("a b: beaten on both axes ", "muted")] if any(p.beaten for _, p in points) else []
    below: Span = (f" {view.crossover}", "strong") if view.crossover else (" up and left is better", "muted")
    return [*plot.rows(), spread([below], beaten, width)]
