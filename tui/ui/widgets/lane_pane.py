"""One lane: a frame with the engine's name and state in its top line, and inside it the rows of numbers."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical

from tui.model.metrics import LATENCIES, PERCENTILES, SHOWN_PERCENTILES, Metric
from tui.model.rows import Lane
from tui.model.text import sanitize
from tui.session.view import LaneView, Percentiles
from tui.ui.widgets import numbers
from tui.ui.widgets.chart import AXIS_CELLS, chart_rows, ground
from tui.ui.widgets.panel import Panel, ScreenState
from tui.ui.widgets.rows import Row, Span, fit, length
from tui.ui.widgets.server_rows import WORDS_CELLS, Bars, efficiency, gpu_rows, ink, server_row, trouble_row

TALL_ROWS = 26  # from this height on there is room for more than is needed each second
NAME_CELLS = 14  # of the engine's name that stay when the reason why a lane is down is long
CHART_MIN_S = 100
CHART_MAX_ROWS = 16
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
    if tall:
        above.append(_work_row(view, width))
    bars = Bars(state.view.second, state.power_top, state.glyphs.spark)
    gpus = gpu_rows(view, width, bars, tall=tall, any_flat=state.any_flat)
    if state.any_gpu:
        gpus += [fit((), width)] * ((3 + state.any_flat if tall else 2) - len(gpus))
    below = [*_latency_rows(state, view, width), server_row(view, width), *gpus, trouble_row(view, width)]
    if tall:
        below.append(_client_row(view, width))
    room = height - len(above) - len(below)
    chart = _chart(state, view, width, min(room, CHART_MAX_ROWS)) if room >= 3 else []
    blank = [fit((), width)] * max(room - len(chart), 0)
    return [*above, *chart, *below, *blank][:height]


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
        (f"{numbers.whole(view.done):>{8 if wide else 6}}", ink(view)),
        (" done", "muted"),
    ]
    if wide:
        spans += [(f"{numbers.whole(view.failed):>6}", "error" if view.failed else ink(view)), (" failed", "muted")]
    return fit(spans, width)


def _work_row(view: LaneView, width: int) -> Row:
    """The size of a request as the server counted it, and how many met the limits."""
    good: list[Span] = []
    if view.goodput is not None:
        good = [(f"{numbers.figure(view.goodput):>6}", ""), (" good/s", "muted")]
    met: list[Span] = [(f"  limits {view.limits_met}", "muted")] if view.limits_met else []
    for before, between in ((" prompt tok", " output tok a request"), (" in", " out tok a request")):
        work: list[Span] = [
            (f"{numbers.whole(view.prompt_tokens_seen):>8}", ""), (before, "muted"),
            (f"{numbers.whole(view.output_tokens_seen):>7}", ""), (between, "muted"),
        ]  # fmt: skip
        for spans in ([*work, *good, *met], [*work, *good]):
            if length(spans) <= width:
                return fit(spans, width)
    return fit([*work, *good], width)


def _chart(state: ScreenState, view: LaneView, width: int, height: int) -> list[Row]:
    shown = state.view
    on = ground(shown.second, width - AXIS_CELLS, max(CHART_MIN_S, shown.window_s), state.scale, shown.dial_marks)
    return chart_rows(view.curve, on, height, view.lane, state.glyphs)


def _latency_rows(state: ScreenState, view: LaneView, width: int) -> list[Row]:
    widths = _columns(width)
    over = f"{'over ' if width >= WORDS_CELLS else ''}{view.over_s or state.view.window_s} s"
    head = zip((*SHOWN_PERCENTILES, "n"), widths[1:], strict=True)
    rows = [fit([(over.ljust(widths[0]), "muted"), *((text.rjust(cells), "muted") for text, cells in head)], width)]
    shown = [LATENCIES[0], TTFT_DUE, *LATENCIES[1:]] if state.any_due else LATENCIES
    return [*rows, *(_latency_row(view, metric, widths, width) for metric in shown)]


def _columns(width: int) -> list[int]:
    """Label, percentiles, n."""
    count = len(SHOWN_PERCENTILES)
    if width < WORDS_CELLS:
        return [8, 7, *[9] * (count - 1), 5]
    return [10, *[min((width - 10) // (count + 1), 12)] * (count + 1)]


def _latency_row(view: LaneView, metric: Metric, widths: Sequence[int], width: int) -> Row:
    latency = view.latencies.get(metric.name, Percentiles())
    unit, write = ("s", numbers.seconds) if metric.name == "e2e" else ("ms", numbers.figure)
    spans: list[Span] = [(f"{metric.label:<5}{unit:>2} ".ljust(widths[0])[: widths[0]], "muted")]
    for name, cells in zip(SHOWN_PERCENTILES, widths[1:-1], strict=True):
        value = latency.ms.get(name)
        missing = PERCENTILES[name].samples - latency.n
        if value is None and latency.n and missing > 0:
            spans.append((f"need {missing}".rjust(cells), "muted"))
        else:
            spans.append((write(value).rjust(cells), ink(view)))
    spans.append((numbers.short(latency.n).rjust(widths[-1]), "muted"))
    return fit(spans, width)


def _client_row(view: LaneView, width: int) -> Row:
    """The state of the load generator, in coarse steps: it is there to be looked up, not watched."""
    cpu, lag = round(view.client_cpu * 20) * 5, view.loop_lag_ms
    late = next((f"under {limit} ms" for limit in (5, 20, 50) if lag < limit), f"{lag:.0f} ms")
    stamp = f"   {view.stamp} stamps" if view.stamp else ""
    if stamp and view.merged_share >= 0.005:
        stamp = f"  {view.stamp} {view.merged_share:.0%} merged"
    return fit([(f"client  CPU {cpu} %   loop lag {late}{stamp}", "muted")], width)
