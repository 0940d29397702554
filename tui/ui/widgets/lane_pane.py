"""What one lane's pane says, row by row, for the room there is: pure functions of a `LaneView`.

One lane: a frame with the engine's name and state in its top line, and inside it the rows of numbers.

What is left on a terminal too small for anything else.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Resize

from tui.model.metrics import LATENCIES, SAMPLES_NEEDED, Metric
from tui.model.rows import Lane
from tui.model.text import sanitize
from tui.session.view import LaneView, Percentiles, View
from tui.ui.widgets import numbers
from tui.ui.widgets.chart import AXIS_CELLS, Ground, Pen, Scale, chart_rows, dots, span_of
from tui.ui.widgets.gpu_rows import Bars, gpu_rows
from tui.ui.widgets.header import Headline, ratio_text
from tui.ui.widgets.rows import Row, Rows, Span, fit, length
from tui.ui.widgets.server_rows import efficiency, ink_of, server_row, trouble_row
from tui.ui.widgets.theme import Glyphs

COMFORTABLE_CELLS = 50  # from this width on there is room for full words
TALL_ROWS = 26  # from this height on there is room for more than is needed each second
CHART_LEAST_S = 100
CHART_MOST_ROWS = 16
TTFT_DUE = Metric("ttft_sched", "due", "ms", "lower", "t_first - t_sched, under an arrival rate")


class PaneNumbers(msgspec.Struct, frozen=True):
    """What a pane is handed each second. `scale` and `power_top` are shared by both lanes."""

    view: LaneView
    second: int
    window_s: int
    scale: Scale
    power_top: float
    marks: Sequence[tuple[int, str]]
    glyphs: Glyphs
    any_gpu: bool = True  # in either lane: both keep the same rows, so that the lanes mirror each other
    any_flat: bool = False  # the same for memory that is flat by design
    any_due: bool = False  # the same for TTFT from the moment a request was due
    lead: bool = False  # the verdict says that this lane is ahead


def lane_rows(pane: PaneNumbers, width: int, height: int) -> list[Row]:
    """Exactly `height` rows of `width` cells; the chart takes what the figures leave."""
    view = pane.view
    above = [_headline(pane, width), _counts(view, width)]
    tall = height >= TALL_ROWS
    if tall:
        above.append(_work(view, width))
    bars = Bars(pane.second, pane.power_top, pane.glyphs.spark)
    gpus = gpu_rows(view, width, bars, tall=tall, any_flat=pane.any_flat)
    if pane.any_gpu:
        gpus += [fit((), width)] * ((3 + pane.any_flat if tall else 2) - len(gpus))
    below = [*_latency_rows(pane, width), server_row(view, width), *gpus, trouble_row(view, width)]
    if tall:
        below.append(_client(view, width))
    room = height - len(above) - len(below)
    chart = _chart(pane, width, min(room, CHART_MOST_ROWS)) if room >= 3 else []
    air = [fit((), width)] * max(room - len(chart), 0)
    return [*above, *chart, *below, *air][:height]


def pane_title(view: LaneView, url: str) -> tuple[str, bool]:
    """`A vLLM 0.19  127.0.0.1:8000`, and whether it is simulated."""
    info = view.info
    where = host_of(info.url if info else url)
    name = f"{info.title} {info.version}".strip() if info else ""
    return sanitize(f"{name}  {where}" if name else where, 100), bool(info and info.simulated)


def host_of(url: str) -> str:
    """`127.0.0.1:8000`; a URL that is none must not end the screen, as `urlsplit` could."""
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2]


def state_spans(view: LaneView) -> list[Span]:
    """`● up`, `● waits` in turns, `✖ down 00:07 refused`, `○ connecting`."""
    if view.state == "up":
        return [(f"● {view.turn or 'up'}", "muted" if view.turn == "waits" else "")]
    if view.state == "down":
        gone = 0
        while gone < len(view.curve) and view.curve[-1 - gone] is None:
            gone += 1
        return [
            ("✖ down ", "error strong"),
            (f"{numbers.short_clock(gone)} ", "error"),
            (sanitize(view.state_text, 60), "error"),
        ]
    text = f" {sanitize(view.state_text, 60)}" if view.state_text else ""
    return [(f"○ {view.state}{text}", "muted")]


def _headline(pane: PaneNumbers, width: int) -> Row:
    view = pane.view
    ink = view.lane if view.state in {"up", "stopped"} else "muted"
    mark = "≈" if view.tokens_from_chunks else " "
    spans: list[Span] = [
        (f"{mark}{numbers.whole(view.output_tps):>7}", f"{ink} strong"),
        (" tok/s out ", ink),
        ("▲ " if pane.lead else "  ", f"{ink} strong"),
        (f"{numbers.whole(view.total_tps):>9}", ink_of(view)),
        (" tok/s total" if width >= COMFORTABLE_CELLS else " total", "muted"),
    ]
    if view.tokens_from_chunks:
        spans.append(("  tokens ≈ chunks" if width >= COMFORTABLE_CELLS else " ≈", "warn"))
    if length([*spans, efficiency(view)]) <= width:
        spans.append(efficiency(view))
    return fit(spans, width)


def _counts(view: LaneView, width: int) -> Row:
    ink = ink_of(view)
    wide = width >= COMFORTABLE_CELLS
    spans: list[Span] = [
        (f"{numbers.figure(view.request_rate):>{7 if wide else 5}}", ink),
        (" req/s ", "muted"),
        (f"{numbers.whole(view.in_flight):>{5 if wide else 4}}", ink),
        (" in flight ", "muted"),
        (f"{numbers.whole(view.done):>{8 if wide else 6}}", ink),
        (" done", "muted"),
    ]
    if wide:
        spans += [(f"{numbers.whole(view.failed):>6}", "error" if view.failed else ink), (" failed", "muted")]
    return fit(spans, width)


def _work(view: LaneView, width: int) -> Row:
    """What a request is, as the server counted it, and how many met the limits."""
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


def _chart(pane: PaneNumbers, width: int, height: int) -> list[Row]:
    view = pane.view
    span = span_of(pane.second, width - AXIS_CELLS, max(CHART_LEAST_S, pane.window_s))
    pen = Pen(view.lane, pane.glyphs.kind)  # solid in both panes: only where curves cross must one be dotted
    return chart_rows(dots(view.curve, pane.second, span), Ground(span, pane.scale, pane.marks), height, pen)


def _latency_rows(pane: PaneNumbers, width: int) -> list[Row]:
    widths = _columns(width)
    over = "over " if width >= COMFORTABLE_CELLS else ""
    head = (f"{over}{pane.view.over_s or pane.window_s} s", "p50", "p95", "p99", "n")
    rows = [
        fit(
            [
                (head[0].ljust(widths[0]), "muted"),
                *((t.rjust(w), "muted") for t, w in zip(head[1:], widths[1:], strict=True)),
            ],
            width,
        )
    ]
    shown = [LATENCIES[0], TTFT_DUE, *LATENCIES[1:]] if pane.any_due else LATENCIES
    rows += [_latency(pane.view, metric, widths, width) for metric in shown]
    return rows


def _columns(width: int) -> tuple[int, int, int, int, int]:
    """Label, p50, p95, p99, n."""
    if width < COMFORTABLE_CELLS:
        return 8, 7, 9, 9, 5
    each = min((width - 10) // 4, 12)
    return 10, each, each, each, each


def _latency(view: LaneView, metric: Metric, widths: Sequence[int], width: int) -> Row:
    found = view.latencies.get(metric.name, Percentiles())
    e2e = metric.name == "e2e"
    write = numbers.seconds if e2e else numbers.figure
    spans: list[Span] = [(f"{metric.label:<5}{'s' if e2e else 'ms':>2} ".ljust(widths[0])[: widths[0]], "muted")]
    for name, value, cells in zip(("p50", "p95", "p99"), (found.p50, found.p95, found.p99), widths[1:4], strict=True):
        missing = SAMPLES_NEEDED[name] - found.n
        if value is None and found.n and missing > 0:
            spans.append((f"need {missing}".rjust(cells), "muted"))
        else:
            spans.append((write(value).rjust(cells), ink_of(view)))
    spans.append((numbers.short(found.n).rjust(widths[4]), "muted"))
    return fit(spans, width)


def _client(view: LaneView, width: int) -> Row:
    """How the measuring itself fares, in coarse steps: it is there to be looked up, not watched."""
    cpu, lag = round(view.client_cpu * 20) * 5, view.loop_lag_ms
    late = next((f"under {limit} ms" for limit in (5, 20, 50) if lag < limit), f"{lag:.0f} ms")
    stamp = f"   {view.stamp} stamps" if view.stamp else ""
    if stamp and view.merged_share >= 0.005:
        stamp = f"  {view.stamp} {view.merged_share:.0%} merged"
    return fit([(f"client  CPU {cpu} %   loop lag {late}{stamp}", "muted")], width)


NAME_CELLS = 14  # of the engine's name stay when the reason why a lane is down is long


class LanePane(Vertical):
    """The frame never repaints with the numbers: only its title row does, when the state changes."""

    DEFAULT_CSS = """
    LanePane { width: 1fr; height: 1fr; }
    LanePane > .frame { height: 1fr; border: round $accent; border-top: none; padding: 0 1; }
    LanePane .body { height: 1fr; }
    """

    def __init__(self, lane: Lane, url: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.lane: Lane = lane
        self._url = url
        self._numbers: PaneNumbers | None = None
        self._title = Rows(classes="title")
        self._body = Rows(classes="body")

    def compose(self) -> ComposeResult:
        """Title line and body; the frame is a widget of its own, or each row would bring its borders along."""
        yield self._title
        with Vertical(classes="frame"):
            yield self._body

    @property
    def plain(self) -> str:
        """What is shown, as text."""
        return f"{self._title.plain}\n{self._body.plain}"

    def show(self, pane: PaneNumbers) -> None:
        """Take the numbers of this second."""
        self._numbers = pane
        self._draw()

    def on_resize(self, _: Resize) -> None:
        """Draw again for the new room."""
        self._draw()

    def _draw(self) -> None:
        if self._numbers is None or not self.display:
            return
        self._title.put([self._title_row(self._numbers)])
        size = self._body.content_size
        if size.width > 0 and size.height > 0:
            self._body.put(lane_rows(self._numbers, size.width, size.height))

    def _title_row(self, pane: PaneNumbers) -> Row:
        """`╭─ A vLLM 0.19  127.0.0.1:8000 SIMULATED ───── ● up ─╮`."""
        width = self.size.width
        text, simulated = pane_title(pane.view, self._url)
        badge: list[Span] = [(" SIMULATED", "warn strong")] if simulated else []
        state = state_spans(pane.view)
        room = width - 10 - length(badge)
        shown = min(length(state), max(room - min(length([(text, "")]), NAME_CELLS), 10))
        left: list[Span] = [("╭─ ", "muted"), (self.lane.upper(), f"{self.lane} strong"), (" ", "")]
        left += [*fit([(text, self.lane)], min(length([(text, "")]), max(room - shown, 0))), *badge, (" ", "")]
        right: list[Span] = [(" ", ""), *fit(state, shown), (" ─╮", "muted")]
        fill = max(width - length(left) - length(right), 0)
        return fit([*left, ("─" * fill, "muted"), *right], width)


class Brief(Rows):
    """`A 2 481  B 2 172 tok/s  A/B 1.14  undecided`, broken over as many rows as needed."""

    _shown: tuple[View, Headline] | None = None

    def show(self, view: View, headline: Headline) -> None:
        """Take this second."""
        self._shown = (view, headline)
        self.put(brief_rows(view, headline, max(self.size.width, 1), max(self.size.height, 1)))

    def on_resize(self, _: Resize) -> None:
        """Draw again for the new room."""
        if self._shown is not None:
            self.show(*self._shown)


def brief_rows(view: View, headline: Headline, width: int, height: int) -> list[Row]:
    """The pieces in order, a new row whenever the next one does not fit."""
    pieces: list[list[Span]] = []
    for lane, found in view.lanes.items():
        value = numbers.whole(found.output_tps) if found.state in {"up", "stopped"} else found.state
        pieces.append([(f"{lane.upper()} ", f"{lane} strong"), (value, "strong")])
    pieces[-1].append((" tok/s", "muted"))
    if len(view.lanes) > 1:
        pieces += [[(f"A/B {ratio_text(headline.ratio)}", "strong")], [(headline.word, "")]]
    if view.simulated:
        pieces.append([("SIMULATED", "warn strong")])
    rows: list[list[Span]] = [[]]
    for piece in pieces:
        if rows[-1] and length([*rows[-1], ("  ", ""), *piece]) > width:
            rows.append([])
        rows[-1] += [("  ", ""), *piece] if rows[-1] else piece
    return [fit(row, width) for row in rows[:height]]
