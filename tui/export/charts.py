"""The charts of a session as one picture: throughput, requests in flight, memory, and latency percentiles over time.

An SVG picture needs nothing from outside: no font, no script, no network. PNG is drawn from it by resvg, one small
wheel without dependencies, which no other part of the program needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Final

import polars as pl

from tui.export.job import ExportedFile, Job, exported
from tui.judge.itl import ChunkGaps
from tui.judge.tables import LATENCY
from tui.model.dials import DIAL
from tui.model.gauges import GPU_MEMORY_USED, KV_USAGE
from tui.model.metrics import METRICS, NS_PER_S, PERCENTILES
from tui.model.rows import Lane
from tui.model.text import UserError
from tui.recording.spread import spread_chunks
from tui.report.session import title_of
from tui.report.svg import HEIGHT, WIDTH, Mark, Values, memory_curves, time_chart

COLUMNS: Final = 2
TITLE_HEIGHT: Final = 52
CAPTION_HEIGHT: Final = 30
SIMULATED: Final = "SIMULATED: these numbers come from simulated engines, not from real ones."
FONTS: Final = "DejaVu Sans, Liberation Sans, Noto Sans, Helvetica Neue, Helvetica, Arial, Verdana, sans-serif"
# Plain colours, because not every program that shows SVG knows CSS variables: those of the report on a light ground.
_STYLE: Final = """
svg { font-family: %s; font-size: 12px; fill: #1a1a1a; }
text.title { font-size: 19px; font-weight: bold; } text.note { font-size: 13px; fill: #555555; }
text.caption { font-size: 14px; font-weight: bold; } text.simulated { font-size: 13px; fill: #9a5b00; }
polyline { fill: none; stroke-width: 1.5; stroke-linecap: round; } .grid { stroke: #dddddd; }
line.mark { stroke: #8a8a8a; stroke-dasharray: 1 3; } text.mark { fill: #8a8a8a; }
.a { stroke: #0072b2; } .b { stroke: #9a5b00; } polyline.b { stroke-dasharray: 5 3; }
text.letter { stroke: none; font-weight: bold; } text.a { fill: #0072b2; } text.b { fill: #9a5b00; }
"""
TAILS = ("p99", "p95")  # the further one, where there are values enough
FIGURES = {"output_tokens": ("Output tokens that arrived", "tok/s"), "in_flight": ("Requests in flight", "")}
WINDOWS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
ZOOM: Final = 2  # pixels for each unit: sharp on a dense screen and on paper
_SVG: Final = '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24">{}</svg>'
_LETTER: Final = f'<text y="18" font-family="{FONTS}">A</text>'


def write_svg(job: Job) -> list[ExportedFile]:
    return _write(job, ".svg", str.encode)


def write_png(job: Job) -> list[ExportedFile]:
    """The same picture as PNG."""
    return _write(job, ".png", png_of)


def _write(job: Job, suffix: str, encode: Callable[[str], bytes]) -> list[ExportedFile]:
    seconds = job.rows("seconds").sort("t_ns").collect()
    content = encode(_session_picture(job, seconds))
    path = job.path(job.session.name, suffix, alone=True)
    path.write_bytes(content)
    return [exported(path, "charts", seconds.height)]


@dataclass(frozen=True, slots=True)
class _Span:
    """The whole seconds that are drawn."""

    start_ns: int
    seconds: int

    def values(self, moments_ns: pl.Series, ms: pl.Series) -> pl.DataFrame:
        """Columns `second` and `ms`: what was measured in each second; what lies outside is left out."""
        frame = pl.DataFrame({"second": (moments_ns - self.start_ns) // NS_PER_S, "ms": ms}).drop_nulls()
        return frame.filter(pl.col("second").is_between(0, self.seconds - 1))


def _session_picture(job: Job, seconds: pl.DataFrame) -> str:
    start_ns = seconds["t_ns"][0] if seconds.height else job.info.t0_ns
    span = _Span(start_ns, (seconds["t_ns"][-1] - start_ns) // NS_PER_S + 1 if seconds.height else 0)
    marks = _marks(job, span)
    panels = [
        *_second_panels(job, seconds, span, marks),
        *_memory_panels(job, span, marks),
        *_latency_panels(job, span, marks),
    ]
    since_s = (start_ns - job.info.t0_ns) / NS_PER_S
    note = f"A solid, B dashed; a gap where too little was measured. From second {since_s:.0f} of {job.info.name}."
    return picture(title_of(job.info), note, panels, simulated=job.info.simulated)


def _marks(job: Job, span: _Span) -> list[Mark]:
    """Where a dial was turned."""
    dials = job.rows("events").filter(pl.col("kind") == "dial").sort("t_ns").collect()
    return [
        Mark((t_ns - span.start_ns) / NS_PER_S, f"{DIAL[name].label if name in DIAL else name} {new}")
        for t_ns, name, new in dials.select("t_ns", "name", "new").iter_rows()
        if 0 <= t_ns - span.start_ns < span.seconds * NS_PER_S
    ]


def _second_panels(job: Job, seconds: pl.DataFrame, span: _Span, marks: list[Mark]) -> Iterator[Panel]:
    """Figures that each second records itself."""
    active = seconds.filter(pl.col("up") & ~pl.col("resting").fill_null(value=False))
    for column, (title, unit) in FIGURES.items():
        lines: dict[str, Values] = {}
        for lane in job.lanes:
            values: list[float | None] = [None] * span.seconds
            for t_ns, value in active.filter(pl.col("lane") == lane).select("t_ns", column).iter_rows():
                values[(t_ns - span.start_ns) // NS_PER_S] = value
            lines[lane] = values
        yield Panel(f"{title}, each second", time_chart(lines, unit, marks))


def _memory_panels(job: Job, span: _Span, marks: list[Mark]) -> Iterator[Panel]:
    """Memory and KV cache in use; no panels where they were not read."""
    wanted = pl.col("name").is_in([GPU_MEMORY_USED, KV_USAGE])
    gauges = job.rows("gauges").filter(wanted).select("lane", "source", "name", "t_ns", "value").collect()
    for memory in memory_curves(gauges, job.lanes, span.start_ns, span.seconds):
        yield Panel(memory.title, time_chart(memory.lines, memory.unit, marks))


def _latency_panels(job: Job, span: _Span, marks: list[Mark]) -> Iterator[Panel]:
    """A median and a tail of each latency, over the values in windows, never over the seconds' own percentiles."""
    for name, values in {**_request_latencies(job, span), "itl": _itl(job, span)}.items():
        label = METRICS[name].label
        for percentiles in (("p50",), TAILS):
            line = over_time(values, percentiles, span.seconds)
            if line is None:
                empty = time_chart({"a": [None] * span.seconds}, "ms", marks)
                yield Panel(f"{label} {percentiles[-1]}: needs {PERCENTILES[percentiles[-1]].samples} values", empty)
            else:
                each = "second" if line.window_s == 1 else f"{line.window_s} s"
                yield Panel(f"{label} {line.percentile} of each {each}", time_chart(line.lanes, "ms", marks))


def _request_latencies(job: Job, span: _Span) -> dict[str, Mapping[Lane, pl.DataFrame]]:
    """TTFT and TPOT of the requests that ended well, each in the second in which it ended."""
    names = ("ttft", "tpot")
    ok = job.rows("requests").filter(pl.col("outcome") == "ok")
    rows = ok.select("lane", "t_end_ns", *(LATENCY[name].alias(name) for name in names)).collect()
    lanes = {lane: rows.filter(pl.col("lane") == lane) for lane in job.lanes}
    return {
        name: {lane: span.values(requests["t_end_ns"], requests[name]) for lane, requests in lanes.items()}
        for name in names
    }


def _itl(job: Job, span: _Span) -> dict[Lane, pl.DataFrame]:
    """The ITL of every token, in the second in which it came."""
    lanes = {}
    for lane in job.lanes:
        chunks = spread_chunks(job.rows, job.selection, lane)
        gaps = ChunkGaps().feed_columns(chunks.request, chunks.t_ns, chunks.tokens)
        lanes[lane] = span.values(*(pl.Series(column.repeat(gaps.tokens)) for column in (gaps.t_ns, gaps.itl_ms)))
    return lanes


@dataclass(frozen=True, slots=True)
class PercentileLine:
    """A percentile over time."""

    percentile: str
    window_s: int
    lanes: Mapping[str, Values]  # ms, a value for each second; None where its window holds too few


def over_time(
    values: Mapping[Lane, pl.DataFrame], percentiles: tuple[str, ...], seconds: int
) -> PercentileLine | None:
    """The first of the percentiles (`p99`) that some window holds values enough for, in the shortest such window.

    Each lane's frame has `second`, counted from the start, and `ms`, a row a value. None where there are too few.
    """
    values = {lane: frame for lane, frame in values.items() if frame.height}
    if not values:
        return None
    for percentile in percentiles:
        for window_s in WINDOWS_S:
            windows = {lane: _by_window(frame, percentile, window_s) for lane, frame in values.items()}
            if window_s <= max(seconds, 1) and all(_has_enough(frame) for frame in windows.values()):
                lanes: dict[str, Values] = {
                    lane: _by_second(frame, window_s, seconds) for lane, frame in windows.items()
                }
                return PercentileLine(percentile, window_s, lanes)
    return None


def _by_window(values: pl.DataFrame, percentile: str, window_s: int) -> pl.DataFrame:
    """Columns `window` and `ms`, by nearest rank; null where a window has fewer values than the percentile needs."""
    share = int(percentile[1:]) / 100
    enough = pl.len() >= PERCENTILES[percentile].samples
    return (
        values.lazy()
        .group_by(window=pl.col("second") // window_s)
        .agg(ms=pl.when(enough).then(pl.col("ms").quantile(share, "equiprobable")))
        .sort("window")
        .collect()
    )


def _has_enough(windows: pl.DataFrame) -> bool:
    """At least half of the windows that hold anything hold enough."""
    return 2 * windows["ms"].null_count() <= windows.height


def _by_second(windows: pl.DataFrame, window_s: int, seconds: int) -> Values:
    values: list[float | None] = [None] * seconds
    for window, ms in windows.iter_rows():
        for second in range(max(window * window_s, 0), min((window + 1) * window_s, seconds)):
            values[second] = ms
    return values


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart as `report.svg` draws it, and its caption."""

    caption: str
    svg: str


def picture(title: str, note: str, panels: Sequence[Panel], *, simulated: bool) -> str:
    """The panels in rows of two below the title. A simulated session's picture says so."""
    panel_height = HEIGHT + CAPTION_HEIGHT
    width, height = COLUMNS * WIDTH, TITLE_HEIGHT + panel_height * -(-len(panels) // COLUMNS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f'<style>{_STYLE % FONTS}</style><rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text class="title" x="16" y="27">{escape(title)}</text>',
        f'<text class="note" x="16" y="46">{escape(note)}</text>',
    ]
    if simulated:
        parts.append(f'<text class="simulated" x="{width - 16}" y="27" text-anchor="end">{SIMULATED}</text>')
    for at, panel in enumerate(panels):
        parts.append(_placed(panel, at % COLUMNS * WIDTH, TITLE_HEIGHT + at // COLUMNS * panel_height))
    return "".join(parts) + "</svg>\n"


def _placed(panel: Panel, x: int, y: int) -> str:
    """`visible`, because to cut a panel off at its edges costs resvg as much time as all the rest."""
    place = f'overflow="visible" x="{x}" y="{y + CAPTION_HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    caption = f'<text class="caption" x="{x + 16}" y="{y + 20}">{escape(panel.caption)}</text>'
    return caption + panel.svg.replace("<svg ", f"<svg {place} ", 1)


def png_of(svg: str) -> bytes:
    """The picture. Raises UserError when the library or every font is missing."""
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise UserError(
            "PNG needs the library resvg-py, which is not here: install dragstrip again, or export --format svg"
        ) from error
    if not _has_font():
        raise UserError("PNG needs a font and no common one is here: install DejaVu, or export --format svg")
    return svg_to_bytes(svg, zoom=ZOOM)


@cache
def _has_font() -> bool:
    """Whether a letter is drawn at all: resvg leaves out what it has no font for and says nothing."""
    from resvg_py import svg_to_bytes

    return svg_to_bytes(_SVG.format(_LETTER)) != svg_to_bytes(_SVG.format(""), skip_system_fonts=True)
