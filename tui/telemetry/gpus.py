"""A lane's GPUs, read once a second: through NVML on this host, or of any host through a DCGM exporter.

Both come under the same names and units.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from tui.model import gauges
from tui.model.profile import LaneProfile
from tui.model.rows import GaugeRow, Lane
from tui.model.text import sanitize
from tui.net.http import base_url, request_headers
from tui.net.page import PageReader
from tui.net.prometheus import parse
from tui.telemetry.gpu_command import CommandReader
from tui.telemetry.nvml import THROTTLE_REASONS, Nvml
from tui.telemetry.processes import is_this_host, serving_pids
from tui.telemetry.server import (
    PAGE_TIMEOUT_S,
    PERIOD_S,
    Emit,
    Fault,
    OpenPage,
    ReadingError,
    ReadPage,
    call_in_thread,
    poll,
    reading,
)

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
        open_page: OpenPage = PageReader,
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
        self._timeout_s, self._open_page = timeout_s, open_page
        self.note = ""

    async def names(self) -> dict[int, str]:
        """The GPUs' names by index. Raises ReadingError."""
        with self._reading() as read:
            names, _ = await self._get(read, gpu_names)
        return self._mine(names)

    async def run(self, emit: Emit, fault: Fault, period_s: float = PERIOD_S) -> None:
        """Emit readings until cancelled."""
        with self._reading() as read:
            await poll(lambda: self._read_and_note(read, fault), emit, fault, period_s)

    async def _read_and_note(self, read: ReadPage, fault: Fault) -> list[GaugeRow]:
        before = self.note
        rows = await self._read(read)
        if self.note and self.note != before:
            fault(self.note)
        return rows

    def _reading(self) -> AbstractContextManager[ReadPage]:
        return reading(self._url, self._headers, timeout_s=self._timeout_s, open_page=self._open_page)

    async def _read(self, read: ReadPage) -> list[GaugeRow]:
        exposed, t_ns = await self._get(read, gauges_from)
        if not exposed:
            raise ReadingError(f"{self._url} is not a DCGM exporter: it has no DCGM_FI_DEV metric")
        by_gpu = self._mine(exposed)
        if not by_gpu:
            raise ReadingError(f"{self._url} has GPUs {', '.join(map(str, exposed))}, none of those named in gpus")
        missing = sorted(self._gpus - by_gpu.keys())
        self.note = f"{self._url} has no GPU {', '.join(map(str, missing))}" if missing else ""
        energy = {i: values[gauges.GPU_ENERGY] for i, values in by_gpu.items() if gauges.GPU_ENERGY in values}
        if any(energy.values()) and energy == self._energy:  # all 0: it does not measure any
            return []
        self._energy = energy
        return [
            GaugeRow(self._lane, f"gpu{index}", name, t_ns, value)
            for index, values in by_gpu.items()
            for name, value in values.items()
        ]

    async def _get(self, read: ReadPage, take: Callable[[bytes], dict[int, T]]) -> tuple[dict[int, T], int]:
        """What `take` takes from the page, and when the page was there."""
        page = await read()
        t_ns = time.monotonic_ns()
        try:
            return take(page), t_ns
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


REFRESH_S = 10.0  # how often the server's processes are looked up again
NVML_TIMEOUT_S = 5.0  # the first opening wakes every GPU of the host when persistence mode is off
_HANGS = "the NVIDIA driver does not answer"
_NOT_VISIBLE = "is not visible from here (another user, or a container)"


class GpuReader(Protocol):
    """Reads one lane's GPUs."""

    note: str  # what is unavailable although the GPUs can be read

    async def names(self) -> dict[int, str]:
        """The GPUs' names by index. Raises ReadingError."""
        ...

    async def run(self, emit: Emit, fault: Fault, period_s: float = PERIOD_S) -> None:
        """Emit readings until cancelled, or until there will never be anything to read."""
        ...


def gpu_reader(lane: Lane, *, url: str, server: LaneProfile) -> GpuReader:
    """The reader for the server at `url`: of its DCGM exporter or the command when one is named, else of NVML here.

    `gpus` are indices as NVML or the exporter counts. Empty: those that the server's processes use, or all that the
    exporter has.
    """
    if server.dcgm:
        return DcgmReader(lane, server.dcgm, server.gpus)
    if server.gpu_command:
        return CommandReader(lane, server.gpu_command, server.gpus)
    return NvmlReader(lane, url, server.gpus)


class NvmlReader:
    """GPUs of this host, where the server must run too. NVML blocks, so it is called in a thread."""

    def __init__(self, lane: Lane, url: str, gpus: Sequence[int], *, timeout_s: float = NVML_TIMEOUT_S) -> None:
        parts = urlsplit(base_url(url))
        self._host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self._gpus = LocalGpus(lane, port, gpus)
        self._timeout_s = timeout_s
        self._busy = threading.Lock()
        self.note = ""

    async def names(self) -> dict[int, str]:
        """See `GpuReader`."""
        if remote := await self._remote():
            raise ReadingError(remote)
        names = await self._call(self._gpus.names)
        self.note = self._gpus.note
        return names

    async def run(self, emit: Emit, fault: Fault, period_s: float = PERIOD_S) -> None:
        """See `GpuReader`."""
        if remote := await self._remote():
            fault(remote)
            return
        try:
            await poll(lambda: self._read(fault), emit, fault, period_s)
        finally:
            if self._busy.acquire(blocking=False):
                self._gpus.close()

    async def _remote(self) -> str:
        """Why this host's GPUs are not the server's; empty when they are."""
        try:
            is_here = await call_in_thread(lambda: is_this_host(self._host), self._timeout_s)
        except TimeoutError:
            is_here = False
        host = sanitize(self._host, 60)
        if is_here:
            return ""
        lines = f'gpu_command = "ssh {host} nvidia-smi" or dcgm = "http://{host}:9400/metrics"'
        return f"the server runs on {host}, not here: add {lines} to the lane"

    async def _read(self, fault: Fault) -> list[GaugeRow]:
        if self._busy.locked():
            raise ReadingError(_HANGS)
        rows = await self._call(self._gpus.read)
        if self.note != self._gpus.note:
            self.note = self._gpus.note
            if self.note:
                fault(self.note)
        return rows

    async def _call(self, work: Callable[[], T]) -> T:
        def locked() -> T:
            with self._busy:
                return work()

        try:
            return await call_in_thread(locked, self._timeout_s)
        except TimeoutError as error:
            raise ReadingError(_HANGS) from error


class LocalGpus:
    """The GPUs of this host that serve a port, through the processes behind it. Every method blocks."""

    def __init__(
        self,
        lane: Lane,
        port: int,
        gpus: Sequence[int],
        *,
        find_pids: Callable[[int, frozenset[int]], frozenset[int]] = serving_pids,
    ) -> None:
        self._lane: Lane = lane
        self._port = port
        self._named = tuple(gpus)
        self._find_pids = find_pids
        self._nvml: Nvml | None = None
        self._pids: frozenset[int] = frozenset()
        self._indices: tuple[int, ...] = ()
        self._refresh_at_s = 0.0
        self._hidden = ""  # why no memory can be attributed
        self.note = ""  # see `GpuReader`

    def read(self) -> list[GaugeRow]:
        """All readings of the lane's GPUs now. Raises ReadingError."""
        nvml = self._open()
        rows: list[GaugeRow] = []
        for index, values in self._each(lambda index: nvml.read(index, self._pids)).items():
            t_ns = time.monotonic_ns()
            rows += [GaugeRow(self._lane, f"gpu{index}", name, t_ns, value) for name, value in values.items()]
        return rows

    def names(self) -> dict[int, str]:
        """The GPUs' names by index. Raises ReadingError."""
        nvml = self._open()
        return self._each(nvml.name)

    def _each(self, read: Callable[[int], T]) -> dict[int, T]:
        """Of each GPU that can be read; `note` names the others. ReadingError where none can."""
        known, lost = _of_each(self._indices, read)
        if lost and not known:
            raise lost[0]
        self.note = "; ".join([*map(str, lost), *([self._hidden] if self._hidden else [])])
        return known

    def close(self) -> None:
        if self._nvml is not None:
            self._nvml.close()

    def _open(self) -> Nvml:
        """An open NVML, with the lane's GPUs known."""
        nvml = self._nvml = self._nvml or Nvml()
        refresh = time.monotonic() >= self._refresh_at_s
        if refresh:
            self._refresh_at_s = time.monotonic() + REFRESH_S
            self._pids = self._find_pids(self._port, self._pids)
            self._indices = self._named or self._used(nvml)
        if not self._indices:
            raise ReadingError(
                f"it is unclear which of this host's {nvml.count} GPUs are used: the server on port {self._port} "
                f"{'runs nothing on them' if self._pids else _NOT_VISIBLE}; name them with gpus = [...]"
            )
        outside = [i for i in self._indices if not 0 <= i < nvml.count]
        if len(outside) == len(self._indices):
            raise ReadingError(f"there is no GPU {outside[0]} here: this host has {nvml.count}, counted from 0")
        if refresh:
            self._hidden = self._memory_note(nvml)
        return nvml

    def _used(self, nvml: Nvml) -> tuple[int, ...]:
        """GPUs on which the server's processes run; the only GPU if there is just one."""
        return (0,) if nvml.count == 1 else tuple(i for i in range(nvml.count) if self._runs_on(nvml, i))

    def _runs_on(self, nvml: Nvml, index: int) -> bool:
        try:
            return bool(self._pids & nvml.processes(index).keys())
        except ReadingError:
            return False  # a GPU that is lost or hidden takes no other along

    def _memory_note(self, nvml: Nvml) -> str:
        """Why no memory can be attributed to the engine; empty when it can."""
        by_gpu, _ = _of_each(self._indices, nvml.processes)
        sizes = [processes[pid] for processes in by_gpu.values() for pid in self._pids & processes.keys()]
        where = f"GPU {', '.join(map(str, self._indices))}"
        if not sizes:
            why = "runs nothing there" if self._pids else _NOT_VISIBLE
            return f"memory on {where} cannot be attributed: the server on port {self._port} {why}"
        if all(size is None for size in sizes):
            return f"NVML does not report memory by process on {where}"
        return ""


def _of_each(indices: Sequence[int], read: Callable[[int], T]) -> tuple[dict[int, T], list[ReadingError]]:
    """What can be read, by GPU, and why the rest cannot: a GPU that is lost takes no other along."""
    known: dict[int, T] = {}
    lost = []
    for index in indices:
        try:
            known[index] = read(index)
        except ReadingError as error:
            lost.append(error)
    return known, lost
