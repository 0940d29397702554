"""The trailing mean of a lane's figure: what charts over time show of the figure that the lanes are compared by.

A true mean, over the seconds of the last ten that count: it begins anew where other dials came into force and where a
lane came back, so that no mean is of two settings.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from itertools import accumulate

from tui.model.metrics import METRICS
from tui.session.view import Curve, LaneView, View
from tui.ui.widgets.chart import Area, Ground, SparkGround, means, top_for

MEAN_S = 10
HOLD_S = 30  # a scale that could be smaller waits so long
HEADROOM = 1.3  # a scale holds single seconds up to so many times the highest mean


class Trailing:
    """One figure of one lane, by second of the session."""

    def __init__(self, curve: Curve, lane: LaneView, begins: Collection[int], second: int) -> None:
        self._first = second - len(curve.totals)
        self._curve = curve
        self._totals = [0.0, *accumulate(curve.totals)]
        self._counts = [0, *accumulate(curve.counts)]
        self._begins = self._begin_places(lane.curve[len(lane.curve) - len(curve.totals) :], begins)

    def _begin_places(self, tokens: Sequence[float | None], begins: Collection[int]) -> list[int]:
        """For each second the first whose values belong with it, by place; -1 where the lane gave no reading."""
        turned = {second - self._first for second in begins}
        places: list[int] = []
        began = -1
        for place, value in enumerate(tokens):
            if value is None:
                began = -1
            elif began < 0 or place in turned:
                began = place
            places.append(began)
        return places

    def mean(self, second: int, over_s: int = MEAN_S) -> float | None:
        """Over the last `over_s` seconds until the end of `second`, as far as they belong together."""
        place = second - self._first
        if not 0 <= place < len(self._begins) or (began := self._begins[place]) < 0:
            return None
        begin = max(began, place + 1 - over_s)
        count = self._counts[place + 1] - self._counts[begin]
        return (self._totals[place + 1] - self._totals[begin]) / count if count else None

    @cached_property
    def each(self) -> list[float | None]:
        """Of single seconds."""
        seconds = zip(self._curve.totals, self._curve.counts, self._begins, strict=True)
        return [total / count if count and began >= 0 else None for total, count, began in seconds]

    def high(self, second: int) -> float | None:
        """The greatest second of those that the mean is of."""
        place = second - self._first
        if not 0 <= place < len(self._begins) or (began := self._begins[place]) < 0:
            return None
        known = [value for value in self.each[max(began, place + 1 - MEAN_S) : place + 1] if value is not None]
        return max(known, default=None)

    def area(self, on: Ground) -> Area:
        return Area([self.mean(end) for end in on.ends], [self.high(end) for end in on.ends])

    def highest(self, since: int, until: int, *, each_second: bool) -> float:
        """What a scale must hold; 0 for nothing."""
        known = self.each[max(since - self._first, 0) :]
        seconds = max((value for value in known if value is not None), default=0.0)
        if each_second:
            return seconds
        mean = max((value for at in range(since, until) if (value := self.mean(at)) is not None), default=0.0)
        return min(seconds, HEADROOM * mean)


def curve_of(lane: LaneView, figure: str) -> Curve:
    """The values behind a figure such as `output_tps` or `ttft_p95`."""
    if figure == "output_tps":
        return Curve([value or 0.0 for value in lane.curve], [int(value is not None) for value in lane.curve])
    return lane.curves.get(figure.partition("_")[0], Curve())


def trailing(view: View, figure: str) -> Mapping[str, Trailing]:
    """Of each lane."""
    return {
        lane: Trailing(curve_of(shown, figure), shown, set(view.segment_starts), view.second)
        for lane, shown in view.lanes.items()
    }


def shared_top(lanes: Mapping[str, Trailing], second: int, span_s: int, *, each_second: bool) -> float:
    """The top of the scale of all lanes, which holds what is shown and what was until `HOLD_S` ago."""
    since = second - span_s - HOLD_S
    return top_for(
        max((lane.highest(since, second, each_second=each_second) for lane in lanes.values()), default=0.0)
    )


def latency_cells(lane: LaneView, name: str, second: int, on: SparkGround) -> list[float | None]:
    """The mean of a latency in each cell of a sparkline; of ITL the mean of the seconds' medians."""
    if name == "itl":
        return means(lane.itl_curve, on.start - (second - len(lane.itl_curve)), on.cells, on.cell_s)
    curve = lane.curves.get(name, Curve())
    first = on.start - (second - len(curve.totals))
    cells: list[float | None] = []
    for begin in range(first, first + on.cells * on.cell_s, on.cell_s):
        span = slice(max(begin, 0), max(begin + on.cell_s, 0))
        count = sum(curve.counts[span])
        cells.append(sum(curve.totals[span]) / count if count else None)
    return cells


def unit_of(figure: str) -> str:
    """`tok/s`, `TTFT ms`, `good/s`: what stands at an axis."""
    name = figure.partition("_")[0]
    if figure == "output_tps":
        return "tok/s"
    return "good/s" if name == "goodput" else f"{METRICS[name].label} ms"
