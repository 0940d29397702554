"""NVML on a real NVIDIA GPU: it says what `nvidia-smi` says, and whose memory is whose."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pynvml
import pytest

from tui.model import gauges
from tui.telemetry.gpus import LocalGpus
from tui.telemetry.nvml import THROTTLE_REASONS

pytestmark = pytest.mark.gpu

GIB = 1 << 30
# A parent that listens and holds no GPU memory, and a worker that holds a gigabyte, as engines do.
SERVER = f"""
import ctypes, os, socket, sys
server = socket.create_server(("127.0.0.1", 0))
ready_in, ready_out = os.pipe()
if os.fork() == 0:
    cuda = ctypes.CDLL("libcuda.so.1")
    context, memory, device = ctypes.c_void_p(), ctypes.c_uint64(), ctypes.c_int()
    failed = cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), 0)
    failed = failed or cuda.cuCtxCreate_v2(ctypes.byref(context), 0, device)
    failed = failed or cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t({GIB} * int(sys.argv[1])))
    os.write(ready_out, b"%d" % failed)
    sys.stdin.read()
else:
    os.read(ready_in, 8)
    print(server.getsockname()[1], flush=True)
    os.wait()
"""


FIELDS = "memory.used,memory.total,utilization.gpu,power.draw,temperature.gpu,clocks.sm,clocks_event_reasons.active"


@pytest.fixture(autouse=True)
def gpu() -> None:
    try:
        pynvml.nvmlInit()  # type: ignore[no-untyped-call]
    except pynvml.NVMLError as error:
        pytest.skip(f"no NVIDIA GPU here: {error}")


@contextmanager
def server(gib: int) -> Iterator[int]:
    """The port of a server whose worker holds that much of GPU 0."""
    command = [sys.executable, "-c", SERVER, str(gib)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate()


def reading(gpus: LocalGpus) -> dict[str, float]:
    return {row.name: row.value for row in gpus.read() if row.source == "gpu0"}


def test_a_workers_memory_is_attributed_to_the_port_of_its_server() -> None:
    with server(1) as port:
        gpus = LocalGpus("a", port, [])
        first, second = reading(gpus), reading(gpus)
        gpus.close()
    assert GIB <= first[gauges.GPU_MEMORY_ENGINE] < 2 * GIB
    assert first[gauges.GPU_MEMORY_ENGINE] <= first[gauges.GPU_MEMORY_USED] < first[gauges.GPU_MEMORY_TOTAL]
    assert second[gauges.GPU_ENERGY] >= first[gauges.GPU_ENERGY] > 0


def test_two_servers_on_one_gpu_have_separate_memory_figures() -> None:
    with server(1) as one, server(3) as other:
        lanes = LocalGpus("a", one, []), LocalGpus("b", other, [])
        held = [reading(gpus)[gauges.GPU_MEMORY_ENGINE] for gpus in lanes]
        for gpus in lanes:
            gpus.close()
    assert GIB <= held[0] < 2 * GIB
    assert 3 * GIB <= held[1] < 4 * GIB


def test_it_says_what_nvidia_smi_says() -> None:
    """Within the tool's resolution, and what the figure moves while the tool runs: it is read before and after."""
    gpus = LocalGpus("a", 0, [0])
    with server(2):
        for _ in range(3):
            before = reading(gpus)
            reported = smi()
            after = reading(gpus)
            for name, (value, resolution) in reported.items():
                low, high = sorted((before[name], after[name]))
                assert low - resolution <= value <= high + resolution, (name, before[name], value, after[name])
    gpus.close()


def smi() -> dict[str, tuple[float, float]]:
    """By figure, what `nvidia-smi` says of GPU 0 and how exact that is."""
    command = ["nvidia-smi", "--id=0", "--format=csv,noheader,nounits", f"--query-gpu={FIELDS}"]
    used, total, busy, power, heat, clock, reasons = subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout.split(", ")
    return {
        gauges.GPU_MEMORY_USED: (float(used) * 2**20, 2**20),
        gauges.GPU_MEMORY_TOTAL: (float(total) * 2**20, 2**20),
        gauges.GPU_UTILIZATION: (float(busy), 5),
        gauges.GPU_POWER: (float(power), 10),
        gauges.GPU_TEMPERATURE: (float(heat), 1),
        gauges.GPU_SM_CLOCK: (float(clock), 15),  # one step of the clock
        gauges.GPU_THROTTLED: (float(bool(int(reasons, 16) & THROTTLE_REASONS)), 0),
    }
