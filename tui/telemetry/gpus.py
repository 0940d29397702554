"""A lane's GPUs, from wherever they can be read: NVML on this host, a DCGM exporter elsewhere."""

import threading
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from tui.engines.address import base_url, request_headers
from tui.records.rows import GaugeRow, Lane
from tui.records.text import clean
from tui.telemetry.aside import aside
from tui.telemetry.beat import Emit, Fault, ReadingError, beat
from tui.telemetry.dcgm import DcgmGpus, names
from tui.telemetry.local_gpu import LocalGpus
from tui.telemetry.page import Page
from tui.telemetry.processes import is_this_host

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
            found = await aside(self._gpus.names, _NVML_TIMEOUT_S)
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
            await beat(lambda: self._read(fault), emit, fault, PERIOD_S)
        finally:
            if self._busy.acquire(blocking=False):
                self._gpus.close()

    async def _away(self) -> str:
        """Why this host's GPUs are not the server's, or an empty string."""
        try:
            here = await aside(lambda: is_this_host(self._host), _NVML_TIMEOUT_S)
        except TimeoutError:
            here = False
        host = clean(self._host, 60)
        return "" if here else f"the server runs on {host}, not here: give the URL of a DCGM exporter there as dcgm"

    async def _read(self, fault: Fault) -> list[GaugeRow]:
        if self._busy.locked():
            raise ReadingError(_HANGS)
        try:
            rows = await aside(self._read_blocking, _NVML_TIMEOUT_S)
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
                found = names(await page.get())
            except ValueError as error:
                raise ReadingError(f"{page.url} cannot be read: {error}") from error
        return {index: name for index, name in found.items() if not self._named or index in self._named}

    async def run(self, emit: Emit, fault: Fault) -> None:
        """As `GpuReader.run`."""
        async with Page(self._url, self._headers, transport=self._transport) as page:
            await beat(lambda: self._gpus.read(page), emit, fault, PERIOD_S)


def gpu_reader(lane: Lane, *, url: str, dcgm_url: str = "", gpus: Sequence[int] = ()) -> GpuReader:
    """The reader for the server at `url`: its DCGM exporter when one is named, else NVML here.

    `gpus` are indices as NVML or the exporter counts; empty: those that the server's own processes use, and all
    that the exporter knows.
    """
    return DcgmReader(lane, dcgm_url, gpus) if dcgm_url else NvmlReader(lane, url, gpus)
