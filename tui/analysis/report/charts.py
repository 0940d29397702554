"""The charts of a session: throughput over time, and against latency where several settings were visited."""

from collections.abc import Sequence

import polars as pl

from tui.analysis.curve import curve
from tui.analysis.expressions import lane_of
from tui.analysis.ledger import LedgerRow
from tui.analysis.report.blocks import Block, Chart
from tui.analysis.report.svg import Mark, Values, curve_chart, time_chart
from tui.analysis.tables import Tables
from tui.records.dials import DIAL
from tui.records.units import NS_PER_S


def charts(tables: Tables, rows: Sequence[LedgerRow]) -> list[Block]:
    """The charts, or nothing where there is nothing to draw. They stand below what came before, with no heading."""
    curve = _curve(rows)
    return [*_over_time(tables), *([curve] if curve is not None else [])]


def _over_time(tables: Tables) -> list[Block]:
    t0_ns = tables.session.t0_ns
    marks = [
        Mark(
            (event.t_ns - t0_ns) / NS_PER_S,
            f"{DIAL[event.name].label if event.name in DIAL else event.name} {event.new}",
        )
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
    values: list[float | None] = [None] * (max((own["t_ns"][-1] - tables.session.t0_ns) // NS_PER_S, 0) + 1)
    counts = own.filter(pl.col("up") & ~pl.col("resting").fill_null(value=False))
    for t_ns, value in counts.select("t_ns", column).iter_rows():
        place = (t_ns - tables.session.t0_ns) // NS_PER_S
        if place >= 0:
            values[place] = value
    return values


def _curve(rows: Sequence[LedgerRow]) -> Chart | None:
    """Throughput against TTFT along the dial that was varied."""
    found = curve(rows)
    if found is None or max(map(len, found.lines.values()), default=0) < 2:
        return None
    caption = (
        f"Output tok/s against TTFT {found.percentile} in ms, a point for each value of {DIAL[found.dial].label}, "
        "with 95 % intervals; points beaten on both axes are dimmed. Upper left is better. A solid, B dashed."
    )
    return Chart(curve_chart(found.lines, f"TTFT {found.percentile}, ms", "tok/s"), caption)
