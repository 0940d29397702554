"""NVML on a real NVIDIA GPU: memory held by a server's worker is found through the server's port."""

import subprocess
import sys

import pytest

from tui.records import gauges
from tui.telemetry.local_gpu import LocalGpus

pytestmark = pytest.mark.gpu

HELD = 1 << 30
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
    failed = failed or cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t({HELD}))
    os.write(ready_out, b"%d" % failed)
    sys.stdin.read()
else:
    os.read(ready_in, 8)
    print(server.getsockname()[1], flush=True)
    os.wait()
"""


def test_a_workers_memory_is_attributed_to_the_port_of_its_server() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        gpus = LocalGpus("a", int(server.stdout.readline()), [])
        first = {row.name: row.value for row in gpus.read()}
        second = {row.name: row.value for row in gpus.read()}
        server.communicate()
    assert HELD <= first[gauges.GPU_MEMORY_ENGINE] < 2 * HELD
    assert first[gauges.GPU_MEMORY_ENGINE] <= first[gauges.GPU_MEMORY_USED] < first[gauges.GPU_MEMORY_TOTAL]
    assert 0 <= first[gauges.GPU_UTILIZATION] <= 100
    assert 10 < first[gauges.GPU_POWER] < 2000
    assert second[gauges.GPU_ENERGY] >= first[gauges.GPU_ENERGY] > 0
    assert 10 < first[gauges.GPU_TEMPERATURE] < 110
    assert first[gauges.GPU_SM_CLOCK] > 100
    assert first[gauges.GPU_THROTTLED] in (0, 1)
    gpus.close()
