"""The GPUs of this host that one lane's server uses, found through the processes that serve its port."""

import time
from collections.abc import Callable, Sequence

from tui.records.rows import GaugeRow, Lane
from tui.telemetry.beat import ReadingError
from tui.telemetry.nvml import Nvml
from tui.telemetry.processes import serving_pids

LOOK_AGAIN_S = 10.0


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
            self._look_at = time.monotonic() + LOOK_AGAIN_S
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
