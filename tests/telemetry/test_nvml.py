"""A lane's GPUs through NVML, with fake GPUs in the driver's place."""

import sys

import pytest

from tests.telemetry.fake_nvml import PID, FakeNvml
from tui.telemetry.gpus import LocalGpus
from tui.telemetry.server import NothingToReadError, ReadingError

WHICH = "it is unclear which of this host's 2 GPUs are used: the server on port 8002"
HIDDEN = "memory on GPU 0 cannot be attributed: the server on port 8002 {}"


@pytest.fixture(autouse=True)
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake


def lane_gpus(*, gpus: tuple[int, ...] = (), pids: tuple[int, ...] = (PID,)) -> LocalGpus:
    return LocalGpus("b", 8002, gpus, find_pids=lambda port, known: frozenset(pids))


def values(gpus: LocalGpus) -> dict[str, dict[str, float]]:
    """What one reading gives, by GPU and name."""
    by_gpu: dict[str, dict[str, float]] = {}
    for row in gpus.read():
        assert row.lane == "b"
        by_gpu.setdefault(row.source, {})[row.name] = row.value
    return by_gpu


WHOLE_GPU = {
    "memory_used_bytes": 60000,
    "memory_total_bytes": 80000,
    "memory_engine_bytes": 50000,
    "utilization_pct": 87,
    "power_w": 312.5,
    "energy_j_total": 123456.789,
    "temperature_c": 64,
    "sm_clock_mhz": 1755,
    "throttled": 1,
}


def test_the_gpu_that_the_servers_processes_use_is_identified_and_read() -> None:
    assert values(lane_gpus()) == {"gpu0": WHOLE_GPU}


def test_its_name_is_read() -> None:
    gpus = lane_gpus()
    assert (gpus.names(), gpus.note) == ({0: "NVIDIA Stand-in 80GB"}, "")
    assert lane_gpus(gpus=(1,)).names() == {1: "NVIDIA Stand-in 80GB MIG"}


def test_an_old_driver_gives_what_it_can(nvml: FakeNvml) -> None:
    nvml.is_old = True
    expected = WHOLE_GPU | {"memory_used_bytes": 61000, "temperature_c": 63}
    del expected["energy_j_total"]
    assert values(lane_gpus()) == {"gpu0": expected}


def test_a_mig_instance_is_attributed_by_the_process_in_it(nvml: FakeNvml) -> None:
    nvml.engine_on_mig = True
    both = values(lane_gpus())
    assert both.keys() == {"gpu0", "gpu1"}
    split = both["gpu1"]
    assert (split["memory_used_bytes"], split["memory_total_bytes"]) == (1200, 20000)
    assert split["memory_engine_bytes"] == 700
    assert "utilization_pct" not in split
    assert (split["power_w"], split["throttled"]) == (312.5, 0)


def test_a_split_gpu_without_our_process_gives_all_its_instances() -> None:
    split = values(lane_gpus(gpus=(1,)))["gpu1"]
    assert (split["memory_used_bytes"], split["memory_total_bytes"]) == (2300, 40000)
    assert "memory_engine_bytes" not in split


def test_the_only_gpu_is_the_lanes_even_when_no_process_is_visible(nvml: FakeNvml) -> None:
    nvml.gpus = 1
    gpus = lane_gpus(pids=())
    by_gpu = values(gpus)
    assert by_gpu.keys() == {"gpu0"}
    assert "memory_engine_bytes" not in by_gpu["gpu0"]
    assert gpus.note == HIDDEN.format("is not visible from here (another user, or a container)")


def test_processes_that_nvml_knows_by_other_numbers_are_reported() -> None:
    gpus = lane_gpus(gpus=(0,), pids=(PID + 1,))
    gpus.read()
    assert gpus.note == HIDDEN.format("runs nothing there")


def test_memory_that_nvml_does_not_divide_among_processes_is_reported(nvml: FakeNvml) -> None:
    nvml.has_sizes = False
    gpus = lane_gpus()
    assert "memory_engine_bytes" not in values(gpus)["gpu0"]
    assert gpus.note == "NVML does not report memory by process on GPU 0"


def test_a_library_that_is_gone_when_it_is_closed_is_no_error(nvml: FakeNvml) -> None:
    nvml.failing["nvmlShutdown"] = "UNINITIALIZED"
    gpus = lane_gpus(gpus=(0,))
    assert values(gpus) == {"gpu0": WHOLE_GPU}
    gpus.close()
    nvml.failing["nvmlDeviceGetCount"] = "NO_PERMISSION"
    with pytest.raises(ReadingError, match="no permission to read this host's GPUs"):
        lane_gpus().read()


def test_several_gpus_of_one_lane_are_read_each() -> None:
    by_gpu = values(lane_gpus(gpus=(1, 0)))
    assert set(by_gpu) == {"gpu0", "gpu1"}
    assert by_gpu["gpu0"] == WHOLE_GPU


def test_without_permission_to_see_processes_the_rest_is_still_read(nvml: FakeNvml) -> None:
    nvml.failing["nvmlDeviceGetComputeRunningProcesses"] = "NO_PERMISSION"
    gpus = lane_gpus(gpus=(0,))
    expected = {name: value for name, value in WHOLE_GPU.items() if name != "memory_engine_bytes"}
    assert values(gpus) == {"gpu0": expected}
    assert gpus.note == HIDDEN.format("runs nothing there")


BY_CALL = {  # what a GPU does not report when that call fails
    "nvmlDeviceGetName": (),
    "nvmlDeviceGetMigMode": (),
    "nvmlDeviceGetMemoryInfo": ("memory_used_bytes", "memory_total_bytes"),
    "nvmlDeviceGetUtilizationRates": ("utilization_pct",),
    "nvmlDeviceGetPowerUsage": ("power_w",),
    "nvmlDeviceGetTotalEnergyConsumption": ("energy_j_total",),
    "nvmlDeviceGetClockInfo": ("sm_clock_mhz",),
    "nvmlDeviceGetCurrentClocksEventReasons": ("throttled",),
    "nvmlDeviceGetComputeRunningProcesses": ("memory_engine_bytes",),
}


@pytest.mark.parametrize("error", ["NOT_SUPPORTED", "NO_PERMISSION", "FUNCTION_NOT_FOUND", "UNKNOWN", "NOT_FOUND"])
@pytest.mark.parametrize("call", BY_CALL)
def test_a_gpu_that_refuses_one_figure_keeps_the_others(nvml: FakeNvml, call: str, error: str) -> None:
    nvml.failing[call] = error
    gpus = lane_gpus(gpus=(0,))
    assert values(gpus) == {"gpu0": {name: value for name, value in WHOLE_GPU.items() if name not in BY_CALL[call]}}
    assert gpus.names().keys() == {0}


def test_either_way_to_read_the_temperature_may_fail(nvml: FakeNvml) -> None:
    nvml.failing["nvmlDeviceGetTemperatureV"] = "NOT_SUPPORTED"
    assert values(lane_gpus(gpus=(0,)))["gpu0"] == WHOLE_GPU | {"temperature_c": 63}
    nvml.failing["nvmlDeviceGetTemperature"] = "NOT_SUPPORTED"
    assert "temperature_c" not in values(lane_gpus(gpus=(0,)))["gpu0"]


@pytest.mark.parametrize("call", ["nvmlDeviceGetMaxMigDeviceCount", "nvmlDeviceGetMigDeviceHandleByIndex"])
def test_a_split_gpu_whose_parts_are_hidden_is_read_as_a_whole(nvml: FakeNvml, call: str) -> None:
    nvml.failing[call] = "NO_PERMISSION"
    split = values(lane_gpus(gpus=(1,)))["gpu1"]
    assert (split["memory_used_bytes"], split["memory_total_bytes"], split["power_w"]) == (60000, 80000, 312.5)


def test_a_lost_gpu_does_not_hide_the_one_that_the_server_uses(nvml: FakeNvml) -> None:
    nvml.lost = {"gpu1"}
    assert values(lane_gpus()) == {"gpu0": WHOLE_GPU}


def test_a_gpu_that_is_lost_on_the_way_takes_no_other_along(nvml: FakeNvml) -> None:
    gpus = lane_gpus(gpus=(0, 1))
    assert values(gpus).keys() == {"gpu0", "gpu1"}
    assert gpus.note == ""
    nvml.lost = {"gpu1"}
    assert values(gpus) == {"gpu0": WHOLE_GPU}
    assert gpus.note == "GPU 1: the GPU has fallen off the bus or is lost"
    assert gpus.names().keys() == {0}
    nvml.lost = set()
    assert values(gpus).keys() == {"gpu0", "gpu1"}
    assert gpus.note == ""
    nvml.lost = {"gpu0", "gpu1"}
    with pytest.raises(ReadingError, match="GPU 0: the GPU has fallen off"):
        gpus.read()


def test_a_gpu_that_is_not_there_takes_no_other_along(nvml: FakeNvml) -> None:
    gpus = lane_gpus(gpus=(0, 7))
    assert values(gpus) == {"gpu0": WHOLE_GPU}
    assert gpus.note.startswith("GPU 7: ")


@pytest.mark.parametrize(
    ("call", "error", "line"),
    [
        ("nvmlInit", "LIBRARY_NOT_FOUND", "no NVIDIA driver on this host"),
        ("nvmlInit", "DRIVER_NOT_LOADED", "the NVIDIA driver is not loaded on this host"),
        ("nvmlInit", "NO_PERMISSION", "no permission to read this host's GPUs"),
        (
            "nvmlInit",
            "LIB_RM_VERSION_MISMATCH",
            "NVIDIA's driver and library differ in version: reload the driver",
        ),
        ("nvmlDeviceGetCount", "NO_PERMISSION", "no permission to read this host's GPUs"),
        ("nvmlDeviceGetPowerUsage", "GPU_IS_LOST", "the GPU has fallen off the bus or is lost"),
    ],
)
def test_every_error_is_one_honest_line(nvml: FakeNvml, call: str, error: str, line: str) -> None:
    nvml.failing[call] = error
    with pytest.raises(ReadingError) as caught:
        lane_gpus().read()
    assert str(caught.value) == line
    assert isinstance(caught.value, NothingToReadError) == (error == "LIBRARY_NOT_FOUND")


@pytest.mark.parametrize(
    ("on_host", "gpus", "pids", "line"),
    [
        (0, (), (PID,), "no NVIDIA GPU on this host"),
        (2, (7,), (PID,), "there is no GPU 7 here: this host has 2, counted from 0"),
        (2, (), (), f"{WHICH} is not visible from here (another user, or a container); name them with gpus = [...]"),
        (2, (), (1,), f"{WHICH} runs nothing on them; name them with gpus = [...]"),
    ],
)
def test_gpus_that_cannot_be_identified_are_one_honest_line(
    nvml: FakeNvml, on_host: int, gpus: tuple[int, ...], pids: tuple[int, ...], line: str
) -> None:
    nvml.gpus = on_host
    with pytest.raises(ReadingError) as caught:
        lane_gpus(gpus=gpus, pids=pids).read()
    assert str(caught.value) == line


def test_a_host_without_a_driver_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pynvml")
    try:
        LocalGpus("b", 8002, (0,)).read()
    except NothingToReadError as error:
        assert str(error) == "no NVIDIA driver on this host"
    else:
        pytest.skip("this host has an NVIDIA driver")
