"""Charts as SVG text that needs nothing from outside: no script, no font, no network.

Lane A is a solid line and B a dashed one with its letter at the end, because their colours look the same in grey.

The charts of a session: throughput over time, and against latency where several settings were visited.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import polars as pl

from tui.judge.ledger import LedgerRow
from tui.judge.sweep import Point, curve
from tui.judge.tables import Tables, for_lane
from tui.model.dials import DIAL
from tui.model.gauges import GPU_MEMORY_USED, KV_USAGE, SERVER
from tui.model.metrics import NS_PER_S
from tui.model.rows import Lane
from tui.report.document import Block, Chart

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 76, 44, 30, 44  # room for text twice as large on a phone
LETTER_PX = 12  # of a mark on a phone, where text is twice as large
MOST_POINTS: Final = 360  # two to each pixel column of a phone: more only makes the file larger

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Mark:
    """A dashed upright line with a word: a dial that moved."""

    at: float
    text: str


def time_chart(lines: Mapping[str, Values], unit: str, marks: Sequence[Mark] = ()) -> str:
    """One line a lane over seconds; None is a gap."""
    seconds = max((len(values) for values in lines.values()), default=0)
    top = _end(max((v for values in lines.values() for v in values if v is not None), default=0.0))
    axes = _Axes(max(seconds - 1, 1), top)
    parts = [_frame(axes, "s", unit)]
    free_from = 0.0
    for mark in marks:
        x = axes.x(mark.at)
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        if x >= free_from:  # of marks close together the first has its word: the ledger has them all
            parts.append(f'<text class="mark" x="{x + 3:.1f}" y="{TOP - 4}">{escape(mark.text)}</text>')
            free_from = x + LETTER_PX * len(mark.text)
    for lane, values in lines.items():
        points = thinned(values)
        parts += [_polyline(lane, [(axes.x(t), axes.y(v)) for t, v in run]) for run in _runs(points)]
        last = next(((t, v) for t, v in reversed(points) if v is not None), None)
        if last is not None and last[1] is not None:
            letters = 6 if lane == "a" else 22  # keeps the letters of lines that end at one point from overlapping
            parts.append(_letter(lane, axes.x(last[0]) + letters, axes.y(last[1])))
    return _svg(parts)


def curve_chart(lanes: Mapping[Lane, Sequence[Point]], x_unit: str, y_unit: str) -> str:
    """Throughput against latency, a line a lane through its settings, intervals as crosses, beaten points dimmed."""
    points = [point for line in lanes.values() for point in line]
    right = _end(max((point.latency_high or point.latency for point in points), default=0))
    top = _end(max((point.throughput_high or point.throughput for point in points), default=0))
    axes = _Axes(right, top)
    parts = [_frame(axes, x_unit, y_unit)]
    for lane, line in lanes.items():
        places = [(axes.x(point.latency), axes.y(point.throughput)) for point in line]
        parts.append(_polyline(lane, [place for place, point in zip(places, line, strict=True) if not point.beaten]))
        parts += [_cross(lane, axes, point, dim=point.beaten) for point in line]
        parts += [_letter(lane, x + 8, y + 12) for x, y in places[-1:]]
    return _svg(parts)


def thinned(values: Values) -> list[tuple[float, float | None]]:
    """At most `MOST_POINTS` (place, value): of each bucket its least and its greatest, so that no peak is lost."""
    bucket = math.ceil(2 * len(values) / MOST_POINTS)
    if bucket <= 2:
        return [(float(i), value) for i, value in enumerate(values)]
    kept: list[tuple[float, float | None]] = []
    for start in range(0, len(values), bucket):
        known = [(v, i) for i, v in enumerate(values[start : start + bucket], start) if v is not None]
        if not known:
            kept.append((float(start), None))
            continue
        ends = sorted({min(known)[1], max(known)[1]})
        kept += [(float(i), values[i]) for i in ends]
    return kept


@dataclass(frozen=True, slots=True)
class _Axes:
    right: float
    top: float

    def x(self, value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * value / (self.right or 1)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / (self.top or 1)


def _end(value: float) -> float:
    """A round end of an axis, at most a third beyond the greatest value."""
    return _next(value, (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10))


def _next(value: float, steps: Sequence[float]) -> float:
    """The next of these times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in steps if value <= step * power * (1 + 1e-9))


def _frame(axes: _Axes, x_unit: str, y_unit: str) -> str:
    parts = []
    for value in _ticks(axes.top):
        y = axes.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:,.6g}</text>')
    parts += [
        f'<text x="{axes.x(value):.1f}" y="{HEIGHT - 24}" text-anchor="middle">{value:,.6g}</text>'
        for value in _ticks(axes.right)
    ]
    parts.append(f'<text x="{LEFT - 6}" y="16" text-anchor="end">{escape(y_unit)}</text>')
    parts.append(f'<text x="{WIDTH - 4}" y="{HEIGHT - 4}" text-anchor="end">{escape(x_unit)}</text>')
    return "".join(parts)


def _ticks(end: float) -> list[float]:
    """About five round values from 0 to `end`."""
    step = _next(end / 5, (1, 2, 5, 10))
    return [step * count for count in range(math.floor(end / step * (1 + 1e-9)) + 1)]


def _runs(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for t, value in points:
        if value is None:
            runs.append([])
        else:
            runs[-1].append((t, value))
    return [run for run in runs if run]


def _polyline(lane: str, points: Sequence[tuple[float, float]]) -> str:
    alone = points if len(points) == 1 else ()  # drawn as a dot, which takes a length and round ends
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in (*points, *alone))
    return f'<polyline class="{lane}" points="{joined}"/>'


def _letter(lane: str, x: float, y: float) -> str:
    return f'<text class="{lane} letter" x="{min(x, WIDTH - 20):.1f}" y="{y + 4:.1f}">{lane.upper()}</text>'


def _cross(lane: str, axes: _Axes, point: Point, *, dim: bool) -> str:
    x, y = axes.x(point.latency), axes.y(point.throughput)
    x0, x1 = (axes.x(point.latency if end is None else end) for end in (point.latency_low, point.latency_high))
    y0, y1 = (
        axes.y(point.throughput if end is None else end) for end in (point.throughput_low, point.throughput_high)
    )
    return (
        f'<g class="{lane}{" dim" if dim else ""}"><line x1="{x0:.1f}" x2="{x1:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y0:.1f}" y2="{y1:.1f}"/><circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
        f'<text x="{x + 5:.1f}" y="{y - 6:.1f}">{point.setting:g}</text></g>'
    )


def _svg(parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'


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
    panels: list[Block] = []
    for column, unit, what in (
        ("output_tokens", "tok/s", "Output tokens that arrived in each second"),
        ("ttft_p50_ms", "ms", "Median TTFT of the requests that ended in each second"),
    ):
        lines = {lane: _by_second(tables, lane, column) for lane in tables.session.lanes}
        if any(value is not None for line in lines.values() for value in line):
            caption = f"{what}. A solid, B dashed; a gap where nothing was measured."
            panels.append(Chart(time_chart(lines, unit, marks), caption))
    seconds = max((len(_by_second(tables, lane, "output_tokens")) for lane in tables.session.lanes), default=0)
    memory = memory_curves(tables.gauges, list(tables.session.lanes), t0_ns, seconds)
    panels += [Chart(time_chart(one.lines, one.unit, marks), f"{one.title}. {one.note}") for one in memory]
    return panels


@dataclass(frozen=True, slots=True)
class MemoryCurve:
    """What takes memory over time, by lane."""

    title: str
    unit: str
    note: str
    lines: Mapping[str, Values]


def memory_curves(gauges: pl.DataFrame, lanes: Sequence[str], start_ns: int, seconds: int) -> list[MemoryCurve]:
    """GPU memory in use on all of a lane's GPUs, and KV cache in use; without what was not read."""
    if not gauges.height or not seconds:
        return []
    memory = {lane: _summed(for_lane(gauges, lane).filter(_IS_MEMORY), start_ns, seconds) for lane in lanes}
    cache = {lane: _summed(for_lane(gauges, lane).filter(_IS_KV), start_ns, seconds) for lane in lanes}
    curves = [
        MemoryCurve("GPU memory in use", "GiB", FLAT_NOTE, {lane: _scaled(v, 2**-30) for lane, v in memory.items()}),
        MemoryCurve("KV cache in use", "%", CACHE_NOTE, {lane: _scaled(v, 100) for lane, v in cache.items()}),
    ]
    return [one for one in curves if any(value is not None for line in one.lines.values() for value in line)]


FLAT_NOTE: Final = "An engine that takes its KV pool at the start keeps it, whatever the load: its line is flat."
CACHE_NOTE: Final = (
    "The part of the pool that holds running requests: it moves with the load, and preemption follows it."
)
HELD_S: Final = 35  # a reading holds so long where none follows: some exporters read every 30 s
_IS_MEMORY: Final = pl.col("source").str.starts_with("gpu") & (pl.col("name") == GPU_MEMORY_USED)
_IS_KV: Final = (pl.col("source") == SERVER) & (pl.col("name") == KV_USAGE)


def _summed(readings: pl.DataFrame, start_ns: int, seconds: int) -> Values:
    """Of all sources at each second; None where one was not read."""
    clock = pl.DataFrame({"second": range(seconds)}, schema={"second": pl.Int64})
    second = (pl.col("t_ns") - start_ns) // NS_PER_S
    total: pl.Series | None = None
    for _, source in readings.group_by("source"):
        each = source.sort("t_ns").group_by(second.alias("second")).agg(pl.col("value").last())
        values = clock.join(each, on="second", how="left", maintain_order="left")["value"]
        held = values.fill_null(strategy="forward", limit=HELD_S)
        total = held if total is None else total + held
    return [None] * seconds if total is None else total.to_list()


def _scaled(values: Values, factor: float) -> list[float | None]:
    return [None if value is None else value * factor for value in values]


def _by_second(tables: Tables, lane: str, column: str) -> Values:
    rows = for_lane(tables.seconds, lane).sort("t_ns")
    if not rows.height:
        return []
    values: list[float | None] = [None] * (max((rows["t_ns"][-1] - tables.session.t0_ns) // NS_PER_S, 0) + 1)
    counts = rows.filter(pl.col("up") & ~pl.col("resting").fill_null(value=False))
    for t_ns, value in counts.select("t_ns", column).iter_rows():
        place = (t_ns - tables.session.t0_ns) // NS_PER_S
        if place >= 0:
            values[place] = value
    return values


def _curve(rows: Sequence[LedgerRow]) -> Chart | None:
    """Throughput against TTFT along the dial that was varied."""
    sweep_curve = curve(rows)
    if sweep_curve is None or max(map(len, sweep_curve.lines.values()), default=0) < 2:
        return None
    caption = (
        f"Output tok/s against TTFT {sweep_curve.percentile} in ms, a point for each value of "
        f"{DIAL[sweep_curve.dial].label}, "
        "with 95 % intervals; points beaten on both axes are dimmed. Upper left is better. A solid, B dashed."
    )
    return Chart(curve_chart(sweep_curve.lines, f"TTFT {sweep_curve.percentile}, ms", "tok/s"), caption)
