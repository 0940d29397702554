"""GPUs through a command of the user's: it prints a line a GPU, ends, or cannot be run."""

import asyncio
import shlex
import sys

import pytest

from tui.model import gauges
from tui.model.rows import GaugeRow
from tui.telemetry.gpu_command import CommandReader
from tui.telemetry.server import ReadingError

LINE = "0, 1024, 81559, 87, 312.50, 61, 1755, NVIDIA H100 80GB HBM3"
PRINTS = f'{shlex.quote(sys.executable)} -c \'print("warning: banner"); print("{LINE}"); print("1{LINE[1:]}")\' '


def test_a_line_is_the_readings_of_a_gpu() -> None:
    reader = CommandReader("a", "x", ())
    values = {row.name: row.value for row in reader.rows(LINE)}
    assert values[gauges.GPU_MEMORY_USED] == 1 << 30
    assert (values[gauges.GPU_UTILIZATION], values[gauges.GPU_POWER]) == (87.0, 312.5)
    assert {row.source for row in reader.rows(LINE)} == {"gpu0"}
    assert reader.rows("Warning: permanently added, host") == []
    assert gauges.GPU_POWER not in {row.name for row in reader.rows(LINE.replace("312.50", "[N/A]"))}
    assert CommandReader("a", "x", [1]).rows(LINE) == []


async def test_a_command_is_followed_and_its_end_is_a_fault_of_the_reading_only() -> None:
    reader = CommandReader("a", PRINTS, ())
    assert await reader.names() == {0: "NVIDIA H100 80GB HBM3", 1: "NVIDIA H100 80GB HBM3"}
    rows: list[GaugeRow] = []
    faults: list[str] = []
    ended = asyncio.Event()

    def fault(text: str) -> None:
        faults.append(text)
        if text:
            ended.set()

    task = asyncio.create_task(reader.run(rows.extend, fault))
    await asyncio.wait_for(ended.wait(), 30)
    task.cancel()
    assert {row.source for row in rows} == {"gpu0", "gpu1"}
    assert faults == ["", "gpu_command ended; it is started again"]


async def test_what_cannot_be_run_is_one_sentence() -> None:
    for command in ("/no/such/program", "'unfinished"):
        with pytest.raises(ReadingError, match="gpu_command cannot be run"):
            await CommandReader("a", command, ()).names()
