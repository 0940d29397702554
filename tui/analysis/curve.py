"""The curve of a sweep: output tokens a second against TTFT, a point for each setting of one dial.

Pure, and the same of a running head-to-head (`View.ledger`) and of a recording (`analysis.ledger.ledger`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tui.analysis.crossover import ladder, varied
from tui.analysis.ledger import CURVE_PERCENTILES, LaneFigures, LedgerRow
from tui.analysis.sweep import Point, dominated
from tui.records.rows import LANES, Lane

LEAST_S: Final = 5  # settled seconds of a point: of fewer the mean says nothing


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of points a lane, rising with the dial that was varied.

    Each `Point` has the dial's value as `setting`, output tok/s as `throughput` and TTFT in ms as `latency`, both
    with their 95 % intervals (None where too few seconds tell one), and `beaten` where another setting of the same
    lane is better on both axes. A setting without the percentile or five settled seconds yet has
    no point.
    """

    dial: str  # a name in `records.dials.DIAL`
    percentile: str  # of TTFT: p95, or p50 while a setting has too few requests for a p95
    lines: Mapping[Lane, Sequence[Point]]


def curve(rows: Sequence[LedgerRow], dial: str = "") -> Curve | None:
    """The curve along `dial`, or along the one that was varied most; None where fewer than two settings differ."""
    name = dial or varied(rows)
    steps = ladder(rows, name) if name else []
    if len(steps) < 2:
        return None
    percentile = _percentile([row for _, row in steps])
    lanes = [lane for lane in LANES if any(lane in row.figures for _, row in steps)]
    return Curve(name, percentile, {lane: _line(steps, lane, percentile) for lane in lanes})


def _percentile(rows: Sequence[LedgerRow]) -> str:
    """One for all points: the p95 where every setting that has a median has it too."""
    low, high = CURVE_PERCENTILES
    told = [figures.ttft for row in rows for figures in row.figures.values() if figures.ttft[low].value is not None]
    return high if told and all(ttft[high].value is not None for ttft in told) else low


def _line(steps: Sequence[tuple[float, LedgerRow]], lane: Lane, percentile: str) -> list[Point]:
    found = [_point(value, row.figures[lane], percentile) for value, row in steps if lane in row.figures]
    points = [point for point in found if point is not None]
    return [replace(point, beaten=out) for point, out in zip(points, dominated(points), strict=True)]


def _point(setting: float, figures: LaneFigures, percentile: str) -> Point | None:
    tps, ttft = figures.tps, figures.ttft[percentile]
    if ttft.value is None or tps.n < LEAST_S:
        return None
    return Point(setting, tps.mean, ttft.value, tps.low, tps.high, ttft.low, ttft.high)
