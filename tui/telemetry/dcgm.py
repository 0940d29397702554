"""GPUs of any host through a DCGM exporter, under the same names and units as NVML's."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from tui.model import gauges
from tui.model.rows import GaugeRow, Lane
from tui.model.text import sanitize
from tui.net.http import client, request_headers
from tui.net.prometheus import parse
from tui.telemetry.nvml import THROTTLE_REASONS
from tui.telemetry.polling import PERIOD_S, Emit, Fault, ReadingError, poll
from tui.telemetry.server import PAGE_TIMEOUT_S, get_page

if TYPE_CHECKING:
    import httpx

MAX_GPUS = 64  # of one host; the largest have 16
_BLANK = 2.0**47  # from here on DCGM writes what it could not read (`DCGM_FP64_BLANK`, `DCGM_INT64_BLANK`)
_INDEX = re.compile(r"[0-9]{1,4}")  # `isdigit` takes more characters than `int` does
_MIB = float(1 << 20)
_USED, _FREE, _RESERVED = "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_FB_RESERVED"
_UTILIZATION, _ACTIVE = "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
_POWER, _ENERGY = "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
_TEMPERATURE, _CLOCK = "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_SM_CLOCK"
_REASONS, _REASONS_OLD = "DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS"
_METRICS = (
    _USED, _FREE, _RESERVED, _UTILIZATION, _ACTIVE, _POWER, _ENERGY, _TEMPERATURE, _CLOCK, _REASONS, _REASONS_OLD,
)  # fmt: skip
# A MIG instance has its own memory; the power, clock and temperature that it reports are those of the whole GPU.
_SUMMED = frozenset({_USED, _FREE, _RESERVED})

T = TypeVar("T")


class DcgmReader:
    """Reads a lane's GPUs from one exporter.

    An exporter collects every 30 s unless configured otherwise, and exposes no time of its own. As long as its energy
    counters stay the same it has not collected, and nothing is passed on: the age of the last reading stays true.
    """

    def __init__(
        self,
        lane: Lane,
        dcgm_url: str,
        gpus: Sequence[int],
        *,
        timeout_s: float = PAGE_TIMEOUT_S,
        transport: Any = None,
    ) -> None:
        url = dcgm_url if "://" in dcgm_url else f"http://{dcgm_url}"
        scheme, _, rest = url.partition("://")
        place, _, path = rest.partition("/")
        host = place.rpartition("@")[2]  # the URL is shown and recorded, its password is not
        self._headers = request_headers(url, "", {})
        self._url = f"{scheme}://{host}/{path if path.strip('/') else 'metrics'}"
        self._lane: Lane = lane
        self._gpus = frozenset(gpus)
        self._energy: dict[int, float] = {}
        self._timeout_s, self._transport = timeout_s, transport
        self.note = ""

    async def names(self) -> dict[int, str]:
        """The GPUs' names by index. Raises ReadingError."""
        async with client(self._headers, transport=self._transport) as http:
            names, _ = await self._get(http, gpu_names)
        return self._mine(names)

    async def run(self, emit: Emit, fault: Fault, period_s: float = PERIOD_S) -> None:
        """Emit readings until cancelled."""
        async with client(self._headers, transport=self._transport) as http:
            await poll(lambda: self._read(http), emit, fault, period_s)

    async def _read(self, http: httpx.AsyncClient) -> list[GaugeRow]:
        exposed, t_ns = await self._get(http, gauges_from)
        if not exposed:
            raise ReadingError(f"{self._url} is not a DCGM exporter: it has no DCGM_FI_DEV metric")
        by_gpu = self._mine(exposed)
        if not by_gpu:
            raise ReadingError(f"{self._url} has GPUs {', '.join(map(str, exposed))}, none of those named in gpus")
        energy = {i: values[gauges.GPU_ENERGY] for i, values in by_gpu.items() if gauges.GPU_ENERGY in values}
        if any(energy.values()) and energy == self._energy:  # all 0: it does not measure any
            return []
        self._energy = energy
        return [
            GaugeRow(self._lane, f"gpu{index}", name, t_ns, value)
            for index, values in by_gpu.items()
            for name, value in values.items()
        ]

    async def _get(self, http: httpx.AsyncClient, read: Callable[[bytes], dict[int, T]]) -> tuple[dict[int, T], int]:
        """What `read` takes from the page, and when the page was there."""
        page = await get_page(http, self._url, self._timeout_s)
        t_ns = time.monotonic_ns()
        try:
            return read(page), t_ns
        except ValueError as error:
            raise ReadingError(f"{self._url} cannot be read: {error}") from error

    def _mine(self, by_gpu: dict[int, T]) -> dict[int, T]:
        return {index: each for index, each in by_gpu.items() if not self._gpus or index in self._gpus}


def gauges_from(page: bytes) -> dict[int, dict[str, float]]:
    """The gauges of each GPU, by the exporter's index. ValueError when the page is malformed."""
    raw: dict[int, dict[str, float]] = {}
    for name, samples in parse(page, _METRICS).items():
        for labels, value in samples:
            if _INDEX.fullmatch(labels.get("gpu", "")) and math.isfinite(value) and value < _BLANK:
                gpu = raw.setdefault(int(labels["gpu"]), {})
                gpu[name] = value + (gpu.get(name, 0.0) if name in _SUMMED else 0.0)
    if len(raw) > MAX_GPUS:
        raise ValueError(f"it has {len(raw):,} GPUs")
    return {index: _gauges(raw[index]) for index in sorted(raw)}


def gpu_names(page: bytes) -> dict[int, str]:
    """The names of the exporter's GPUs by index. ValueError when the page is malformed."""
    by_metric = parse(page, _METRICS)
    return {
        int(labels["gpu"]): sanitize(labels.get("modelName", "GPU"), 60)
        for samples in by_metric.values()
        for labels, _ in samples
        if _INDEX.fullmatch(labels.get("gpu", ""))
    }


def _gauges(raw: Mapping[str, float]) -> dict[str, float]:
    reasons = raw.get(_REASONS, raw.get(_REASONS_OLD))
    active = raw.get(_ACTIVE)
    # A MIG instance has no utilisation of its own; use the share of time in which its engine was active.
    utilization = raw.get(_UTILIZATION, None if active is None else active * 100)
    used, free = raw.get(_USED), raw.get(_FREE)
    total = None if used is None or free is None else used + free + raw.get(_RESERVED, 0.0)
    values = {
        gauges.GPU_MEMORY_USED: None if used is None else used * _MIB,
        gauges.GPU_MEMORY_TOTAL: None if total is None else total * _MIB,
        gauges.GPU_UTILIZATION: utilization,
        gauges.GPU_POWER: raw.get(_POWER),
        gauges.GPU_ENERGY: raw[_ENERGY] / 1e3 if _ENERGY in raw else None,
        gauges.GPU_TEMPERATURE: raw.get(_TEMPERATURE),
        gauges.GPU_SM_CLOCK: raw.get(_CLOCK),
        gauges.GPU_THROTTLED: None if reasons is None else float(bool(int(reasons) & THROTTLE_REASONS)),
    }
    return {name: value for name, value in values.items() if value is not None}
