"""A lane's GPU in one, two or three rows: memory used of total, utilisation, power, each with its last two minutes."""

from tui.records.text import clean
from tui.session.view import GpuView, LaneView
from tui.widgets import numbers
from tui.widgets.rows import Row, Span, fit
from tui.widgets.sparkline import sparkline

STALE_S = 35.0  # a DCGM exporter reads every 30 s by default
LABEL_CELLS = 26


def gpu_rows(view: LaneView, second: int, width: int, *, power_top: float, spark: str, tall: bool) -> list[Row]:
    """Three rows where there is height, else two; one line with the reason where there is no GPU."""
    if not view.gpus:
        return [fit([("GPU     ", "muted"), (clean(view.gpu_note) or "not read yet", "muted")], width)]
    gpu = view.gpus[0]
    more = f" +{len(view.gpus) - 1}" if len(view.gpus) > 1 else ""
    if tall:
        return _tall(view, gpu, second, width, power_top, spark, more)
    return [_text(gpu, width, more), _sparks(view, gpu, second, width, power_top, spark)]


def power_top_of(views: list[LaneView]) -> float:
    """A top for the power of all lanes: the next step of 100 W."""
    highest = max((v for view in views for gpu in view.gpus for v in gpu.power_curve if v is not None), default=0.0)
    return max(100.0, -(-highest // 100) * 100)


def _memory(gpu: GpuView) -> str:
    total = f"/{numbers.gib(gpu.memory_total_bytes)}" if gpu.memory_total_bytes is not None else ""
    return f"{numbers.gib(gpu.memory_used_bytes)}{total} GiB"


def _watts(gpu: GpuView) -> str:
    return f"{numbers.whole(gpu.power_w)} W"


def _util(gpu: GpuView) -> str:
    return f"{numbers.whole(gpu.utilization_pct)} %"


def _memory_top(gpu: GpuView) -> float:
    return gpu.memory_total_bytes or max((v for v in gpu.memory_curve if v is not None), default=0.0) * 1.25


def _age(gpu: GpuView) -> list[Span]:
    return [(f" {gpu.age_s:.0f} s old", "warn")] if gpu.age_s > STALE_S else []


def _text(gpu: GpuView, width: int, more: str) -> Row:
    spans: list[Span] = [
        (f"GPU{gpu.index}{more} ", "muted"), (_memory(gpu), ""), (f" {_util(gpu):>5} {_watts(gpu):>6}", ""), *_age(gpu),
    ]  # fmt: skip
    return fit(spans, width)


def _sparks(view: LaneView, gpu: GpuView, second: int, width: int, power_top: float, spark: str) -> Row:
    cells = (width - 13) // 3
    spans: list[Span] = []
    for name, curve, top in (
        ("mem ", gpu.memory_curve, _memory_top(gpu)),
        (" util ", gpu.utilization_curve, 100.0),
        (" W ", gpu.power_curve, power_top),
    ):
        spans += [(name, "muted"), (sparkline(curve, second, cells, top, spark), view.lane)]
    return fit(spans, width)


def _tall(
    view: LaneView, gpu: GpuView, second: int, width: int, power_top: float, spark: str, more: str
) -> list[Row]:
    lines = (
        (f"GPU{gpu.index}{more}", "memory", _memory(gpu), gpu.memory_curve, _memory_top(gpu)),
        ("", "util", _util(gpu), gpu.utilization_curve, 100.0),
        ("", "power", _watts(gpu), gpu.power_curve, power_top),
    )
    rows: list[Row] = []
    for name, label, value, curve, top in lines:
        bars = sparkline(curve, second, width - LABEL_CELLS - 2, top, spark)
        spans: list[Span] = [(f"{name:<5}{label:<7}", "muted"), (f"{value:>14}  ", ""), (bars, view.lane)]
        rows.append(fit([*spans[:2], *_age(gpu)] if _age(gpu) and not name else spans, width))
    return rows
