"""The charts of a session: throughput over time, and against latency where several settings were visited."""

from collections.abc import Sequence

import numpy as np

from tui.analysis.crossover import ladder, varied
from tui.analysis.expressions import lane_of
from tui.analysis.ledger import LedgerRow, visited
from tui.analysis.report.blocks import Block, Chart
from tui.analysis.report.latencies import slow_ttft
from tui.analysis.report.svg import CurvePoint, Mark, Values, curve_chart, time_chart
from tui.analysis.study import mean_of
from tui.analysis.sweep import Point, dominated
from tui.analysis.tables import Tables
from tui.records.dials import DIAL
from tui.records.rows import LANES, Lane

NS = 1_000_000_000


def charts(tables: Tables, rows: Sequence[LedgerRow]) -> list[Block]:
    """The charts, or nothing where there is nothing to draw. They stand below what came before, with no heading."""
    curve = _curve(tables, rows)
    return [*_over_time(tables), *([curve] if curve is not None else [])]


def _over_time(tables: Tables) -> list[Block]:
    t0_ns = tables.session.t0_ns
    marks = [
        Mark((event.t_ns - t0_ns) / NS, f"{DIAL[event.name].label if event.name in DIAL else event.name} {event.new}")
        for event in tables.events
        if event.kind == "dial"
    ]
    found: list[Block] = []
    for column, unit, what in (
        ("output_tokens", "tok/s", "Output tokens that arrived in each second"),
        ("ttft_p50_ms", "ms", "Median TTFT of the requests that ended in each second"),
    ):
        lines = {lane: _by_second(tables, lane, column) for lane in tables.session.lanes}
        if any(value is not None for line in lines.values() for value in line):
            caption = f"{what}. A solid, B dashed; a gap where nothing was measured."
            found.append(Chart(time_chart(lines, unit, marks), caption))
    return found


def _by_second(tables: Tables, lane: str, column: str) -> Values:
    own = lane_of(tables.seconds, lane).sort("t_ns")
    if not own.height:
        return []
    values: list[float | None] = [None] * (max((own["t_ns"][-1] - tables.session.t0_ns) // NS, 0) + 1)
    for t_ns, up, value in own.select("t_ns", "up", column).iter_rows():
        place = (t_ns - tables.session.t0_ns) // NS
        if up and place >= 0:
            values[place] = value
    return values


def _curve(tables: Tables, rows: Sequence[LedgerRow]) -> Chart | None:
    """Throughput against TTFT p95 along the dial that was varied."""
    name = varied(rows)
    visits = {repr(visit.dials): visit.segments for visit in visited(tables)}
    lines: dict[Lane, list[CurvePoint]] = {lane: [] for lane in LANES if lane in tables.session.lanes}
    for value, row in ladder(rows, name) if name else []:
        segments = list(visits[repr(row.dials)])
        for lane, line in lines.items():
            figure = slow_ttft(tables, segments, lane)
            tps = [v for segment in segments for v in segment.tps[lane]]
            if figure.value is None or figure.low is None or figure.high is None or not tps:
                continue
            throughput = _throughput(tps)
            line.append(CurvePoint((figure.low, figure.value, figure.high), throughput, f"{value:g}"))
    if max((len(line) for line in lines.values()), default=0) < 2:
        return None
    dimmed: dict[str, list[CurvePoint]] = {lane: _dimmed(line) for lane, line in lines.items()}
    caption = (
        f"Output tok/s against TTFT p95 in ms, a point for each value of {DIAL[name].label}, with 95 % intervals; "
        "points beaten on both axes are dimmed. Upper left is better. A solid, B dashed."
    )
    return Chart(curve_chart(dimmed, "TTFT p95, ms", "tok/s"), caption)


def _throughput(tps: Sequence[float]) -> tuple[float, float, float]:

    found = mean_of(np.asarray(tps, dtype=np.float64))
    if found.low is None or found.high is None:
        return found.mean, found.mean, found.mean
    return found.low, found.mean, found.high


def _dimmed(line: Sequence[CurvePoint]) -> list[CurvePoint]:
    beaten = dominated([Point(i, point.y[1], point.x[1]) for i, point in enumerate(line)])
    return [CurvePoint(p.x, p.y, p.label, dim=out) for p, out in zip(line, beaten, strict=True)]
