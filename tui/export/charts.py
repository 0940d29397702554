"""The charts of a session as one picture: throughput and requests in flight, and latency percentiles over time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from tui.analysis.expressions import LATENCY
from tui.analysis.report.session import title_of
from tui.analysis.report.svg import Mark, Values, time_chart
from tui.recording.export.job import Exported, Job, exported
from tui.recording.export.over_time import over_time
from tui.recording.export.picture import Panel, picture
from tui.recording.export.raster import png_of
from tui.recording.reading.analysed import gaps_in_time
from tui.recording.reading.spans import LaneChunks
from tui.records.dials import DIAL
from tui.records.metrics import METRICS, SAMPLES_NEEDED
from tui.records.rows import Lane
from tui.records.units import NS_PER_S

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


def write_svg(job: Job) -> list[Exported]:
    """One SVG picture that needs nothing from outside."""
    return _write(job, ".svg", str.encode)


def write_png(job: Job) -> list[Exported]:
    """The same as PNG."""
    return _write(job, ".png", png_of)


def _write(job: Job, suffix: str, encoded: Callable[[str], bytes]) -> list[Exported]:
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
        t_ns, itl_ms, tokens = gaps_in_time(LaneChunks.of(rows.collect()))
        found[lane] = span.frame(pl.Series(t_ns.repeat(tokens)), pl.Series(itl_ms.repeat(tokens)))
    return found


def _lanes(job: Job) -> list[Lane]:
    return [lane for lane in job.selection.lanes if lane in job.info.lanes]


def _length(seconds: int) -> str:
    return "second" if seconds == 1 else f"{seconds} s"
