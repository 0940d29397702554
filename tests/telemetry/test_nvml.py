"""NVML through the real bindings, with a small C library in the driver's place."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).with_name("nvml_stand_in.c")
PID = 4_194_000
WHICH = "which of this host's 2 GPUs? the server on port 8002"
HIDDEN = "whose memory it is on GPU 0 cannot be told: the server on port 8002 {}"
READ = """
import json, sys
from tui.telemetry.polling import ReadingError
from tui.telemetry.gpus import LocalGpus
gpus = LocalGpus("b", 8002, json.loads(sys.argv[1]), find_pids=lambda port, known: frozenset(json.loads(sys.argv[2])))
try:
    rows, names = gpus.read(), gpus.names()
    gpus.close()
    told = [[row.lane, row.source, row.name, row.value] for row in rows]
    print(json.dumps({"rows": told, "names": names, "note": gpus.note}))
except ReadingError as error:
    print(json.dumps({"line": str(error), "for_good": type(error).__name__ == "NothingToReadError"}))
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a freshly compiled stand-in."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build the stand-in for NVML with")
    folder = tmp_path_factory.mktemp("nvml")
    target = folder / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", target, SOURCE], check=True)
    return folder


def read(folder: Path, *, gpus: list[int] | None = None, pids: list[int] | None = None, **answers: int) -> Any:
    """What a fresh process reads from the stand-in, set up by `answers`."""
    settings = {"GPUS": 2, "PID": PID} | answers
    environment = os.environ | {f"STAND_IN_{name}": str(value) for name, value in settings.items()}
    environment["LD_LIBRARY_PATH"] = str(folder)
    arguments = [json.dumps(gpus or []), json.dumps([PID] if pids is None else pids)]
    done = subprocess.run(
        [sys.executable, "-c", READ, *arguments], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def by_source(answer: Any) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for lane, source, name, value in answer["rows"]:
        assert lane == "b"
        found.setdefault(source, {})[name] = value
    return found


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


def test_the_gpu_that_the_servers_processes_use_is_found_and_read(library: Path) -> None:
    assert by_source(read(library)) == {"gpu0": WHOLE_GPU}


def test_its_name_is_told(library: Path) -> None:
    answer = read(library)
    assert (answer["names"], answer["note"]) == ({"0": "NVIDIA Stand-in 80GB"}, "")
    assert read(library, gpus=[1])["names"] == {"1": "NVIDIA Stand-in 80GB MIG"}


def test_an_old_driver_gives_what_it_can(library: Path) -> None:
    expected = WHOLE_GPU | {"memory_used_bytes": 61000, "temperature_c": 63}
    del expected["energy_j_total"]
    assert by_source(read(library, OLD=1)) == {"gpu0": expected}


def test_a_mig_instance_is_attributed_by_the_process_in_it(library: Path) -> None:
    both = by_source(read(library, ENGINE_ON_MIG=1))
    assert both.keys() == {"gpu0", "gpu1"}
    split = both["gpu1"]
    assert (split["memory_used_bytes"], split["memory_total_bytes"]) == (1200, 20000)
    assert split["memory_engine_bytes"] == 700
    assert "utilization_pct" not in split
    assert (split["power_w"], split["throttled"]) == (312.5, 0)


def test_a_split_gpu_without_our_process_gives_all_its_instances(library: Path) -> None:
    split = by_source(read(library, gpus=[1]))["gpu1"]
    assert (split["memory_used_bytes"], split["memory_total_bytes"]) == (2300, 40000)
    assert "memory_engine_bytes" not in split


def test_the_only_gpu_is_the_lanes_even_when_no_process_is_visible(library: Path) -> None:
    answer = read(library, GPUS=1, pids=[])
    found = by_source(answer)
    assert found.keys() == {"gpu0"}
    assert "memory_engine_bytes" not in found["gpu0"]
    assert answer["note"] == HIDDEN.format("is not visible from here (another user, or a container)")


def test_processes_that_nvml_knows_by_other_numbers_are_told_of(library: Path) -> None:
    answer = read(library, gpus=[0], pids=[PID + 1])
    assert answer["note"] == HIDDEN.format("runs nothing there")


def test_memory_that_nvml_does_not_divide_among_processes_is_told_of(library: Path) -> None:
    answer = read(library, NO_SIZES=1)
    assert answer["note"] == "NVML does not tell memory by process on GPU 0"
    assert "memory_engine_bytes" not in by_source(answer)["gpu0"]


def test_a_library_that_is_gone_when_it_is_let_go_is_no_error(library: Path) -> None:
    assert by_source(read(library, gpus=[0], SHUTDOWN=1)) == {"gpu0": WHOLE_GPU}
    assert read(library, COUNT=4, SHUTDOWN=1)["line"] == "no permission to read this host's GPUs"


def test_several_gpus_of_one_lane_are_read_each(library: Path) -> None:
    found = by_source(read(library, gpus=[1, 0]))
    assert set(found) == {"gpu0", "gpu1"}
    assert found["gpu0"] == WHOLE_GPU


def test_without_permission_to_see_processes_the_rest_is_still_read(library: Path) -> None:
    answer = read(library, gpus=[0], NO_PROCESSES=1)
    assert answer["note"] == HIDDEN.format("runs nothing there")
    found = by_source(answer)["gpu0"]
    assert found == {name: value for name, value in WHOLE_GPU.items() if name != "memory_engine_bytes"}


@pytest.mark.parametrize(
    ("answers", "line"),
    [
        ({"INIT": 12}, "no NVIDIA driver on this host"),
        ({"INIT": 9}, "the NVIDIA driver is not loaded on this host"),
        ({"INIT": 4}, "no permission to read this host's GPUs"),
        ({"INIT": 18}, "NVIDIA's driver and library differ in version: reload the driver"),
        ({"GPUS": 0}, "no NVIDIA GPU on this host"),
        ({"COUNT": 4}, "no permission to read this host's GPUs"),
        ({"LOST": 1}, "the GPU has fallen off the bus or is lost"),
        ({"gpus": [7]}, "there is no GPU 7 here: this host has 2, counted from 0"),
        (
            {"pids": []},
            f"{WHICH} is not visible from here (another user, or a container): name them with gpus = [...]",
        ),
        ({"pids": [1]}, f"{WHICH} runs nothing on them: name them with gpus = [...]"),
    ],
)
def test_every_trouble_is_one_honest_line(library: Path, answers: dict[str, Any], line: str) -> None:
    assert read(library, **answers)["line"] == line


def test_a_host_without_a_driver_is_not_asked_again(library: Path) -> None:
    answer = read(library.parent)
    if "rows" in answer:
        pytest.skip("this host has an NVIDIA driver")
    assert answer == {"line": "no NVIDIA driver on this host", "for_good": True}
