"""GPUs from a DCGM exporter's page."""

import asyncio
import re

import httpx
import pytest

from tests.telemetry.pages import answered_by
from tui.model import gauges
from tui.model.rows import GaugeRow
from tui.telemetry.gpus import DcgmReader, gauges_from, gpu_names
from tui.telemetry.server import ReadingError

MIB = 1 << 20


def exporter_page(energy_mj: int = 5_000_000, gpus: int = 2) -> str:
    """What an exporter shows for an H100 host."""
    lines = []
    for i in range(gpus):
        labels = (
            f'gpu="{i}",UUID="GPU-{i}",pci_bus_id="00000000:0{i}:00.0",device="nvidia{i}",'
            'modelName="NVIDIA H100 80GB HBM3",Hostname="gpu-host",DCGM_FI_DRIVER_VERSION="570.1"'
        )
        lines += [
            f"DCGM_FI_DEV_SM_CLOCK{{{labels}}} 1755",
            f"DCGM_FI_DEV_GPU_TEMP{{{labels}}} {60 + i}",
            f"DCGM_FI_DEV_POWER_USAGE{{{labels}}} 312.5",
            f"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{labels}}} {energy_mj}",
            f"DCGM_FI_DEV_GPU_UTIL{{{labels}}} 87",
            f"DCGM_FI_DEV_FB_FREE{{{labels}}} 10000",
            f"DCGM_FI_DEV_FB_USED{{{labels}}} 70000",
            f"DCGM_FI_DEV_FB_RESERVED{{{labels}}} 559",
        ]
    return "\n".join(lines) + "\n"


def test_units_are_ours_and_reserved_memory_counts_in_the_total() -> None:
    assert gauges_from(exporter_page().encode())[1] == {
        gauges.GPU_MEMORY_USED: 70_000 * MIB,
        gauges.GPU_MEMORY_TOTAL: 80_559 * MIB,
        gauges.GPU_UTILIZATION: 87,
        gauges.GPU_POWER: 312.5,
        gauges.GPU_ENERGY: 5000,
        gauges.GPU_TEMPERATURE: 61,
        gauges.GPU_SM_CLOCK: 1755,
    }


BY_FIELD = {  # what a GPU does not report without that field
    "DCGM_FI_DEV_FB_USED": {gauges.GPU_MEMORY_USED, gauges.GPU_MEMORY_TOTAL},
    "DCGM_FI_DEV_FB_FREE": {gauges.GPU_MEMORY_TOTAL},
    "DCGM_FI_DEV_GPU_UTIL": {gauges.GPU_UTILIZATION},
    "DCGM_FI_DEV_POWER_USAGE": {gauges.GPU_POWER},
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": {gauges.GPU_ENERGY},
    "DCGM_FI_DEV_GPU_TEMP": {gauges.GPU_TEMPERATURE},
    "DCGM_FI_DEV_SM_CLOCK": {gauges.GPU_SM_CLOCK},
}


@pytest.mark.parametrize("blank", ["", "NaN", "9223372036854775794", "140737488355328"])
@pytest.mark.parametrize("field", BY_FIELD)
def test_a_gpu_without_one_field_keeps_the_others(field: str, blank: str) -> None:
    page = exporter_page()
    whole = gauges_from(page.encode())[0]
    lines = (re.sub(r"[^ ]+$", blank, line) if line.startswith(field) else line for line in page.splitlines())
    page = "\n".join(line for line in lines if not line.endswith(" "))
    kept = {name: value for name, value in whole.items() if name not in BY_FIELD[field]}
    assert gauges_from(page.encode())[0] == kept
    assert gpu_names(page.encode()).keys() == {0, 1}


def test_mig_instances_share_their_gpus_power_and_add_their_memory() -> None:
    page = b"".join(
        b'DCGM_FI_DEV_POWER_USAGE{gpu="0",GPU_I_ID="%d"} 300\n'
        b'DCGM_FI_DEV_FB_USED{gpu="0",GPU_I_ID="%d"} 100\nDCGM_FI_DEV_FB_FREE{gpu="0",GPU_I_ID="%d"} 900\n'
        % (i, i, i)
        for i in (1, 2)
    )
    assert gauges_from(page)[0] == {
        gauges.GPU_MEMORY_USED: 200 * MIB,
        gauges.GPU_MEMORY_TOTAL: 2000 * MIB,
        gauges.GPU_POWER: 300,
    }


def test_throttling_by_power_cap_and_no_throttling_when_idle() -> None:
    page = b'DCGM_FI_DEV_CLOCKS_EVENT_REASONS{gpu="0"} 4\nDCGM_FI_DEV_CLOCKS_EVENT_REASONS{gpu="1"} 1\n'
    assert {i: values[gauges.GPU_THROTTLED] for i, values in gauges_from(page).items()} == {0: 1, 1: 0}


async def messages(pages: list[str], count: int, gpus: tuple[int, ...] = ()) -> list[list[GaugeRow] | str]:
    """What a reader reports while the exporter answers `pages` one after another, the last one for ever."""
    log: list[list[GaugeRow] | str] = []
    enough = asyncio.Event()
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, text=pages[min(len(asked), len(pages)) - 1])

    def tell(item: list[GaugeRow] | str) -> None:
        log.append(item)
        if len(log) >= count:
            enough.set()

    reader = DcgmReader("a", "exporter.test:9400", gpus, open_page=answered_by(handler))
    task = asyncio.create_task(reader.run(tell, tell, period_s=0.01))
    async with asyncio.timeout(10):
        await enough.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert set(asked) == {"http://exporter.test:9400/metrics"}
    return log


async def test_only_the_lanes_gpus_are_read() -> None:
    (rows,) = await messages([exporter_page()], 1, gpus=(1,))
    assert not isinstance(rows, str)
    assert {(row.lane, row.source) for row in rows} == {("a", "gpu1")}


async def test_a_page_that_the_exporter_did_not_renew_is_no_new_reading() -> None:
    old, new = exporter_page(1000), exporter_page(2000)
    first, second = await messages([old, old, old, new], 2)
    assert isinstance(first, list)
    assert isinstance(second, list)
    energy = [row.value for row in (*first, *second) if row.name == gauges.GPU_ENERGY and row.source == "gpu0"]
    assert energy == [1, 2]


async def test_a_gpu_whose_energy_stays_at_0_is_read_all_the_same() -> None:
    first, second = await messages([exporter_page(0)], 2)
    assert len(first) == len(second) > 0


async def test_the_names_of_the_lanes_gpus() -> None:
    exporter = answered_by(lambda _: httpx.Response(200, text=exporter_page()))
    assert await DcgmReader("a", "h:9400", (), open_page=exporter).names() == {
        0: "NVIDIA H100 80GB HBM3",
        1: "NVIDIA H100 80GB HBM3",
    }
    assert await DcgmReader("a", "h:9400", (1,), open_page=exporter).names() == {1: "NVIDIA H100 80GB HBM3"}


async def test_a_gpu_that_the_exporter_lost_takes_no_other_along() -> None:
    said = await messages([exporter_page()], 2, gpus=(1, 5))
    assert "http://exporter.test:9400/metrics has no GPU 5" in said
    assert any(isinstance(each, list) and {row.source for row in each} == {"gpu1"} for each in said)


async def test_gpus_that_the_exporter_does_not_know_and_pages_of_something_else() -> None:
    (line,) = await messages([exporter_page()], 1, gpus=(5,))
    assert line == "http://exporter.test:9400/metrics has GPUs 0, 1, none of those named in gpus"
    (line,) = await messages(["up 1\n"], 1)
    assert line == "http://exporter.test:9400/metrics is not a DCGM exporter: it has no DCGM_FI_DEV metric"


@pytest.mark.parametrize("path", ["", "/", "/metrics"])
async def test_the_password_of_an_exporter_is_sent_and_never_shown(path: str) -> None:
    sent: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["authorization"])
        return httpx.Response(500)

    reader = DcgmReader("a", f"http://me:secret@exporter.test:9400{path}", (), open_page=answered_by(refuse))
    with pytest.raises(ReadingError) as caught:
        await reader.names()
    assert str(caught.value) == "http://exporter.test:9400/metrics answers HTTP 500"
    assert sent == ["Basic bWU6c2VjcmV0"]


@pytest.mark.parametrize("index", ["²", "-1", "", "9" * 5000])
def test_a_gpu_without_a_true_index_is_left_out(index: str) -> None:
    page = f'DCGM_FI_DEV_GPU_TEMP{{gpu="{index}"}} 40\nDCGM_FI_DEV_GPU_TEMP{{gpu="1"}} 50\n'.encode()
    assert list(gauges_from(page)) == [1]
    assert list(gpu_names(page)) == [1]
