"""The rows of a lane's pane about its server and its GPUs, and what went wrong.

A lane's GPUs are shown as one: memory used of total, utilisation, power, and their last two minutes. With them stands
how much of its KV cache the server uses: where the pool is taken at the start, memory stays flat, and the cache
is what moves with the load.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec.structs import replace

from tui.model.text import sanitize
from tui.session.view import GpuView, LaneView, ServerView
from tui.ui.widgets import numbers
from tui.ui.widgets.chart import Curve, mean, sparkline
from tui.ui.widgets.rows import Row, Span, fit, length, spread

WORDS_CELLS = 50  # from this width on there is room for full words
MANY_UNSCHEDULED = 0.2  # of the requests in flight: the limit is not the engine, but what is in front of it
STALE_S = 3.0  # three readings missed; an older one is dim and says its age
SHARED_FROM = 0.05  # of the memory in use; less is the driver's


def ink(view: LaneView) -> str:
    """Numbers of a lane that is not up are old: they are dimmed."""
    return "" if view.state in {"up", "stopped"} else "muted"


def efficiency(view: LaneView) -> Span:
    """`  4.12 tok/J`, empty where energy is not read."""
    return ("", "") if view.tokens_per_joule is None else (f"  {numbers.figure(view.tokens_per_joule)} tok/J", "")


def server_row(view: LaneView, width: int) -> Row:
    """`running 32    waiting 0     prefix hit 31 %`, with the age of old readings."""
    server = view.server
    if all(v is None for v in (server.running, server.waiting, server.kv_usage, server.prefix_hit_rate)):
        return fit([("server  ", "muted"), (sanitize(server.note) or "no metrics yet", "muted")], width)
    old = f" {server.age_s:.0f} s old" if server.age_s is not None and server.age_s > STALE_S else ""
    full = width >= WORDS_CELLS and not old
    words = ("running ", "  waiting ", "  prefix hit ") if full else ("run ", " wait ", " prefix hit ")
    values = (
        f"{numbers.whole(server.running):<4}", f"{numbers.whole(server.waiting):<4}",
        f"{numbers.percent(server.prefix_hit_rate):<5}",
    )  # fmt: skip
    role = "muted" if old else ink(view)
    spans = [span for word, value in zip(words, values, strict=True) for span in ((word, "muted"), (value, role))]
    return (*fit(spans, width - len(old)), (old, "muted")) if old else fit(spans, width)


def trouble_row(view: LaneView, width: int) -> Row:
    """What makes the lane's numbers doubtful, the most serious first."""
    if trouble := _trouble(view):
        return fit(trouble, width)
    right = [efficiency(view)] if width < WORDS_CELLS else []
    doubts = [*[(text, "warn") for text in _slowed_by(view)], *_late(view.server)]
    left = _apart([("no failures", "muted"), *doubts])
    if doubts and length(left) > width:
        left = _apart(doubts)
    return spread(left, right if length([*left, *right]) <= width else (), width)


def _trouble(view: LaneView) -> list[Span]:
    """Down, the client's limit, failures, figures that the answers do not support, old readings."""
    if view.state == "down" and view.state_text:
        failed = f"   {view.failed} failed" if view.failed else ""
        return [("✖ down: ", "error strong"), (sanitize(view.state_text, 120), "error"), (failed, "muted")]
    if view.bound:
        text = f"! client-bound: CPU {view.client_cpu * 100:.0f} %, loop lag {view.loop_lag_ms:.0f} ms"
        return [(text, "warn strong")]
    if view.causes:
        causes = sorted(view.causes.items(), key=lambda cause: -cause[1])
        counted = ", ".join(f"{sanitize(cause, 20)} {count}" for cause, count in causes)
        last = f"  {sanitize(view.last_error, 120)}" if view.last_error else ""
        return [(f"✖ {view.failed} failed ", "error strong"), (counted, "error"), (last, "muted")]
    if view.unknown:
        return [(f"! {next(iter(view.unknown.values()))}", "warn")]
    if view.server.note and view.server.age_s is not None:
        return [(f"! server gauges: {sanitize(view.server.note, 120)}", "warn")]
    return [(f"! GPU: {sanitize(view.gpu_note, 120)}", "warn")] if view.gpu_note and view.gpus else []


def _late(server: ServerView) -> list[Span]:
    """How much older than their reading the gauges may be."""
    if server.refresh_at_end and server.age_s is not None:
        return [("gauges of the last ended request", "muted")]
    return (
        [(f"gauges up to {server.refresh_s:.0f} s old", "muted")]
        if server.refresh_s and server.age_s is not None
        else []
    )


def _slowed_by(view: LaneView) -> list[str]:
    """What slows the engine down without being a fault, the most telling first."""
    reasons = []
    if (view.server.unscheduled or 0) >= MANY_UNSCHEDULED:
        reasons.append(f"{numbers.percent(view.server.unscheduled)} of requests unscheduled")
    if any(gpu.throttled for gpu in view.gpus):
        reasons.append("GPU clocks throttled")
    if view.server.preemptions:
        reasons.append(f"{numbers.whole(view.server.preemptions)} preempted")
    return reasons


def _apart(spans: list[Span]) -> list[Span]:
    return [(f"{'   ' if place else ''}{text}", role) for place, (text, role) in enumerate(spans)]


class Bars(msgspec.Struct, frozen=True):
    """How sparklines are drawn: the second they end at, the power at full height, the characters from low to high."""

    second: int
    power_top: float
    spark: str


class Gauge(msgspec.Struct, frozen=True):
    """A figure with its curve and the value at full height."""

    label: str
    value: str
    curve: Curve
    top: float
    age: str = ""  # of an old reading


Style = tuple[Bars, str]  # and the lane


def gpu_rows(view: LaneView, width: int, bars: Bars, *, tall: bool) -> list[Row]:
    """Memory and KV cache in use over time, with the GPU's other figures: two rows, three where there is height.

    Without a GPU the reason, and the KV cache where the server reports it.
    """
    style = (bars, view.lane)
    kv = Gauge("KV", _kv_text(view, tall=tall), view.server.kv_curve, 1.0)
    known_kv = view.server.kv_usage is not None
    if not view.gpus:
        why = fit([("GPU  ", "muted"), (sanitize(view.gpu_note) or "not read yet", "muted")], width)
        return [why, _gauge_row("", kv, len(kv.value), width, style)] if known_kv else [why]
    gpu = combined(view.gpus)
    name = f"GPU{gpu.index}" if len(view.gpus) == 1 else f"{len(view.gpus)} GPU"
    age = f" {gpu.age_s:.0f} s old" if gpu.age_s > STALE_S else ""
    memory, utilization, power = _gauges(gpu, bars.power_top)
    role = "muted" if age else ""
    if not tall:
        figures = [(f"{name} ", "muted"), (memory.value, role), (f" {utilization.value:>5} {power.value:>6}", role)]
        return [fit([*figures, (age, "muted")], width), _memory_and_kv(memory, kv, width, style)]
    heat = "" if gpu.temperature_c is None else f" {gpu.temperature_c:.0f} °C"
    cells = max(14, len(memory.value), len(kv.value))
    return [
        _gauge_row(name, replace(memory, age=age), cells, width, style),
        _gauge_row("", kv, cells, width, style),
        _two_gauges(utilization, replace(power, value=power.value + heat), width, style),
    ]


def _gauges(gpu: GpuView, power_top: float) -> list[Gauge]:
    memory_top = gpu.memory_total_bytes or max((v for v in gpu.memory_curve if v is not None), default=0.0) * 1.25
    return [
        Gauge("mem", _memory(gpu), gpu.memory_curve, memory_top),
        Gauge("util", f"{numbers.whole(gpu.utilization_pct)} %", gpu.utilization_curve, 100.0),
        Gauge("power", f"{numbers.whole(gpu.power_w)} W", gpu.power_curve, power_top),
    ]


def _kv_text(view: LaneView, *, tall: bool) -> str:
    """`38 %`, and of how much where there is room and it is known."""
    server = view.server
    used = numbers.percent(server.kv_usage)
    if not tall or server.kv_usage is None:
        return used
    if server.kv_pool_bytes is not None:
        return f"{used} of {numbers.gib(server.kv_pool_bytes * max(len(view.gpus), 1))} GiB"
    return used if server.kv_pool_tokens is None else f"{used} of {numbers.short(server.kv_pool_tokens)} tok"


def _gauge_row(label: str, gauge: Gauge, cells: int, width: int, style: Style) -> Row:
    """`GPU0 mem  61.2/79.6 GiB ▅▅▅▅▅▅`."""
    bars, lane = style
    role, age = ("muted", f" {gauge.age}") if gauge.age else ("", "")
    spans: list[Span] = [
        (f"{label:<5} {gauge.label:<4} ", "muted"),
        (f"{gauge.value:<{cells}}", role),
        (age, "muted"),
    ]
    drawn = sparkline(gauge.curve, bars.second, width - length(spans) - 1, gauge.top, bars.spark)
    return fit([*spans, (f" {drawn}", lane)], width)


def _two_gauges(first: Gauge, second: Gauge, width: int, style: Style) -> Row:
    """`      util  97 % ▇▇▇▇▇▇  power 606 W ▆▆▆▆▆▆`."""
    bars, lane = style
    spans: list[Span] = [(f"{'':5} {first.label:<4} ", "muted"), (f"{first.value:<6}", ""), ("", lane)]
    spans += [(f"  {second.label} ", "muted"), (f"{second.value} ", ""), ("", lane)]
    cells = max(width - length(spans), 0)
    halves = (cells - cells // 2, cells // 2)
    for place, gauge, half in zip((2, 5), (first, second), halves, strict=True):
        spans[place] = (sparkline(gauge.curve, bars.second, half, gauge.top, bars.spark), lane)
    return fit(spans, width)


def _memory_and_kv(memory: Gauge, kv: Gauge, width: int, style: Style) -> Row:
    """`mem ▅▅▅▅▅▅▅▅ KV 38 % ▁▃▆▇▇▇▇▇`."""
    bars, lane = style
    head, middle = f"{memory.label} ", f" {kv.label} {kv.value:<5} "
    half = (width - len(head) - len(middle)) // 2
    curves = [sparkline(gauge.curve, bars.second, half, gauge.top, bars.spark) for gauge in (memory, kv)]
    return fit([(head, "muted"), (curves[0], lane), (middle, "muted"), (curves[1], lane)], width)


def combined(gpus: Sequence[GpuView]) -> GpuView:
    """Several GPUs of a lane as one: memory and power added, utilisation the mean; None where one has none."""
    if len(gpus) == 1:
        return gpus[0]
    return replace(
        gpus[0],
        memory_used_bytes=_sum([gpu.memory_used_bytes for gpu in gpus]),
        memory_total_bytes=_sum([gpu.memory_total_bytes for gpu in gpus]),
        memory_engine_bytes=_sum([gpu.memory_engine_bytes for gpu in gpus]),
        temperature_c=max((gpu.temperature_c for gpu in gpus if gpu.temperature_c is not None), default=None),
        power_w=_sum([gpu.power_w for gpu in gpus]),
        utilization_pct=_mean([gpu.utilization_pct for gpu in gpus]),
        memory_curve=_by_second(_sum, [gpu.memory_curve for gpu in gpus]),
        power_curve=_by_second(_sum, [gpu.power_curve for gpu in gpus]),
        utilization_curve=_by_second(_mean, [gpu.utilization_curve for gpu in gpus]),
        age_s=max(gpu.age_s for gpu in gpus),
    )


def _sum(values: Sequence[float | None]) -> float | None:
    return None if None in values else sum(value for value in values if value is not None)


def _mean(values: Sequence[float | None]) -> float | None:
    return None if None in values else mean(values)


def _by_second(combine: Callable[[Sequence[float | None]], float | None], curves: Sequence[Curve]) -> Curve:
    return [combine(values) for values in zip(*curves, strict=False)]


def power_top(views: Iterable[LaneView]) -> float:
    """The top of the scale for the power of all lanes: the next step of 100 W."""
    curves = [combined(view.gpus).power_curve for view in views if view.gpus]
    highest = max((value for curve in curves for value in curve if value is not None), default=0.0)
    return max(100.0, -(-highest // 100) * 100)


def _memory(gpu: GpuView) -> str:
    """`61.2/79.6 GiB`, or `47.6+47.7/139.8 GiB` where the engine's part is known and others use the GPU too."""
    used, engine = gpu.memory_used_bytes, gpu.memory_engine_bytes
    total = f"/{numbers.gib(gpu.memory_total_bytes)}" if gpu.memory_total_bytes is not None else ""
    if used is None or engine is None or used - engine < SHARED_FROM * used:
        return f"{numbers.gib(used)}{total} GiB"
    return f"{numbers.gib(engine)}+{numbers.gib(used - engine)}{total} GiB"
