"""pynvml with two GPUs in place of the driver's, the second split by MIG. Everything else is the real module's."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml

PID = 4_194_000
GPUS = ("gpu0", "gpu1")
INSTANCES = ("mig0", "mig1")


@dataclass
class FakeNvml:
    """A call is a method by the name of pynvml's, in snake case and without `nvml`."""

    gpus: int = 2
    failing: dict[str, str] = field(default_factory=dict)  # by call, the name of its error
    is_old: bool = False  # a driver that lacks the newer calls
    has_sizes: bool = True
    engine_on_mig: bool = False
    lost: set[str] = field(default_factory=set)

    def __getattr__(self, name: str) -> Any:
        real = getattr(pynvml, name)
        method = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name.removeprefix("nvml"))
        fake: Callable[..., Any] | None = vars(type(self)).get(method)
        if not name.startswith("nvml") or fake is None:
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            inspect.signature(real).bind(*args, **kwargs)  # as the real bindings would take it
            if name in self.failing:
                raise error(self.failing[name])
            return fake(self, *args, **kwargs)

        return call

    def _init(self) -> None: ...

    def _shutdown(self) -> None: ...

    def _device_get_count(self) -> int:
        return self.gpus

    def _device_get_handle_by_index(self, index: int) -> str:
        if index >= self.gpus:
            raise error("INVALID_ARGUMENT")
        if GPUS[index] in self.lost:
            raise error("GPU_IS_LOST")
        return GPUS[index]

    def _device_get_name(self, device: str) -> str:
        return "NVIDIA Stand-in 80GB"

    def _device_get_mig_mode(self, device: str) -> list[int]:
        if device == GPUS[0]:
            raise error("NOT_SUPPORTED")
        return [1, 1]

    def _device_get_max_mig_device_count(self, device: str) -> int:
        return 3

    def _device_get_mig_device_handle_by_index(self, device: str, index: int) -> str:
        if index >= len(INSTANCES):
            raise error("NOT_FOUND")
        return INSTANCES[index]

    def _device_get_memory_info(self, device: str, version: int | None = None) -> Any:
        if version is None:
            return SimpleNamespace(total=80_000, used=61_000)
        self._needs_new_driver()
        if device in INSTANCES:
            return SimpleNamespace(total=20_000, used=1_100 + 100 * INSTANCES.index(device))
        return SimpleNamespace(total=80_000, used=60_000)

    def _device_get_utilization_rates(self, device: str) -> Any:
        if device != GPUS[0]:
            raise error("NOT_SUPPORTED")
        return SimpleNamespace(gpu=87, memory=40)

    def _device_get_power_usage(self, device: str) -> int:
        return 312_500

    def _device_get_total_energy_consumption(self, device: str) -> int:
        self._needs_new_driver()
        return 123_456_789

    def _device_get_temperature_v(self, device: str, sensor: int) -> int:
        self._needs_new_driver()
        return 64

    def _device_get_temperature(self, device: str, sensor: int) -> int:
        return 63

    def _device_get_clock_info(self, device: str, kind: int) -> int:
        return 1755 if kind == pynvml.NVML_CLOCK_SM else 0

    def _device_get_current_clocks_event_reasons(self, device: str) -> int:
        return 0x04 if device == GPUS[0] else 0x01  # power cap; idle

    def _device_get_compute_running_processes(self, device: str) -> list[Any]:
        if device == GPUS[0]:
            size = 50_000 if self.has_sizes else None
            return [_process(PID, size), _process(4_000_001, 9_000), _process(4_000_002, None)]
        return [_process(PID, 700)] if device == INSTANCES[1] and self.engine_on_mig else []

    def _needs_new_driver(self) -> None:
        if self.is_old:
            raise error("NOT_SUPPORTED")


def _process(pid: int, size: int | None) -> Any:
    return SimpleNamespace(pid=pid, usedGpuMemory=size)


def error(name: str) -> Exception:
    """NVML's error of that name."""
    failed: Exception = pynvml.NVMLError(getattr(pynvml, f"NVML_ERROR_{name}"))  # type: ignore[no-untyped-call]
    return failed
