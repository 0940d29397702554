"""Both lanes in one large chart, drawn by plotext, which is imported when the chart is first shown."""

import importlib
from collections.abc import Sequence
from typing import Any

from rich.text import Text
from textual.events import Resize

from tui.records.rows import Lane
from tui.session.view import View
from tui.widgets.chart import AXIS_CELLS, dots, span_of
from tui.widgets.glyphs import GLYPHS, Glyphs
from tui.widgets.rows import Row, Rows, fit
from tui.widgets.scale import Scale, scale_for

HISTORY_S = 600


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
        if self.display and width > AXIS_CELLS + 10 and height > 3:
            self.put(overlay_rows(view, width, height, glyphs))

    def on_resize(self, _: Resize) -> None:
        """Draw again for the new room."""
        if self._view is not None:
            self.show(self._view, self._glyphs)


def overlay_rows(view: View, width: int, height: int, glyphs: Glyphs) -> list[Row]:
    """The chart as rows; plotext's colours become our roles."""
    span = span_of(view.second, width - AXIS_CELLS, HISTORY_S)
    curves = {lane: dots(found.curve, view.second, span) for lane, found in view.lanes.items()}
    scale = scale_for(curves.values())
    figure = _figure(width, height)
    for lane, curve in curves.items():
        _draw(figure, lane, curve, glyphs)
    last_s = span.start + span.cells * span.cell_s
    figure.ruler("y").lim(0, scale.top)
    figure.ruler("y").ticks(*_y_ticks(scale))
    figure.ruler("x").lim(0, span.cells * 2 - 1)
    figure.ruler("x").ticks(*_x_ticks(view, span.start, last_s, span.dot_s))
    text = Text.from_ansi(figure.build().string().rstrip("\n"))
    return [_row(line, width) for line in text.split("\n", allow_blank=True)][:height]


def _figure(width: int, height: int) -> Any:
    """An independent plotext figure; the public `plotext.figure` is one object for the whole program."""
    plotext = _plotext()
    plotext.terminal.limit(False, False)
    figure = type(plotext.figure)(plotext.terminal)
    figure.plot_size(width, height)
    figure.canvas("default")
    figure.axes(True, "default", _pixel("muted"))
    figure.legend(False)
    return figure


def _plotext() -> Any:
    """Plotext, which has no types; imported here because it costs a tenth of a second."""
    return importlib.import_module("plotext")


# Roles as colour numbers of the terminal's palette of 256, and back when the drawn text is read.
_COLOUR = {"a": 4, "b": 3, "muted": 7}
_ROLE = {number: role for role, number in _COLOUR.items()}


def _pixel(role: str) -> Any:
    return _plotext().pixel(_COLOUR[role], "default")


def _draw(figure: Any, lane: Lane, curve: Sequence[float | None], glyphs: Glyphs) -> None:
    """A joined by lines, B as dots at every other place; a second without a reading is a gap."""
    plotext = _plotext()
    symbol = {"braille": "braille", "block": "hd"}.get(glyphs.kind, "*" if lane == "a" else "o")
    for points in _runs(curve):
        shown = points if lane == "a" else [p for p in points if p[0] % 2 == 0]
        if shown:
            xs, ys = [x for x, _ in shown], [y for _, y in shown]
            signal = figure.signal(xs, ys, marker=plotext.marker(symbol, _pixel(lane)))
            figure.draw(signal.lines() if lane == "a" and len(xs) > 1 else signal)


def _runs(curve: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """The stretches between gaps."""
    runs: list[list[tuple[int, float]]] = [[]]
    for x, value in enumerate(curve):
        if value is not None:
            runs[-1].append((x, value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _y_ticks(scale: Scale) -> tuple[list[float], list[str]]:
    return list(scale.ticks), [f"{tick:>5g}" for tick in scale.ticks]


def _x_ticks(view: View, start: int, end: int, dot_s: int) -> tuple[list[float], list[str]]:
    """The ends of the chart, and each turn of a dial that it shows."""
    found = [(0.0, f"-{end - start} s"), ((end - start) / dot_s - 1, "now")]
    found += [((second - start) / dot_s, text) for second, text in view.dial_marks if second > start]
    return [x for x, _ in found], [text for _, text in found]


def _row(line: Text, width: int) -> Row:
    """A line of plotext as spans: runs of one colour; its braille blanks are spaces to the terminal."""
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
