"""Plotext as this program uses it: an independent figure, roles in place of colours, and rows in place of a string.

It is imported when something is first drawn with it, because that costs a tenth of a second.
"""

import importlib
from collections.abc import Iterable, Sequence
from typing import Any

from rich.text import Text

from tui.widgets.rows import Row, fit

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
