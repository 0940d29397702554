"""A lane's GPU in one, two or three rows: memory used of total, utilisation, power, and their last two minutes."""

from dataclasses import dataclass

from tui.records.rows import Lane
from tui.records.text import clean
from tui.session.view import GpuView, LaneView
from tui.widgets import numbers
from tui.widgets.rows import Row, Span, fit
from tui.widgets.sparkline import sparkline

STALE_S = 35.0  # a DCGM exporter reads every 30 s by default
LABEL_CELLS = 27


@dataclass(frozen=True, slots=True)
class Bars:
    """How sparklines are drawn: when it is, the power at full height, and the characters from low to high."""

    second: int
    power_top: float
    spark: str


def gpu_rows(view: LaneView, width: int, bars: Bars, *, tall: bool) -> list[Row]:
    """Three rows where there is height, else two; one line with the reason where there is no GPU."""
    if not view.gpus:
        return [fit([("GPU     ", "muted"), (clean(view.gpu_note) or "not read yet", "muted")], width)]
    gpu = view.gpus[0]
    name = f"GPU{gpu.index}" + (f" +{len(view.gpus) - 1}" if len(view.gpus) > 1 else "")
    if tall:
        return _tall(gpu, width, bars, (name, view.lane))
    return [_text(gpu, width, name), _sparks(gpu, width, bars, view.lane)]


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


def _text(gpu: GpuView, width: int, name: str) -> Row:
    figures = f" {_util(gpu):>5} {_watts(gpu):>6}"
    return fit([(f"{name} ", "muted"), (_memory(gpu), ""), (figures, ""), *_age(gpu)], width)


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


def _tall(gpu: GpuView, width: int, bars: Bars, name_and_lane: tuple[str, Lane]) -> list[Row]:
    name, lane = name_and_lane
    lines = (
        (name, "memory", _memory(gpu), gpu.memory_curve, _memory_top(gpu)),
        ("", "util", _util(gpu), gpu.utilization_curve, 100.0),
        ("", "power", _watts(gpu), gpu.power_curve, bars.power_top),
    )
    rows: list[Row] = []
    for label, figure, value, curve, top in lines:
        drawn = sparkline(curve, bars.second, width - LABEL_CELLS, top, bars.spark)
        spans: list[Span] = [(f"{label:<5}{figure:<7}", "muted"), (f"{value:>13}  ", "")]
        rows.append(fit([*spans, *(_age(gpu) if label else ()), (drawn, lane)], width))
    return rows
