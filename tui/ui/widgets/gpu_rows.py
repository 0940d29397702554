"""A lane's GPUs, taken together, in a few rows: memory used of total, utilisation, power, and their last two minutes.

Where the server takes its KV pool at the start, used memory says nothing about the load. That is said, and what the
pool and the weights take stands in place of the memory's curve.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from tui.model.rows import Lane
from tui.model.text import sanitize
from tui.session.view import GpuView, LaneView
from tui.ui.widgets import numbers
from tui.ui.widgets.chart import sparkline
from tui.ui.widgets.rows import Row, Span, fit, length

STALE_S = 3.0
FLAT = "flat by design"
SHARED_FROM = 0.05  # of the memory in use; less is the driver's own


class Bars(msgspec.Struct, frozen=True):
    """How sparklines are drawn: when it is, the power at full height, and the characters from low to high."""

    second: int
    power_top: float
    spark: str


def gpu_rows(view: LaneView, width: int, bars: Bars, *, tall: bool, any_flat: bool = False) -> list[Row]:
    """Two rows, or where there is height three; one more where either lane's memory is flat by design.

    One line with the reason where there is no GPU.
    """
    if not view.gpus:
        return [fit([("GPU     ", "muted"), (sanitize(view.gpu_note) or "not read yet", "muted")], width)]
    gpu, name = together(view.gpus), gpu_name(view.gpus)
    if tall:
        return _tall(gpu, view, (width, bars, name), any_flat=any_flat)
    return [_text(gpu, width, name), _pool(view, width) if is_flat(view) else _sparks(gpu, width, bars, view.lane)]


def is_flat(view: LaneView) -> bool:
    """Whether the memory in use cannot tell anything of the load."""
    return bool(view.gpus) and view.server.kv_preallocated


def gpu_name(gpus: Sequence[GpuView]) -> str:
    """`GPU0`, or `2 GPU` where the lane has several."""
    return f"GPU{gpus[0].index}" if len(gpus) == 1 else f"{len(gpus)} GPU"


def together(gpus: Sequence[GpuView]) -> GpuView:
    """Several GPUs of a lane as one: memory and power added, utilisation the mean; None where one has none."""
    if len(gpus) == 1:
        return gpus[0]
    return replace(
        gpus[0],
        memory_used_bytes=_sum([gpu.memory_used_bytes for gpu in gpus]),
        memory_total_bytes=_sum([gpu.memory_total_bytes for gpu in gpus]),
        memory_engine_bytes=_sum([gpu.memory_engine_bytes for gpu in gpus]),
        temperature_c=_highest([gpu.temperature_c for gpu in gpus]),
        power_w=_sum([gpu.power_w for gpu in gpus]),
        utilization_pct=_mean([gpu.utilization_pct for gpu in gpus]),
        memory_curve=_each(_sum, [gpu.memory_curve for gpu in gpus]),
        power_curve=_each(_sum, [gpu.power_curve for gpu in gpus]),
        utilization_curve=_each(_mean, [gpu.utilization_curve for gpu in gpus]),
        age_s=max(gpu.age_s for gpu in gpus),
    )


def _sum(values: Sequence[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return sum(told) if len(told) == len(values) else None


def _highest(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _mean(values: Sequence[float | None]) -> float | None:
    total = _sum(values)
    return None if total is None else total / len(values)


def _each(
    combined: Callable[[Sequence[float | None]], float | None], curves: Sequence[Sequence[float | None]]
) -> list[float | None]:
    """Second by second."""
    return [combined(values) for values in zip(*curves, strict=False)]


def power_top_of(views: list[LaneView]) -> float:
    """A top for the power of all lanes: the next step of 100 W."""
    curves = [together(view.gpus).power_curve for view in views if view.gpus]
    highest = max((value for curve in curves for value in curve if value is not None), default=0.0)
    return max(100.0, -(-highest // 100) * 100)


def _memory(gpu: GpuView) -> str:
    """`61.2/79.6 GiB`, or `47.6+47.7/139.8 GiB` where the engine's own part is known and others use the GPU too."""
    used, own = gpu.memory_used_bytes, gpu.memory_engine_bytes
    total = f"/{numbers.gib(gpu.memory_total_bytes)}" if gpu.memory_total_bytes is not None else ""
    if used is None or own is None or used - own < SHARED_FROM * used:
        return f"{numbers.gib(used)}{total} GiB"
    return f"{numbers.gib(own)}+{numbers.gib(used - own)}{total} GiB"


def _watts(gpu: GpuView) -> str:
    return f"{numbers.whole(gpu.power_w)} W"


def _heat(gpu: GpuView) -> str:
    return "" if gpu.temperature_c is None else f" {gpu.temperature_c:.0f} °C"


def _util(gpu: GpuView) -> str:
    return f"{numbers.whole(gpu.utilization_pct)} %"


def _memory_top(gpu: GpuView) -> float:
    return gpu.memory_total_bytes or max((v for v in gpu.memory_curve if v is not None), default=0.0) * 1.25


def _age(gpu: GpuView) -> str:
    return f" {gpu.age_s:.0f} s old" if gpu.age_s > STALE_S else ""


def _ink(gpu: GpuView) -> str:
    return "muted" if gpu.age_s > STALE_S else ""


def _text(gpu: GpuView, width: int, name: str) -> Row:
    figures = f" {_util(gpu):>5} {_watts(gpu):>6}"
    return fit([(f"{name} ", "muted"), (_memory(gpu), _ink(gpu)), (figures, _ink(gpu)), (_age(gpu), "muted")], width)


def _pool(view: LaneView, width: int) -> Row:
    """The most words that fit: what fills the memory, and that the load does not."""
    told, rounded = _filling(view), _filling(view, whole=True).replace("KV pool", "KV")
    wanted = (f"{FLAT}: {told}", f"{FLAT}: {rounded}", f"flat: {told}")
    return fit([(next((text for text in wanted if len(text) <= width), wanted[-1]), "muted")], width)


def _filling(view: LaneView, *, whole: bool = False) -> str:
    """`weights 15.0 + KV pool 41.2 GiB`, on all of the lane's GPUs, as far as it is known."""

    def gib(each: float) -> str:
        return numbers.whole(each * len(view.gpus) / 2**30) if whole else numbers.gib(each * len(view.gpus))

    server = view.server
    parts = [] if server.weights_bytes is None else [f"weights {gib(server.weights_bytes)}"]
    if server.kv_pool_bytes is not None:
        return " + ".join([*parts, f"KV pool {gib(server.kv_pool_bytes)} GiB"])
    if server.kv_pool_tokens is not None:
        parts.append(f"KV pool {numbers.short(server.kv_pool_tokens)} tokens")
    return " GiB + ".join(parts) or "KV pool preallocated"


def _sparks(gpu: GpuView, width: int, bars: Bars, lane: Lane) -> Row:
    cells = (width - 13) // 3
    spans: list[Span] = []
    for name, curve, top in (
        ("mem ", gpu.memory_curve, _memory_top(gpu)),
        (" util ", gpu.utilization_curve, 100.0),
        (" W ", gpu.power_curve, bars.power_top),
    ):
        spans += [(name, "muted"), (sparkline(curve, bars.second, cells, top, bars.spark), lane)]
    return fit(spans, width)


def _tall(gpu: GpuView, view: LaneView, drawing: tuple[int, Bars, str], *, any_flat: bool) -> list[Row]:
    width, bars, name = drawing
    flat = is_flat(view)
    lines = (
        (name, "memory", _memory(gpu), gpu.memory_curve, _memory_top(gpu)),
        ("", "util", _util(gpu), gpu.utilization_curve, 100.0),
        ("", "power", _watts(gpu) + _heat(gpu), gpu.power_curve, bars.power_top),
    )
    value_cells = max(13, *(len(value) for _, _, value, _, _ in lines))
    rows: list[Row] = []
    for label, figure, value, curve, top in lines:
        age = _age(gpu) if label else ""
        spans: list[Span] = [
            (f"{label:<6}{figure:<7}", "muted"),
            (f"{value:>{value_cells}}", _ink(gpu)),
            (f"{age}  ", "muted"),
        ]
        drawn = sparkline(curve, bars.second, width - length(spans), top, bars.spark)
        rows.append(fit([*spans, (FLAT, "muted") if flat and label else (drawn, view.lane)], width))
    if any_flat:
        rows.insert(1, _pool_row(view, width) if flat else fit((), width))
    return rows


def _pool_row(view: LaneView, width: int) -> Row:
    """`      weights 15.0 + KV pool 41.2 GiB, 38 % in use`."""
    use = "" if view.server.kv_usage is None else f", {numbers.percent(view.server.kv_usage)} in use"
    return fit([(" " * 6, ""), (_filling(view) + use, "muted")], width)
