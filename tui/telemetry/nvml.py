"""The GPUs of this host through NVML. Every call blocks: use it in a thread."""

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from tui.model import gauges
from tui.model.text import sanitize
from tui.telemetry.server import NothingToReadError, ReadingError

# Reasons that lower the clocks under load: power cap, hardware slowdown, thermal (software, hardware), power brake.
# Idle clocks, and clocks that somebody set, do not count.
THROTTLE_REASONS = 0x04 | 0x08 | 0x20 | 0x40 | 0x80


class Nvml:
    """An open NVML. Raises ReadingError when it cannot be opened."""

    def __init__(self) -> None:
        import pynvml

        lib: Any = pynvml
        self._lib = lib
        self._failed: type[Exception] = lib.NVMLError
        try:
            lib.nvmlInit()
        except self._failed as error:
            absent = _code(error) == lib.NVML_ERROR_LIBRARY_NOT_FOUND
            raise (NothingToReadError if absent else ReadingError)(_line(lib, error)) from error
        try:
            self.count: int = lib.nvmlDeviceGetCount()
        except self._failed as error:
            self.close()
            raise ReadingError(_line(lib, error)) from error
        if not self.count:
            self.close()
            raise NothingToReadError("no NVIDIA GPU on this host")

    def close(self) -> None:
        """Harmless when the library has shut down already."""
        with suppress(self._failed):
            self._lib.nvmlShutdown()

    def name(self, index: int) -> str:
        """The GPU's name, followed by `MIG` when it is split into instances."""
        handle = self._handle(index)
        suffix = " MIG" if self._parts(handle) != [handle] else ""
        return sanitize(self._try(self._lib.nvmlDeviceGetName, handle) or "NVIDIA GPU", 60) + suffix

    def processes(self, index: int) -> dict[int, int | None]:
        """Bytes that each compute process holds on a GPU; None where NVML does not report them."""
        held: dict[int, int | None] = {}
        for part in self._parts(self._handle(index)):
            for process in self._running(part):
                held[process.pid] = _added(held.get(process.pid, 0), process.usedGpuMemory)
        return held

    def read(self, index: int, pids: Collection[int] = ()) -> dict[str, float]:
        """One GPU's values by `model.gauges` name, with the memory that `pids` hold; those not reported are left out.

        For a GPU split by MIG, memory is that of the instances that run `pids`, or of all if none does; power,
        temperature and clock are those of the whole GPU, and there is no utilisation.
        """
        handle = self._handle(index)
        return self._memory(self._parts(handle), pids) | self._board(handle)

    def _handle(self, index: int) -> Any:
        try:
            return self._lib.nvmlDeviceGetHandleByIndex(index)
        except self._failed as error:
            raise ReadingError(f"GPU {index}: {_line(self._lib, error)}") from error

    def _parts(self, handle: Any) -> list[Any]:
        """The MIG instances of a GPU, or the GPU itself."""
        lib = self._lib
        mode = self._try(lib.nvmlDeviceGetMigMode, handle)
        if not mode or mode[0] != lib.NVML_DEVICE_MIG_ENABLE:
            return [handle]
        slots = self._try(lib.nvmlDeviceGetMaxMigDeviceCount, handle) or 0
        parts = [self._try(lib.nvmlDeviceGetMigDeviceHandleByIndex, handle, i) for i in range(slots)]
        return [part for part in parts if part is not None] or [handle]

    def _memory(self, parts: list[Any], pids: Collection[int]) -> dict[str, float]:
        by_part = [(part, [p for p in self._running(part) if p.pid in pids]) for part in parts]
        by_part = [(part, ours) for part, ours in by_part if ours] or by_part
        values: dict[str, float] = {}
        # Unified memory has no size of its own; what each process holds of it is known all the same.
        infos = [self._memory_info(part) for part, _ in by_part]
        if None not in infos and (total := sum(info.total for info in infos)):
            values[gauges.GPU_MEMORY_USED] = float(sum(info.used for info in infos))
            values[gauges.GPU_MEMORY_TOTAL] = float(total)
        held = [process.usedGpuMemory for _, ours in by_part for process in ours]
        if known := [size for size in held if size is not None]:
            values[gauges.GPU_MEMORY_ENGINE] = float(sum(known))
        return values

    def _running(self, part: Any) -> list[Any]:
        return self._try(self._lib.nvmlDeviceGetComputeRunningProcesses, part) or []

    def _memory_info(self, part: Any) -> Any:
        """Version 2 excludes what the driver reserves from `used`; drivers before 510 have only version 1."""
        lib = self._lib
        newer = self._try(lambda: lib.nvmlDeviceGetMemoryInfo(part, version=lib.nvmlMemory_v2))
        return newer if newer is not None else self._try(lib.nvmlDeviceGetMemoryInfo, part)

    def _board(self, handle: Any) -> dict[str, float]:
        lib = self._lib
        readings = {
            gauges.GPU_UTILIZATION: self._try(lambda: lib.nvmlDeviceGetUtilizationRates(handle).gpu),
            gauges.GPU_POWER: self._try(lambda: lib.nvmlDeviceGetPowerUsage(handle) / 1e3),
            gauges.GPU_ENERGY: self._try(lambda: lib.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3),
            gauges.GPU_TEMPERATURE: self._temperature(handle),
            gauges.GPU_SM_CLOCK: self._try(lib.nvmlDeviceGetClockInfo, handle, lib.NVML_CLOCK_SM),
            gauges.GPU_THROTTLED: self._throttled(handle),
        }
        return {name: float(value) for name, value in readings.items() if value is not None}

    def _temperature(self, handle: Any) -> Any:
        lib = self._lib
        sensor = lib.NVML_TEMPERATURE_GPU
        newer = self._try(lambda: lib.nvmlDeviceGetTemperatureV(handle, sensor))
        return newer if newer is not None else self._try(lib.nvmlDeviceGetTemperature, handle, sensor)

    def _throttled(self, handle: Any) -> float | None:
        reasons = self._try(self._lib.nvmlDeviceGetCurrentClocksEventReasons, handle)
        return None if reasons is None else float(bool(reasons & THROTTLE_REASONS))

    def _try(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """What the call returns, or None where this GPU, driver or user cannot have it. ReadingError: a lost GPU."""
        lib = self._lib
        try:
            return call(*arguments)
        except self._failed as error:
            if _code(error) in (lib.NVML_ERROR_GPU_IS_LOST, lib.NVML_ERROR_UNINITIALIZED):
                raise ReadingError(_line(lib, error)) from error
            return None


def _added(before: int | None, more: int | None) -> int | None:
    return None if before is None or more is None else before + more


def _code(error: Exception) -> int:
    return int(getattr(error, "value", -1))


def _line(lib: Any, error: Exception) -> str:
    lines = {
        lib.NVML_ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver on this host",
        lib.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is not loaded on this host",
        lib.NVML_ERROR_NO_PERMISSION: "no permission to read this host's GPUs",
        lib.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "NVIDIA's driver and library differ in version: reload the driver",
        lib.NVML_ERROR_GPU_IS_LOST: "the GPU has fallen off the bus or is lost",
        lib.NVML_ERROR_INVALID_ARGUMENT: "there is no such GPU on this host",
    }
    return lines.get(_code(error), f"NVML says: {error}")
