"""GPUs of another host through a command of the user's, as `ssh gpu-host nvidia-smi`: one process, a line a GPU."""

from __future__ import annotations

import asyncio
import math
import shlex
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from tui.model import gauges
from tui.model.rows import GaugeRow, Lane
from tui.model.text import sanitize
from tui.telemetry.server import PERIOD_S, Emit, Fault, ReadingError

_MIB: Final = float(1 << 20)
# nvidia-smi's name of each column, and the gauge that it is with its factor.
COLUMNS: Final = {
    "memory.used": (gauges.GPU_MEMORY_USED, _MIB),
    "memory.total": (gauges.GPU_MEMORY_TOTAL, _MIB),
    "utilization.gpu": (gauges.GPU_UTILIZATION, 1.0),
    "power.draw": (gauges.GPU_POWER, 1.0),
    "temperature.gpu": (gauges.GPU_TEMPERATURE, 1.0),
    "clocks.sm": (gauges.GPU_SM_CLOCK, 1.0),
}
QUERY: Final = (f"--query-gpu=index,{','.join(COLUMNS)},name", "--format=csv,noheader,nounits")
SILENT_S: Final = 10.0  # after it the command hangs
AGAIN_S: Final = 5.0
MAX_LINE: Final = 4096
_NAME_PLACE: Final = len(COLUMNS) + 1


class CommandReader:
    """Reads a lane's GPUs from what a command prints each second. Its failures are faults of the reading only."""

    def __init__(self, lane: Lane, command: str, gpus: Sequence[int]) -> None:
        self._lane: Lane = lane
        self._command = command
        self._gpus = frozenset(gpus)
        self.note = ""

    async def names(self) -> dict[int, str]:
        """The GPUs' names by index. Raises ReadingError."""
        process = await self._started()
        try:
            async with asyncio.timeout(SILENT_S):
                out, _ = await process.communicate()
        except TimeoutError as error:
            raise ReadingError(f"gpu_command printed nothing for {SILENT_S:g} s") from error
        finally:
            await _end(process)
        rows = [cells for line in out.decode("utf-8", "replace").splitlines() if (cells := self._cells(line))]
        if not rows:
            raise ReadingError(f"gpu_command prints no GPU: it must take nvidia-smi's flags ({QUERY[1]})")
        return {int(cells[0]): sanitize(", ".join(cells[_NAME_PLACE:]), 60) for cells in rows}

    async def run(self, emit: Emit, fault: Fault, period_s: float = PERIOD_S) -> None:
        """Emit readings until cancelled; a command that ended is started again."""
        while True:
            try:
                await self._follow(emit, fault, period_s)
            except ReadingError as error:
                fault(str(error))
            await asyncio.sleep(AGAIN_S)

    async def _follow(self, emit: Emit, fault: Fault, period_s: float) -> None:
        process = await self._started("-l", f"{max(round(period_s), 1)}")
        assert process.stdout is not None
        was_read = False
        try:
            while True:
                try:
                    line = await asyncio.wait_for(process.stdout.readline(), SILENT_S)
                except TimeoutError as error:
                    raise ReadingError(f"gpu_command printed nothing for {SILENT_S:g} s") from error
                except ValueError as error:
                    raise ReadingError("gpu_command prints lines that are too long") from error
                if not line:
                    raise ReadingError("gpu_command ended; it is started again")
                if rows := self.rows(line.decode("utf-8", "replace")):
                    emit(rows)
                    if not was_read:
                        fault("")
                    was_read = True
        finally:
            await _end(process)

    def rows(self, line: str) -> list[GaugeRow]:
        """The readings of one GPU; none in a line that is something else."""
        if (cells := self._cells(line)) is None:
            return []
        t_ns = time.monotonic_ns()
        values = [(name, _number(cell), factor)
                  for cell, (name, factor) in zip(cells[1:], COLUMNS.values(), strict=False)]  # fmt: skip
        source = f"gpu{int(cells[0])}"
        return [GaugeRow(self._lane, source, name, t_ns, v * factor) for name, v, factor in values if v is not None]

    def _cells(self, line: str) -> list[str] | None:
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) <= _NAME_PLACE or not cells[0].isdecimal() or len(cells[0]) > 3:
            return None
        return cells if not self._gpus or int(cells[0]) in self._gpus else None

    async def _started(self, *more: str) -> asyncio.subprocess.Process:
        try:
            words = shlex.split(self._command)
            return await asyncio.create_subprocess_exec(
                *words, *QUERY, *more, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL, start_new_session=True, limit=MAX_LINE,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            raise ReadingError(f"gpu_command cannot be run ({error})") from error


def _number(cell: str) -> float | None:
    """None of what nvidia-smi could not read: `[N/A]`."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 2)
