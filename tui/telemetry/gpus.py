"""A lane's GPUs, from wherever they can be read: NVML on this host, a DCGM exporter elsewhere.

The GPUs of this host that one lane's server uses, found through the processes that serve its port.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from tui.model.rows import GaugeRow, Lane
from tui.model.text import sanitize
from tui.net.http import base_url, request_headers
from tui.telemetry.dcgm import DcgmGpus, gpu_names
from tui.telemetry.nvml import Nvml
from tui.telemetry.polling import Emit, Fault, ReadingError, call_in_thread, poll
from tui.telemetry.processes import is_this_host, serving_pids
from tui.telemetry.server import Page

REFRESH_S = 10.0


class LocalGpus:
    """Reads a lane's GPUs. Every method blocks: use it in a thread."""

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
        self._look_at = 0.0
        self.note = ""  # what cannot be told of GPUs that are read otherwise

    def read(self) -> list[GaugeRow]:
        """Every figure of the lane's GPUs now. ReadingError with one line when there is none to read."""
        nvml = self._look()
        states = [nvml.read(index, self._pids) for index in self._indices]
        return [
            GaugeRow(self._lane, f"gpu{state.index}", name, state.t_ns, value)
            for state in states
            for name, value in state.values.items()
        ]

    def names(self) -> dict[int, str]:
        """The names of the lane's GPUs by index. ReadingError with one line when there is none."""
        nvml = self._look()
        return {index: nvml.name(index) for index in self._indices}

    def _look(self) -> Nvml:
        """An open NVML, once it is known which GPUs are the lane's."""
        nvml = self._nvml = self._nvml or Nvml()
        fresh = time.monotonic() >= self._look_at
        if fresh:
            self._look_at = time.monotonic() + REFRESH_S
            self._pids = self._find_pids(self._port, self._pids)
            self._indices = self._named or self._used(nvml)
        if not self._indices:
            raise ReadingError(self._puzzle(nvml))
        if outside := [i for i in self._indices if not 0 <= i < nvml.count]:
            raise ReadingError(f"there is no GPU {outside[0]} here: this host has {nvml.count}, counted from 0")
        if fresh:
            self.note = self._hidden(nvml)
        return nvml

    def close(self) -> None:
        """Let go of NVML."""
        if self._nvml is not None:
            self._nvml.close()

    def _used(self, nvml: Nvml) -> tuple[int, ...]:
        """GPUs on which the server's own processes run; the only GPU when there is but one."""
        used = tuple(i for i in range(nvml.count) if self._pids & nvml.processes(i).keys())
        return (0,) if nvml.count == 1 else used

    def _hidden(self, nvml: Nvml) -> str:
        """Why no memory can be called the engine's own, or an empty string."""
        held = [nvml.processes(i) for i in self._indices]
        ours = [of_gpu[pid] for of_gpu in held for pid in self._pids & of_gpu.keys()]
        where = ", ".join(map(str, self._indices))
        if ours:
            return (
                ""
                if any(size is not None for size in ours)
                else f"NVML does not tell memory by process on GPU {where}"
            )
        whose = "runs nothing there" if self._pids else "is not visible from here (another user, or a container)"
        return f"whose memory it is on GPU {where} cannot be told: the server on port {self._port} {whose}"

    def _puzzle(self, nvml: Nvml) -> str:
        why = "runs nothing on them" if self._pids else "is not visible from here (another user, or a container)"
        which = f"which of this host's {nvml.count} GPUs? the server on port {self._port} {why}"
        return f"{which}: name them with gpus = [...]"


PERIOD_S = 1.0
_NVML_TIMEOUT_S = 5.0  # the first opening wakes every GPU of the host when persistence mode is off
_HANGS = "the NVIDIA driver does not answer"


class GpuReader(Protocol):
    """Reads one lane's GPUs each second until cancelled."""

    note: str  # what cannot be told of GPUs that are read otherwise, once they were

    async def names(self) -> dict[int, str]:
        """What the lane's GPUs are called, by index. ReadingError with one line when none can be read."""
        ...

    async def run(self, emit: Emit, fault: Fault) -> None:
        """Emit readings. `fault` is told each new trouble once, and an empty string when it is over."""
        ...


class NvmlReader(GpuReader):
    """GPUs of this host. NVML blocks, so it is called in a thread; the server must run here too."""

    def __init__(self, lane: Lane, url: str, gpus: Sequence[int]) -> None:
        parts = urlsplit(base_url(url))
        self._host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self._gpus = LocalGpus(lane, port, gpus)
        self._busy = threading.Lock()
        self.note = ""

    async def names(self) -> dict[int, str]:
        """As `GpuReader.names`."""
        if away := await self._away():
            raise ReadingError(away)
        try:
            found = await call_in_thread(self._gpus.names, _NVML_TIMEOUT_S)
        except TimeoutError as error:
            raise ReadingError(_HANGS) from error
        self.note = self._gpus.note
        return found

    async def run(self, emit: Emit, fault: Fault) -> None:
        """As `GpuReader.run`. Returns at once, with the reason told, when the server runs on another host."""
        if away := await self._away():
            fault(away)
            return
        try:
            await poll(lambda: self._read(fault), emit, fault, PERIOD_S)
        finally:
            if self._busy.acquire(blocking=False):
                self._gpus.close()

    async def _away(self) -> str:
        """Why this host's GPUs are not the server's, or an empty string."""
        try:
            here = await call_in_thread(lambda: is_this_host(self._host), _NVML_TIMEOUT_S)
        except TimeoutError:
            here = False
        host = sanitize(self._host, 60)
        return "" if here else f"the server runs on {host}, not here: give the URL of a DCGM exporter there as dcgm"

    async def _read(self, fault: Fault) -> list[GaugeRow]:
        if self._busy.locked():
            raise ReadingError(_HANGS)
        try:
            rows = await call_in_thread(self._read_blocking, _NVML_TIMEOUT_S)
        except TimeoutError as error:
            raise ReadingError(_HANGS) from error
        if self.note != self._gpus.note:
            self.note = self._gpus.note
            if self.note:
                fault(self.note)
        return rows

    def _read_blocking(self) -> list[GaugeRow]:
        with self._busy:
            return self._gpus.read()


class DcgmReader(GpuReader):
    """GPUs of any host through its DCGM exporter."""

    def __init__(self, lane: Lane, dcgm_url: str, gpus: Sequence[int], transport: Any = None) -> None:
        url = dcgm_url if "://" in dcgm_url else f"http://{dcgm_url}"
        scheme, _, rest = url.partition("://")
        place, _, path = rest.partition("/")
        host = place.rpartition("@")[2]  # the URL is shown and recorded, its password is not
        self._headers = request_headers(url, "", {})
        self._url = f"{scheme}://{host}/{path if path.strip('/') else 'metrics'}"
        self._named = frozenset(gpus)
        self._gpus = DcgmGpus(lane, gpus)
        self.note = ""
        self._transport = transport

    async def names(self) -> dict[int, str]:
        """As `GpuReader.names`."""
        async with Page(self._url, self._headers, transport=self._transport) as page:
            try:
                found = gpu_names(await page.get())
            except ValueError as error:
                raise ReadingError(f"{page.url} cannot be read: {error}") from error
        return {index: name for index, name in found.items() if not self._named or index in self._named}

    async def run(self, emit: Emit, fault: Fault) -> None:
        """As `GpuReader.run`."""
        async with Page(self._url, self._headers, transport=self._transport) as page:
            await poll(lambda: self._gpus.read(page), emit, fault, PERIOD_S)


def gpu_reader(lane: Lane, *, url: str, dcgm_url: str = "", gpus: Sequence[int] = ()) -> GpuReader:
    """The reader for the server at `url`: its DCGM exporter when one is named, else NVML here.

    `gpus` are indices as NVML or the exporter counts; empty: those that the server's own processes use, and all
    that the exporter knows.
    """
    return DcgmReader(lane, dcgm_url, gpus) if dcgm_url else NvmlReader(lane, url, gpus)
