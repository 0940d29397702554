"""The charts of a session as one picture: throughput and requests in flight, and latency percentiles over time.

Several charts as one SVG picture that needs nothing from outside: no font, no script, no network.

An SVG picture as PNG, by resvg: one small wheel without dependencies, which no other part of the program needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Final

import polars as pl

from tui.export.job import ExportedFile, Job, exported
from tui.export.lane_run import over_time
from tui.judge.tables import LATENCY
from tui.model.dials import DIAL
from tui.model.metrics import METRICS, SAMPLES_NEEDED
from tui.model.rows import Lane
from tui.model.text import UserError
from tui.model.units import NS_PER_S
from tui.recording.tables import gaps_in_time
from tui.recording.tape import LaneChunks
from tui.report.session import title_of
from tui.report.svg import HEIGHT, WIDTH, Mark, Values, time_chart

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


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart, as `analysis.report.svg` draws it, or the reason why there is none, and what stands above it."""

    caption: str
    svg: str


def picture(title: str, note: str, panels: Sequence[Panel], *, simulated: bool) -> str:
    """The panels in rows of two below the title. A simulated session's picture says so."""
    each = HEIGHT + CAPTION_HEIGHT
    width, height = COLUMNS * WIDTH, TITLE_HEIGHT + each * -(-len(panels) // COLUMNS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f'<style>{_STYLE % FONTS}</style><rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text class="title" x="16" y="27">{escape(title)}</text>',
        f'<text class="note" x="16" y="46">{escape(note)}</text>',
    ]
    if simulated:
        parts.append(f'<text class="simulated" x="{width - 16}" y="27" text-anchor="end">{SIMULATED}</text>')
    for at, panel in enumerate(panels):
        parts.append(_placed(panel, at % COLUMNS * WIDTH, TITLE_HEIGHT + at // COLUMNS * each))
    return "".join(parts) + "</svg>\n"


def _placed(panel: Panel, x: int, y: int) -> str:
    """`visible`, because to cut a panel off at its edges costs resvg as much time as all the rest."""
    size = f'overflow="visible" x="{x}" y="{y + CAPTION_HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    return f'<text class="caption" x="{x + 16}" y="{y + 20}">{escape(panel.caption)}</text>' + panel.svg.replace(
        "<svg ", f"<svg {size} ", 1
    )


ZOOM: Final = 2  # pixels for each unit: sharp on a dense screen and on paper
_SVG: Final = '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24">{}</svg>'
_LETTER: Final = f'<text y="18" font-family="{FONTS}">A</text>'


def png_of(svg: str) -> bytes:
    """The picture. Raises UserError when the library or every font is missing."""
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise UserError(
            "PNG needs the library resvg: install it with `pip install 'dragstrip[png]'`, or export --format svg"
        ) from error
    if not _has_font():
        raise UserError("PNG needs a font and no common one is here: install DejaVu, or export --format svg")
    return svg_to_bytes(svg, zoom=ZOOM)


@cache
def _has_font() -> bool:
    """Whether a letter is drawn at all: resvg leaves out what it has no font for and says nothing."""
    from resvg_py import svg_to_bytes

    return svg_to_bytes(_SVG.format(_LETTER)) != svg_to_bytes(_SVG.format(""), skip_system_fonts=True)


TAILS = ("p99", "p95")  # the further one, where there are values enough
FIGURES = {"output_tokens": ("Output tokens that arrived", "tok/s"), "in_flight": ("Requests in flight", "")}


@dataclass(frozen=True, slots=True)
class _Span:
    """The whole seconds that are drawn."""

    start_ns: int
    seconds: int

    def frame(self, moments_ns: pl.Series, ms: pl.Series) -> pl.DataFrame:
        """Values with the second in which each was measured; those outside are left out."""
        frame = pl.DataFrame({"second": (moments_ns - self.start_ns) // NS_PER_S, "ms": ms}).drop_nulls()
        return frame.filter(pl.col("second").is_between(0, self.seconds - 1))


def write_svg(job: Job) -> list[ExportedFile]:
    """One SVG picture that needs nothing from outside."""
    return _write(job, ".svg", str.encode)


def write_png(job: Job) -> list[ExportedFile]:
    """The same as PNG."""
    return _write(job, ".png", png_of)


def _write(job: Job, suffix: str, encoded: Callable[[str], bytes]) -> list[ExportedFile]:
    seconds = job.rows("seconds").sort("t_ns").collect()
    content = encoded(_picture(job, seconds))
    path = job.path(job.recorded.name, suffix, alone=True)
    path.write_bytes(content)
    return [exported(path, "charts", seconds.height)]


def _picture(job: Job, seconds: pl.DataFrame) -> str:
    start_ns = seconds["t_ns"][0] if seconds.height else job.info.t0_ns
    span = _Span(start_ns, (seconds["t_ns"][-1] - start_ns) // NS_PER_S + 1 if seconds.height else 0)
    marks = _marks(job, span)
    panels = [*_figures(job, seconds, span, marks), *_latencies(job, span, marks)]
    since_s = (start_ns - job.info.t0_ns) / NS_PER_S
    note = f"A solid, B dashed; a gap where too little was measured. From second {since_s:.0f} of {job.info.name}."
    return picture(title_of(job.info), note, panels, simulated=job.info.simulated)


def _marks(job: Job, span: _Span) -> list[Mark]:
    dials = job.rows("events").filter(pl.col("kind") == "dial").sort("t_ns").collect()
    return [
        Mark((t_ns - span.start_ns) / NS_PER_S, f"{DIAL[name].label if name in DIAL else name} {new}")
        for t_ns, name, new in dials.select("t_ns", "name", "new").iter_rows()
        if 0 <= t_ns - span.start_ns < span.seconds * NS_PER_S
    ]


def _figures(job: Job, seconds: pl.DataFrame, span: _Span, marks: list[Mark]) -> Iterator[Panel]:
    """What the seconds tell themselves."""
    counts = seconds.filter(pl.col("up") & ~pl.col("resting").fill_null(value=False))
    for column, (what, unit) in FIGURES.items():
        lines: dict[str, Values] = {
            lane: _by_second(counts.filter(pl.col("lane") == lane), column, span) for lane in _lanes(job)
        }
        yield Panel(f"{what}, each second", time_chart(lines, unit, marks))


def _by_second(rows: pl.DataFrame, column: str, span: _Span) -> Values:
    values: list[float | None] = [None] * span.seconds
    for t_ns, value in rows.select("t_ns", column).iter_rows():
        values[(t_ns - span.start_ns) // NS_PER_S] = value
    return values


def _latencies(job: Job, span: _Span, marks: list[Mark]) -> Iterator[Panel]:
    """A median and a tail of each, of values in windows, never of the seconds' own percentiles."""
    for name, values in {**_of_requests(job, span), "itl": _of_chunks(job, span)}.items():
        label = METRICS[name].label
        for percentiles in (("p50",), TAILS):
            found = over_time(values, percentiles, span.seconds)
            if found is None:
                empty = time_chart({"a": [None] * span.seconds}, "ms", marks)
                yield Panel(f"{label} {percentiles[-1]}: needs {SAMPLES_NEEDED[percentiles[-1]]} values", empty)
            else:
                caption = f"{label} {found.percentile} of each {_length(found.window_s)}"
                yield Panel(caption, time_chart(found.lines, "ms", marks))


def _of_requests(job: Job, span: _Span) -> dict[str, Mapping[Lane, pl.DataFrame]]:
    """TTFT and TPOT of the requests that ended well, each in the second in which it ended."""
    names = ("ttft", "tpot")
    rows = job.rows("requests").filter(pl.col("outcome") == "ok")
    ended = rows.select("lane", "t_end_ns", *(LATENCY[name].alias(name) for name in names)).collect()
    lanes = {lane: ended.filter(pl.col("lane") == lane) for lane in _lanes(job)}
    return {name: {lane: span.frame(own["t_end_ns"], own[name]) for lane, own in lanes.items()} for name in names}


def _of_chunks(job: Job, span: _Span) -> dict[Lane, pl.DataFrame]:
    """The ITL of every token, in the second in which it came."""
    found = {}
    for lane in _lanes(job):
        rows = job.rows("chunks").filter(pl.col("lane") == lane).select("request", "t_ns", "tokens")
        t_ns, itl_ms, tokens = gaps_in_time(LaneChunks.from_frame(rows.collect()))
        found[lane] = span.frame(pl.Series(t_ns.repeat(tokens)), pl.Series(itl_ms.repeat(tokens)))
    return found


def _lanes(job: Job) -> list[Lane]:
    return [lane for lane in job.selection.lanes if lane in job.info.lanes]


def _length(seconds: int) -> str:
    return "second" if seconds == 1 else f"{seconds} s"
