"""Throughput against latency: a point for each setting of the dial that was varied, a line a lane, drawn by plotext.

Up and to the left is better. A point is the lane's letter and the dial's value; where another setting of the same
lane is better on both axes the letter is small and dim.
"""

from collections.abc import Mapping
from textwrap import wrap
from typing import TYPE_CHECKING

from textual.events import Resize

from tui.records.dials import DIAL
from tui.records.rows import Lane
from tui.session.view import View
from tui.widgets.curve_plot import CurvePlot
from tui.widgets.glyphs import GLYPHS, Glyphs
from tui.widgets.plotting import TICK_CELLS
from tui.widgets.rows import Row, Rows, Span, fit, spread

if TYPE_CHECKING:  # Polars stands behind it
    from tui.analysis.curve import Curve

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
        from tui.analysis.curve import curve  # Polars stands behind it

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

    def _tell(self, found: "Curve | None") -> None:
        if self.parent is not None and self.parent.is_attached:
            self.screen.query_one(f"#{self.parent.id}").border_title = curve_title(found)


def curve_title(found: "Curve | None") -> str:
    """What the axes are."""
    if found is None:
        return "Output tok/s against TTFT"
    spec = DIAL[found.dial]
    return f"Output tok/s against TTFT {found.percentile}, by {spec.label}   A solid   B dotted"


def in_force(view: View, found: "Curve | None") -> Mapping[Lane, float]:
    """The value that the varied dial has now, by lane."""
    if found is None or not 0 <= view.ledger_now < len(view.ledger):
        return {}
    settings = view.ledger[view.ledger_now].dials
    return {lane: float(setting[found.dial] or "nan") for lane, setting in settings.items()}


def curve_rows(view: View, found: "Curve | None", glyphs: Glyphs, size: tuple[int, int]) -> list[Row]:
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


def _below(view: View, found: "Curve", width: int) -> Row:
    any_beaten = any(point.beaten for line in found.lines.values() for point in line)
    right: list[Span] = [("a b: beaten on both axes ", "muted")] if any_beaten else []
    left: list[Span] = [(f" {view.crossover}", "strong")] if view.crossover else [(" up and left is better", "muted")]
    return spread(left, right, width)
