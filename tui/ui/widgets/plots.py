"""The drawing of a curve: axes, lines, intervals, and letters that do not lie on one another.

Plotext as this program uses it: an independent figure, roles in place of colours, and rows in place of a string.

It is imported when something is first drawn with it, because that costs a tenth of a second.

Both lanes in one large chart, drawn by plotext: it spans what there is, up to ten minutes.

Throughput against latency: a point for each setting of the dial that was varied, a line a lane, drawn by plotext.

Up and to the left is better. A point is the lane's letter and the dial's value; where another setting of the same
lane is better on both axes the letter is small and dim.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.events import Resize

from tui.model.dials import DIAL
from tui.model.rows import Lane
from tui.session.view import View
from tui.ui.widgets import numbers
from tui.ui.widgets.chart import scale_for, tick_text
from tui.ui.widgets.rows import Row, Rows, Span, fit, spread
from tui.ui.widgets.theme import GLYPHS, Glyphs

if TYPE_CHECKING:
    from tui.judge.sweep import Curve, Point


# Roles as colour numbers of the terminal's palette of 256, and back when the drawn text is read. Plotext's own texts
# have numbers below 16: they are muted.
_COLOUR = {"a": 33, "b": 208, "muted": 246, "a strong": 45, "b strong": 214}
_ROLE = {number: role for role, number in _COLOUR.items()}
EDGE_CELLS = 1  # the axes, left and below; a frame all around would tell nothing
TICK_CELLS = 5  # of the labels left of the axis
TICK_ROWS = 1


def plotext() -> Any:
    """The library, which has no types."""
    return importlib.import_module("plotext")


def new_figure(width: int, height: int) -> Any:
    """An independent figure of so many cells; the public `plotext.figure` is one object for the whole program."""
    library = plotext()
    library.terminal.limit(False, False)
    figure = type(library.figure)(library.terminal)
    figure.plot_size(width, height)
    figure.canvas("default")
    figure.axes(True, "default", pixel("muted"))
    figure.axes(False, axis="x", side="upper")
    figure.axes(False, axis="y", side="right")
    figure.legend(False)
    return figure


def pixel(role: str) -> Any:
    """The colour that stands for a role."""
    return plotext().pixel(_COLOUR[role], "default")


def draw(figure: Any, points: Sequence[tuple[float, float]], symbol: str, role: str, *, joined: bool) -> None:
    """Points in one character, or the lines between them."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    signal = figure.signal(xs, ys, marker=plotext().marker(symbol, pixel(role)))
    figure.draw(signal.lines() if joined and len(points) > 1 else signal)


def write(figure: Any, x: float, y: float, text: str, role: str) -> None:
    """A text that begins at a point. What is drawn later lies above it; one that does not fit is not drawn."""
    figure.draw(figure.text(x, y, plotext().colorize(text, pixel(role))))


def rule(figure: Any, axis: str, low: float, high: float, ticks: Iterable[tuple[float, str]]) -> None:
    """What an axis spans and where it has which tick."""
    found = list(ticks)
    figure.ruler(axis).lim(low, high)
    figure.ruler(axis).ticks([at for at, _ in found], [text for _, text in found])


def rows_of(figure: Any, width: int, height: int) -> list[Row]:
    """The figure as rows; plotext's colours become our roles."""
    text = Text.from_ansi(figure.build().string().rstrip("\n"))
    return [_row(line, width) for line in text.split("\n", allow_blank=True)][:height]


def _row(line: Text, width: int) -> Row:
    """A line as spans: runs of one colour; braille blanks are spaces to the terminal."""
    plain = line.plain.replace("\u2800", " ")
    roles = ["muted"] * len(plain)
    for span in line.spans:
        style = span.style
        number = style.color.number if not isinstance(style, str) and style.color is not None else None
        if number in _ROLE:
            roles[span.start : span.end] = [_ROLE[number]] * (span.end - span.start)
    spans: list[tuple[str, str]] = []
    begin = 0
    for x in range(1, len(plain) + 1):
        if x == len(plain) or roles[x] != roles[begin]:
            spans.append((plain[begin:x], roles[begin]))
            begin = x
    return fit(spans, width)


# What it may span, in seconds: within one of these a second adds to the curves and moves nothing, and the steps are
# so small that the chart is never mostly empty.
SPANS_S = (60, 120, 180, 240, 300, 450, 600)
STEP_S = 10  # once the longest is full, the chart moves by so many seconds
SYMBOLS = {
    "braille": {"a": "braille", "b": "braille"},
    "block": {"a": "hd", "b": "hd"},
    "ascii": {"a": "*", "b": "o"},
}
Points = list[tuple[float, float]]


class OverlayChart(Rows):
    """Output tokens a second of both lanes on one scale: A solid, B dotted."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._view: View | None = None
        self._glyphs: Glyphs = GLYPHS[0]

    def show(self, view: View, glyphs: Glyphs) -> None:
        """Take this second."""
        self._view, self._glyphs = view, glyphs
        width, height = self.content_size
        if self.display and width > TICK_CELLS + 10 and height > 3:
            self.put(overlay_rows(view, width, height, glyphs))

    def on_resize(self, _: Resize) -> None:
        """Draw again for the new room."""
        if self._view is not None:
            self.show(self._view, self._glyphs)


def overlay_rows(view: View, width: int, height: int, glyphs: Glyphs) -> list[Row]:
    """The chart as rows."""
    start, end = spanned(view.second)
    runs = {lane: runs_since(found.curve, view.second, start) for lane, found in view.lanes.items()}
    scale = scale_for([y for _, y in run] for lane in runs.values() for run in lane)
    figure = new_figure(width, height)
    dot_s = (end - start) / max((width - TICK_CELLS - EDGE_CELLS) * 2, 1)
    for lane, found in runs.items():
        _draw(figure, lane, found, glyphs, dot_s)
    rule(figure, "y", 0, scale.top, [(tick, f"{tick:>{TICK_CELLS}g}") for tick in scale.ticks])
    for lane, found in runs.items():
        if found:
            write(figure, found[-1][-1][0] + 2 * dot_s, found[-1][-1][1], lane.upper(), f"{lane} strong")
    rule(figure, "x", start, end + 4 * dot_s, _ticks(view, start))  # with room for the letters
    return rows_of(figure, width, height)


def spanned(second: int) -> tuple[int, int]:
    """From which second to which the chart goes at `second` of the session."""
    end = max(second, 1)
    longest = SPANS_S[-1]
    if end > longest:
        end = -(-end // STEP_S) * STEP_S
        return end - longest, end
    return 0, next(span for span in SPANS_S if span >= end)


def runs_since(curve: Sequence[float | None], second: int, start: int) -> list[Points]:
    """The stretches of a curve between gaps, from `start` on. `curve` ends with second `second - 1`."""
    first = second - len(curve)
    runs: list[Points] = [[]]
    for at, value in enumerate(curve, first):
        if at < start:
            continue
        if value is not None:
            runs[-1].append((float(at), value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _draw(figure: Any, lane: Lane, runs: Sequence[Points], glyphs: Glyphs, dot_s: float) -> None:
    """A joined by lines, B as dots at every other place; a second without a reading is a gap."""
    symbol = SYMBOLS[glyphs.kind][lane]
    for run in runs:
        points = run if lane == "a" else dotted(run, 2 * dot_s)
        draw(figure, points, symbol, lane, joined=lane == "a")


def dotted(run: Points, step: float) -> Points:
    """The line through the points, as dots `step` apart."""
    found: Points = run[:1]
    for (x0, y0), (x1, y1) in pairwise(run):
        x = found[-1][0] + step
        while x <= x1:
            found.append((x, y0 + (y1 - y0) * (x - x0) / (x1 - x0)))
            x += step
    return found


def _ticks(view: View, start: int) -> list[tuple[float, str]]:
    """Where the chart begins, now, and each turn of a dial that it shows."""
    found = [(float(start), numbers.short_clock(start))]
    if view.second > start:
        found.append((float(view.second - 1), "now"))
    # Blanks around a mark, because a label is left out where it would overlap another, but not where it touches it.
    return found + [(float(second), f" {text} ") for second, text in view.dial_marks if second > start]


LOG_FROM = 8.0  # latencies further apart than this are drawn by their logarithm
LABEL_CELLS = 6  # kept free at the right for the last point's value
BARS = {True: ("-", "|"), False: ("─", "│")}  # of the intervals, by whether only ASCII may be shown


@dataclass(slots=True)
class CurvePlot:
    """A figure and which of its cells have letters in them."""

    width: int
    height: int
    points: Sequence[Point]
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

    def line(self, lane: Lane, line: Sequence[Point]) -> None:
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

    def point(self, lane: Lane, point: Point, *, now: bool) -> None:
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

    def bars(self, point: Point) -> None:
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


def _reach(points: Iterable[Point]) -> tuple[float, float]:
    """The least and the greatest latency that is drawn, intervals included."""
    ends = [end for p in points for end in (p.latency, p.latency_low, p.latency_high) if end is not None and end > 0]
    return (min(ends), max(ends)) if ends else (1.0, 10.0)


def _steps(low: float, high: float) -> list[float]:
    """1, 2, 5, 10 … around the range."""
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    return [m * 10.0**power for power in range(first, last) for m in (1, 2, 5)]


NONE_YET = (
    "No curve yet: it needs two settings of one dial, and requests under each. "
    "Turn a dial and leave it for a while, or let the profile's [[plan]] do it: P."
)


class CurveChart(Rows):
    """The curve of both lanes as it grows."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._view: View | None = None
        self._glyphs: Glyphs = GLYPHS[0]
        self._drawn: object = None

    def show(self, view: View, glyphs: Glyphs) -> None:
        """Take this second; a curve that stands still is not drawn again."""
        self._view, self._glyphs = view, glyphs
        width, height = self.content_size
        if width < TICK_CELLS + 20 or height < 5:
            return
        from tui.judge.sweep import curve  # Polars stands behind it

        found = curve(view.ledger) if view.ledger else None
        told = (found, in_force(view, found), view.crossover, glyphs, width, height)
        if told != self._drawn:
            self._drawn = told
            self.put(curve_rows(view, found, glyphs, (width, height)))
            self._tell(found)

    def on_resize(self, _: Resize) -> None:
        """Draw again for the new room."""
        if self._view is not None:
            self.show(self._view, self._glyphs)

    def _tell(self, found: Curve | None) -> None:
        if self.parent is not None and self.parent.is_attached:
            self.screen.query_one(f"#{self.parent.id}").border_title = curve_title(found)


def curve_title(found: Curve | None) -> str:
    """What the axes are."""
    if found is None:
        return "Output tok/s against TTFT"
    spec = DIAL[found.dial]
    return f"Output tok/s against TTFT {found.percentile}, by {spec.label}   A solid   B dotted"


def in_force(view: View, found: Curve | None) -> Mapping[Lane, float]:
    """The value that the varied dial has now, by lane."""
    if found is None or not 0 <= view.ledger_now < len(view.ledger):
        return {}
    settings = view.ledger[view.ledger_now].dials
    return {lane: float(setting[found.dial] or "nan") for lane, setting in settings.items()}


def curve_rows(view: View, found: Curve | None, glyphs: Glyphs, size: tuple[int, int]) -> list[Row]:
    """The chart, and below it where the lead changes hands and what small letters mean."""
    width, height = size
    points = [point for line in found.lines.values() for point in line] if found else []
    if found is None or not points:
        return [fit((), width), *(fit([(f" {text}", "muted")], width) for text in wrap(NONE_YET, width - 2))]
    plot = CurvePlot(width, height - 1, points, glyphs)
    for point in points:  # what is drawn later lies above
        plot.bars(point)
    for lane, line in found.lines.items():
        plot.line(lane, line)
    now = in_force(view, found)
    told = [(lane, point, point.setting == now.get(lane)) for lane, line in found.lines.items() for point in line]
    for lane, point, is_now in sorted(told, key=lambda one: (not one[2], one[1].beaten)):
        plot.point(lane, point, now=is_now)
    return [*plot.rows(), _below(view, found, width)]


def _below(view: View, found: Curve, width: int) -> Row:
    any_beaten = any(point.beaten for line in found.lines.values() for point in line)
    right: list[Span] = [("a b: beaten on both axes ", "muted")] if any_beaten else []
    left: list[Span] = [(f" {view.crossover}", "strong")] if view.crossover else [(" up and left is better", "muted")]
    return spread(left, right, width)
