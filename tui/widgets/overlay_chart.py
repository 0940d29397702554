"""Both lanes in one large chart, drawn by plotext: it spans what there is, up to ten minutes."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from textual.events import Resize

from tui.records.rows import Lane
from tui.session.view import View
from tui.widgets import numbers
from tui.widgets.glyphs import GLYPHS, Glyphs
from tui.widgets.plotting import EDGE_CELLS, TICK_CELLS, draw, new_figure, rows_of, rule, write
from tui.widgets.rows import Row, Rows
from tui.widgets.scale import scale_for

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
