"""Which GPU reader a lane gets, and that a driver that hangs stalls nothing."""

import asyncio
import threading

import pytest

from tui.model.profile import LaneProfile
from tui.model.rows import GaugeRow
from tui.telemetry.gpus import DcgmReader, LocalGpus, NvmlReader, gpu_reader
from tui.telemetry.server import NothingToReadError


def test_an_exporter_goes_before_the_gpus_of_this_host() -> None:
    assert isinstance(gpu_reader("a", url="http://127.0.0.1:1", server=LaneProfile(dcgm="http://h:9400")), DcgmReader)
    assert isinstance(gpu_reader("a", url="http://127.0.0.1:1", server=LaneProfile()), NvmlReader)


async def test_a_server_elsewhere_is_one_line_and_the_end() -> None:
    faults: list[str] = []
    await gpu_reader("a", url="http://203.0.113.7:8000", server=LaneProfile()).run(lambda _: None, faults.append)
    added = 'gpu_command = "ssh 203.0.113.7 nvidia-smi" or dcgm = "http://203.0.113.7:9400/metrics"'
    assert faults == [f"the server runs on 203.0.113.7, not here: add {added} to the lane"]


async def test_no_driver_is_one_line_and_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: object) -> list[GaugeRow]:
        raise NothingToReadError("no NVIDIA driver on this host")

    monkeypatch.setattr("tui.telemetry.gpus.LocalGpus.read", read)
    faults: list[str] = []
    await gpu_reader("a", url="http://127.0.0.1:8000", server=LaneProfile()).run(lambda _: None, faults.append)
    assert faults == ["no NVIDIA driver on this host"]


async def test_a_driver_that_hangs_is_one_line_and_asked_again_only_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    back = threading.Event()
    calls: list[int] = []

    def read(_: object) -> list[GaugeRow]:
        calls.append(len(calls))
        back.wait()
        return [GaugeRow("a", "gpu0", "power_w", 1, 2.0)]

    monkeypatch.setattr("tui.telemetry.gpus.LocalGpus.read", read)
    faults: list[str] = []
    hung, works = asyncio.Event(), asyncio.Event()

    def fault(line: str) -> None:
        faults.append(line)
        (hung if line else works).set()

    reader = NvmlReader("a", "http://127.0.0.1:8000", (), timeout_s=0.5)
    task = asyncio.create_task(reader.run(lambda _: None, fault, period_s=0.01))
    async with asyncio.timeout(10):
        await hung.wait()
        assert calls == [0]
        back.set()
        await works.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert faults == ["the NVIDIA driver does not answer", ""]


async def test_memory_that_cannot_be_attributed_is_reported_once_with_the_readings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(gpus: LocalGpus) -> list[GaugeRow]:
        gpus.note = "hidden"
        return [GaugeRow("a", "gpu0", "power_w", 1, 2.0)]

    monkeypatch.setattr("tui.telemetry.gpus.LocalGpus.read", read)
    faults: list[str] = []
    thrice = asyncio.Event()

    def emit(_: list[GaugeRow]) -> None:
        faults.append("rows")
        if faults.count("rows") == 3:
            thrice.set()

    reader = NvmlReader("a", "http://127.0.0.1:8000", ())
    task = asyncio.create_task(reader.run(emit, faults.append, period_s=0.01))
    async with asyncio.timeout(10):
        await thrice.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert faults[:4] == ["hidden", "rows", "rows", "rows"]
