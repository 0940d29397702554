"""A lane's GPUs, read once a second: through NVML on this host, through a DCGM exporter elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from tui.model.rows import GaugeRow, Lane
from tui.model.text import sanitize
from tui.net.http import base_url
from tui.telemetry.dcgm import DcgmReader
from tui.telemetry.nvml import Nvml
from tui.telemetry.polling import PERIOD_S, Emit, Fault, ReadingError, call_in_thread, poll
from tui.telemetry.processes import is_this_host, serving_pids

REFRESH_S = 10.0  # how often the server's processes are looked up again
NVML_TIMEOUT_S = 5.0  # the first opening wakes every GPU of the host when persistence mode is off
T = TypeVar("T")
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


def gpu_reader(lane: Lane, *, url: str, dcgm_url: str = "", gpus: Sequence[int] = ()) -> GpuReader:
    """The reader for the server at `url`: of its DCGM exporter when one is named, else of NVML here.

    `gpus` are indices as NVML or the exporter counts. Empty: those that the server's processes use, or all that the
    exporter has.
    """
    return DcgmReader(lane, dcgm_url, gpus) if dcgm_url else NvmlReader(lane, url, gpus)


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
        return (
            "" if is_here else f"the server runs on {host}, not here: give the URL of a DCGM exporter there as dcgm"
        )

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
        self.note = ""  # see `GpuReader`

    def read(self) -> list[GaugeRow]:
        """All readings of the lane's GPUs now. Raises ReadingError."""
        nvml = self._open()
        rows: list[GaugeRow] = []
        for index in self._indices:
            t_ns = time.monotonic_ns()
            values = nvml.read(index, self._pids)
            rows += [GaugeRow(self._lane, f"gpu{index}", name, t_ns, value) for name, value in values.items()]
        return rows

    def names(self) -> dict[int, str]:
        """The GPUs' names by index. Raises ReadingError."""
        nvml = self._open()
        return {index: nvml.name(index) for index in self._indices}

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
        if outside := [i for i in self._indices if not 0 <= i < nvml.count]:
            raise ReadingError(f"there is no GPU {outside[0]} here: this host has {nvml.count}, counted from 0")
        if refresh:
            self.note = self._memory_note(nvml)
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
        by_gpu = [nvml.processes(i) for i in self._indices]
        sizes = [processes[pid] for processes in by_gpu for pid in self._pids & processes.keys()]
        where = f"GPU {', '.join(map(str, self._indices))}"
        if not sizes:
            why = "runs nothing there" if self._pids else _NOT_VISIBLE
            return f"memory on {where} cannot be attributed: the server on port {self._port} {why}"
        if all(size is None for size in sizes):
            return f"NVML does not report memory by process on {where}"
        return ""
