"""One lane: a frame with the engine's name and state in its top line, and inside it the rows of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from textual.app import ComposeResult
from textual.containers import Vertical

from tui.model.metrics import LATENCIES, PERCENTILES, SHOWN_PERCENTILES, Metric
from tui.model.rows import Lane
from tui.model.text import sanitize
from tui.session.view import LaneView, Percentiles
from tui.ui.widgets import numbers
from tui.ui.widgets.chart import AXIS_CELLS, Pen, Rule, area_rows, chart_rows, ground, line_rows, means, spark_text
from tui.ui.widgets.panel import Panel, ScreenState
from tui.ui.widgets.rows import Row, Span, fit, length
from tui.ui.widgets.server_rows import WORDS_CELLS, Bars, efficiency, gpu_rows, ink, server_row, trouble_row
from tui.ui.widgets.tables import moved_dials, setting_text
from tui.ui.widgets.trailing import unit_of

if TYPE_CHECKING:
    from tui.judge.ledger import LedgerRow

TALL_ROWS = 20  # from this height on each gauge of the GPU has a curve
CLIENT_ROWS = 24  # and from this on there is room for what is looked up, not watched
NAME_CELLS = 14  # of the engine's name that stay when the reason why a lane is down is long
CHART_MAX_ROWS = 24
SPARK_FROM_CELLS = 54  # of a lane: from here on its latencies have sparklines of a fixed length
SPARK_CELLS = 12  # with the blank after it
MIN_SPARK_CELLS = 6
ITL_FROM_ROWS = 15  # a lower pane has no room for what TPOT says nearly as well
TTFT_DUE = Metric("ttft_sched", "due", "ms", "lower", "t_first - t_sched, under an arrival rate")


class LanePane(Vertical):
    """The frame never repaints with the numbers: only its title row does, when the state changes."""

    DEFAULT_CSS = """
    LanePane { width: 1fr; height: 1fr; }
    LanePane > .frame { height: 1fr; border: round $accent; border-top: none; padding: 0 1; }
    LanePane .body { height: 1fr; }
    """

    def __init__(self, lane: Lane, url: str) -> None:
        super().__init__(id=f"pane-{lane}")
        self.lane: Lane = lane
        self._title = Panel(lambda state, width, _: [title_row(state.lanes[lane], url, width)], classes="title")
        self._body = Panel(lambda state, width, height: lane_rows(state, lane, width, height), classes="body")

    def compose(self) -> ComposeResult:
        """The frame is a separate widget, or each row would bring its borders along."""
        yield self._title
        with Vertical(classes="frame"):
            yield self._body

    @property
    def plain(self) -> str:
        return f"{self._title.plain}\n{self._body.plain}"


def title_row(view: LaneView, url: str, width: int) -> Row:
    """`╭─ A vLLM 0.19  127.0.0.1:8000 SIMULATED ───── ● up ─╮`."""
    info = view.info
    host = host_of(info.url if info else url)
    name = f"{info.title} {info.version}".strip() if info else ""
    text = sanitize(f"{name}  {host}" if name else host, 100)
    badge: list[Span] = [(" SIMULATED", "warn strong")] if info and info.simulated else []
    state = state_spans(view)
    room = width - 10 - length(badge)
    text_cells = length([(text, "")])
    state_cells = min(length(state), max(room - min(text_cells, NAME_CELLS), 10))
    left: list[Span] = [("╭─ ", "muted"), (view.lane.upper(), f"{view.lane} strong"), (" ", "")]
    left += [*fit([(text, view.lane)], min(text_cells, max(room - state_cells, 0))), *badge, (" ", "")]
    right: list[Span] = [(" ", ""), *fit(state, state_cells), (" ─╮", "muted")]
    fill = max(width - length(left) - length(right), 0)
    return fit([*left, ("─" * fill, "muted"), *right], width)


def host_of(url: str) -> str:
    """`127.0.0.1:8000`; never raises, as `urlsplit` could for a malformed URL."""
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2]


def state_spans(view: LaneView) -> list[Span]:
    """`● up`, `● waits` in turns, `✖ down 00:07 refused`, `○ connecting`."""
    text = sanitize(view.state_text, 60)
    if view.state == "up":
        return [(f"● {view.turn or 'up'}", "muted" if view.turn == "waits" else "")]
    if view.state == "down":
        down_s = next((s for s, value in enumerate(reversed(view.curve)) if value is not None), len(view.curve))
        return [("✖ down ", "error strong"), (f"{numbers.short_clock(down_s)} ", "error"), (text, "error")]
    return [(f"○ {view.state}{f' {text}' if text else ''}", "muted")]


def lane_rows(state: ScreenState, lane: Lane, width: int, height: int) -> list[Row]:
    """Exactly `height` rows of `width` cells; the chart takes what the figures leave.

    Both lanes keep the same rows, so that they mirror each other.
    """
    view, tall = state.lanes[lane], height >= TALL_ROWS
    above = [_throughput_row(state, view, width), _counts_row(view, width)]
    if state.pinned is not None:
        above.append(_pinned_row(state.pinned, view, width))
    if state.view.limits and tall:
        above.append(_goodput_row(view, width))
    bars = Bars(state.view.second, state.power_top, state.glyphs.spark)
    gpus = gpu_rows(view, width, bars, tall=tall)
    if state.any_gpu:
        gpus += [fit((), width)] * ((3 if tall else 2) - len(gpus))
    itl = height >= ITL_FROM_ROWS
    below = [*_latency_rows(state, view, width, itl=itl), server_row(view, width), *gpus, trouble_row(view, width)]
    if height >= CLIENT_ROWS:
        below.append(_client_row(view, width))
    room = height - len(above) - len(below)
    chart = _chart(state, view, width, chart_height(room)) if room >= 3 else []
    blank = [fit((), width)] * max(room - len(chart), 0)
    return [*above, *chart, *below, *blank][:height]


def _pinned_row(pinned: LedgerRow, view: LaneView, width: int) -> Row:
    """`◇ 2,200 tok/s at conc 16, now +14 %  TTFT p50 90.0 p95 108`: the figures of before."""
    before, figures = pinned.tps.get(view.lane), pinned.figures.get(view.lane)
    setting = setting_text(pinned, moved_dials([pinned]))
    spans: list[Span] = [(f"◇{numbers.whole(before):>7}", view.lane), (f" tok/s at {setting}", "muted")]
    if before and view.output_tps is not None:
        spans += [(", now ", "muted"), (f"{(view.output_tps / before - 1) * 100:+.0f} %", "strong")]
    for name in ("p50", "p95") if figures is not None else ():
        value = figures.ttft[name].value if figures is not None and name in figures.ttft else None
        more: list[Span] = [(f"{'  TTFT ' if name == 'p50' else ' '}{name} ", "muted"), (numbers.figure(value), "")]
        spans += more if length([*spans, *more]) <= width else []
    return fit(spans, width)


def chart_height(room: int) -> int:
    """Rows of a chart and the row below it: so many that ticks are rows apart and evenly so."""
    rows = min(room, CHART_MAX_ROWS) - 1
    return rows + 1 if rows < 5 or rows % 2 else rows


def _throughput_row(state: ScreenState, view: LaneView, width: int) -> Row:
    role = view.lane if view.state in {"up", "stopped"} else "muted"
    spans: list[Span] = [
        (f"{'≈' if view.tokens_from_chunks else ' '}{numbers.whole(view.output_tps):>7}", f"{role} strong"),
        (" tok/s out ", role),
        ("▲ " if state.comparison.lead == view.lane else "  ", f"{role} strong"),
        (f"{numbers.whole(view.total_tps):>9}", ink(view)),
        (" tok/s total" if width >= WORDS_CELLS else " total", "muted"),
    ]
    if view.tokens_from_chunks:
        spans.append(("  tokens ≈ chunks" if width >= WORDS_CELLS else " ≈", "warn"))
    if length([*spans, efficiency(view)]) <= width:
        spans.append(efficiency(view))
    return fit(spans, width)


def _counts_row(view: LaneView, width: int) -> Row:
    wide = width >= WORDS_CELLS
    spans: list[Span] = [
        (f"{numbers.figure(view.request_rate):>{7 if wide else 5}}", ink(view)),
        (" req/s ", "muted"),
        (f"{numbers.whole(view.in_flight):>{5 if wide else 4}}", ink(view)),
        (" in flight ", "muted"),
        *_done(view, 8 if wide else 6, instead=not wide),
    ]
    if wide:
        failed = numbers.whole(view.failed)
        spans += [
            (" " * (6 - len(failed)), ""),
            (failed, "error" if view.failed else ink(view)),
            (" failed", "muted"),
        ]
    return fit(spans, width)


def _done(view: LaneView, cells: int, *, instead: bool) -> list[Span]:
    """How many requests ended; with limits and little room the share within them."""
    if instead and view.inside_share is not None:
        return [(f"{view.inside_share:>{cells - 2}.0%}", ink(view)), (" inside", "muted")]
    return [(f"{numbers.whole(view.done):>{cells}}", ink(view)), (" done", "muted")]


def _goodput_row(view: LaneView, width: int) -> Row:
    """How many requests met the limits."""
    share = "" if view.inside_share is None else f"{numbers.percent(view.inside_share):>8}"
    met: list[Span] = [(share, ""), (" inside the limits", "muted")] if share else []
    met += [(f", {view.limits_met}", "muted")] if view.limits_met else []
    return fit([(f"{numbers.figure(view.goodput):>8}", ""), (" good/s", "muted"), *met], width)


def _chart(state: ScreenState, view: LaneView, width: int, height: int) -> list[Row]:
    second, glyphs, shown = state.view.second, state.glyphs, state.trailing[view.lane]
    on = ground(second, width - AXIS_CELLS, state.chart_s, state.view.dial_marks, even=glyphs.each_second)
    pen = Pen(view.lane, glyphs, state.top)
    if glyphs.each_second:
        dots = means(shown.each, on.start - (second - len(shown.each)), on.cells * 2, on.cell_s // 2)
        cells = line_rows(dots, height - 1, pen)
    else:
        cells = area_rows(shown.area(on), on, height - 1, pen, _rule(state, view))
    if why := _why_empty(state, view):
        cells[len(cells) // 2] = [(ch, "muted") for ch in f" {why}"[: on.cells].ljust(on.cells)]
    return chart_rows(cells, on, state.top, unit_of(state.figure))


def _why_empty(state: ScreenState, view: LaneView) -> str:
    """What the figure of the chart is missing for good."""
    name = state.figure.partition("_")[0]
    if name == "goodput" and not state.view.limits:
        return "no latency limits: L sets them"
    return view.unknown.get(name, "")


def _rule(state: ScreenState, view: LaneView) -> Rule | None:
    """Where the other lane is, by its mean over the window."""
    for lane, other in state.lanes.items():
        mean = state.trailing[lane].mean(state.view.second - 1, state.view.window_s)
        if lane != view.lane and mean is not None and other.state == "up":
            write = numbers.whole if state.figure == "output_tps" else numbers.figure
            return Rule(mean, f"{lane.upper()} {write(mean)}", lane)
    return None


def _latency_rows(state: ScreenState, view: LaneView, width: int, *, itl: bool) -> list[Row]:
    columns = _columns(width)
    over = f"{'over ' if width >= WORDS_CELLS else ''}{view.over_s or state.view.window_s} s"
    spans: list[Span] = [(over.ljust(columns.label), "muted")]
    if columns.spark:
        spans.append((f"{'2 min':<{columns.spark}}", "muted"))
    spans += [(name.rjust(cells), "muted") for name, cells in zip(SHOWN_PERCENTILES, columns.values, strict=True)]
    rows = [fit([*spans, ("n".rjust(columns.n), "muted")], width)]
    shown = [LATENCIES[0], TTFT_DUE, *LATENCIES[1:]] if state.any_due else LATENCIES
    shown = [metric for metric in shown if itl or metric.name != "itl"]
    return [*rows, *(_latency_row(state, view, metric, columns, width) for metric in shown)]


class Columns(msgspec.Struct, frozen=True):
    """Cells of the latency table; `spark` is 0 where there is no room."""

    label: int
    spark: int
    values: Sequence[int]
    n: int


def _columns(width: int) -> Columns:
    count = len(SHOWN_PERCENTILES)
    if width < SPARK_FROM_CELLS:
        spare = width - 38
        return Columns(8, spare if spare >= MIN_SPARK_CELLS else 0, [7, *[9] * (count - 1)], 5)
    spark = SPARK_CELLS + max(width - SPARK_FROM_CELLS - 10, 0)
    return Columns(10, spark, [min((width - 10 - spark - 7) // count, 11)] * count, 7)


def _latency_row(state: ScreenState, view: LaneView, metric: Metric, columns: Columns, width: int) -> Row:
    latency = view.latencies.get(metric.name, Percentiles())
    unit, write = ("s", numbers.seconds) if metric.name == "e2e" else ("ms", numbers.figure)
    spans: list[Span] = [(f"{metric.label:<5}{unit:>2} ".ljust(columns.label)[: columns.label], "muted")]
    if columns.spark:
        lanes, top = state.latency_cells(metric.name, columns.spark - 1)
        drawn = spark_text(lanes[view.lane], top, state.glyphs.spark)
        spans.append((f"{drawn:<{columns.spark}}", view.lane))
    for name, cells in zip(SHOWN_PERCENTILES, columns.values, strict=True):
        value = latency.ms.get(name)
        missing = PERCENTILES[name].samples - latency.n
        if value is None and latency.n and missing > 0:
            spans.append((f"{missing} more".rjust(cells), "muted"))
        elif value is not None and value > state.view.limits.get(metric.name, value):
            spans.append((f"!{write(value)}".rjust(cells), "warn"))
        else:
            spans.append((write(value).rjust(cells), ink(view)))
    n = numbers.whole(latency.n)
    spans.append(((n if len(n) < columns.n else numbers.short(latency.n)).rjust(columns.n), "muted"))
    return fit(spans, width)


def _client_row(view: LaneView, width: int) -> Row:
    """The state of the load generator, in coarse steps: it is there to be looked up, not watched."""
    cpu, lag = round(view.client_cpu * 20) * 5, view.loop_lag_ms
    late = next((f"under {limit} ms" for limit in (5, 20, 50) if lag < limit), f"{lag:.0f} ms")
    stamp = f"   {view.stamp} stamps" if view.stamp else ""
    if stamp and view.merged_share >= 0.005:
        stamp = f"  {view.stamp} {view.merged_share:.0%} merged"
    return fit([(f"client  CPU {cpu} %   loop lag {late}{stamp}", "muted")], width)
