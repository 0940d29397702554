"""GPUs of any host through a DCGM exporter, under the same names and units as NVML gives."""

import math
import re
import time
from collections.abc import Mapping, Sequence

from tui.model import gauges
from tui.model.rows import GaugeRow, Lane
from tui.model.text import sanitize
from tui.net.prometheus import parse
from tui.telemetry.nvml import THROTTLE_REASONS
from tui.telemetry.polling import ReadingError
from tui.telemetry.server import Page

MAX_GPUS = 64  # of one host; the largest have 16
_INDEX = re.compile(r"[0-9]{1,4}")  # `isdigit` takes more signs than `int` does
_MIB = float(1 << 20)
_USED, _FREE, _RESERVED = "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_FB_RESERVED"
_UTILIZATION, _ACTIVE = "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
_POWER, _ENERGY = "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
_TEMPERATURE, _CLOCK = "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_SM_CLOCK"
_REASONS, _REASONS_OLD = "DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS"
_WANTED = (
    _USED, _FREE, _RESERVED, _UTILIZATION, _ACTIVE, _POWER, _ENERGY, _TEMPERATURE, _CLOCK, _REASONS, _REASONS_OLD,
)  # fmt: skip
# Of memory a MIG instance has its own share; power, clock and temperature it reports are the whole GPU's.
_SUMMED = frozenset({_USED, _FREE, _RESERVED})


class DcgmGpus:
    """Reads a lane's GPUs from one exporter.

    An exporter collects every 30 s unless told otherwise and exposes no time of its own. While its energy counters
    stand still it has not collected, and nothing is passed on: the age of the last reading stays true.
    """

    def __init__(self, lane: Lane, gpus: Sequence[int]) -> None:
        self._lane: Lane = lane
        self._gpus = frozenset(gpus)
        self._energy: dict[int, float] = {}

    async def read(self, page: Page) -> list[GaugeRow]:
        """Every figure of the lane's GPUs, empty when nothing is new. ReadingError when there is none."""
        body = await page.get()
        t_ns = time.monotonic_ns()
        try:
            found = gauges_from(body)
        except ValueError as error:
            raise ReadingError(f"{page.url} cannot be read: {error}") from error
        if not found:
            raise ReadingError(f"{page.url} is not a DCGM exporter: it shows no DCGM_FI_DEV metric")
        mine = {index: values for index, values in found.items() if not self._gpus or index in self._gpus}
        if not mine:
            raise ReadingError(f"{page.url} knows GPUs {', '.join(map(str, found))}, none of those named in gpus")
        energy = {i: values[gauges.GPU_ENERGY] for i, values in mine.items() if gauges.GPU_ENERGY in values}
        if energy and energy == self._energy:
            return []
        self._energy = energy
        return [
            GaugeRow(self._lane, f"gpu{index}", name, t_ns, value)
            for index, values in mine.items()
            for name, value in values.items()
        ]


def gauges_from(page: bytes) -> dict[int, dict[str, float]]:
    """The gauges of each GPU, by its index as the exporter counts. ValueError when the page is malformed."""
    raw: dict[int, dict[str, float]] = {}
    for name, samples in parse(page, _WANTED).items():
        for labels, value in samples:
            if _INDEX.fullmatch(labels.get("gpu", "")) and math.isfinite(value):
                of_gpu = raw.setdefault(int(labels["gpu"]), {})
                of_gpu[name] = value + (of_gpu.get(name, 0.0) if name in _SUMMED else 0.0)
    if len(raw) > MAX_GPUS:
        raise ValueError(f"it shows {len(raw):,} GPUs")
    return {index: _gauges(raw[index]) for index in sorted(raw)}


def gpu_names(page: bytes) -> dict[int, str]:
    """The names of the exporter's GPUs by index. ValueError when the page is malformed."""
    samples = parse(page, (_USED, _POWER, _TEMPERATURE))
    labels = [
        labels for of_metric in samples.values() for labels, _ in of_metric if _INDEX.fullmatch(labels.get("gpu", ""))
    ]
    return {int(each["gpu"]): sanitize(each.get("modelName", "GPU"), 60) for each in labels}


def _gauges(raw: Mapping[str, float]) -> dict[str, float]:
    reasons = raw.get(_REASONS, raw.get(_REASONS_OLD))
    active = raw.get(_ACTIVE)
    # A MIG instance has no utilisation of its own; the share of time its engine was active stands in.
    utilization = raw.get(_UTILIZATION, None if active is None else active * 100)
    memory = {
        gauges.GPU_MEMORY_USED: raw[_USED] * _MIB,
        gauges.GPU_MEMORY_TOTAL: (raw[_USED] + raw[_FREE] + raw.get(_RESERVED, 0.0)) * _MIB,
    } if _USED in raw and _FREE in raw else {}  # fmt: skip
    others = {
        gauges.GPU_UTILIZATION: utilization,
        gauges.GPU_POWER: raw.get(_POWER),
        gauges.GPU_ENERGY: raw[_ENERGY] / 1e3 if _ENERGY in raw else None,
        gauges.GPU_TEMPERATURE: raw.get(_TEMPERATURE),
        gauges.GPU_SM_CLOCK: raw.get(_CLOCK),
        gauges.GPU_THROTTLED: None if reasons is None else float(bool(int(reasons) & THROTTLE_REASONS)),
    }
    return memory | {name: value for name, value in others.items() if value is not None}
