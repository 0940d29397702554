"""The curve of a sweep: output tokens a second against the p95 of TTFT, a point for each setting of one dial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from tui.analysis.crossover import ladder, varied
from tui.analysis.expressions import lane_of
from tui.analysis.figures import within
from tui.analysis.latency import latencies_of, latency_figure
from tui.analysis.ledger import LedgerRow, visited
from tui.analysis.segments import Segment
from tui.analysis.study import mean_of
from tui.analysis.sweep import Point
from tui.analysis.tables import Tables
from tui.records.rows import LANES, Lane


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of points a lane, in the order of the dial that was varied. Points without a p95 yet are not there."""

    dial: str
    lines: Mapping[Lane, Sequence[Point]]


def curve(tables: Tables, rows: Sequence[LedgerRow]) -> Curve | None:
    """The curve along the dial that was varied most, from the session's ledger; None where none was."""
    name = varied(rows)
    if not name:
        return None
    visits = {repr(visit.dials): visit.segments for visit in visited(tables)}
    lines: dict[Lane, list[Point]] = {lane: [] for lane in LANES if lane in tables.session.lanes}
    for setting, row in ladder(rows, name):
        for lane, line in lines.items():
            point = _point(tables, visits.get(repr(row.dials), ()), lane, setting)
            if point is not None:
                line.append(point)
    return Curve(name, lines)


def _point(tables: Tables, segments: Sequence[Segment], lane: Lane, setting: float) -> Point | None:
    spans = [(one.settled_ns, one.end_ns) for one in segments]
    requests = lane_of(tables.requests, lane).filter(within(spans, "t_send_ns") & (pl.col("outcome") == "ok"))
    ttft = latency_figure(latencies_of(requests, "ttft"), "p95")
    tps = mean_of(np.array([value for one in segments for value in one.tps[lane]], dtype=np.float64))
    if ttft.value is None or not tps.n:
        return None
    return Point(setting, tps.mean, ttft.value, tps.low, tps.high, ttft.low, ttft.high)
