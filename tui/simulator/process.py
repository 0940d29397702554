"""A simulated engine in a process of its own, which ends with the one that started it."""

import asyncio
import contextlib
import sys
from dataclasses import dataclass

START_WITHIN_S = 20.0
END_WITHIN_S = 3.0


@dataclass(slots=True)
class SimulatorProcess:
    """A running simulator."""

    url: str
    dcgm_url: str
    process: asyncio.subprocess.Process

    async def stop(self) -> None:
        """End it and wait until it is gone."""
        if self.process.stdin is not None:
            self.process.stdin.close()  # it ends at the end of its input
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), END_WITHIN_S)
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


async def start_simulator(engine: str, *, seed: int = 0, speed: float = 1.0) -> SimulatorProcess:
    """Start one on a free port of loopback and wait until it serves."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tui.simulator", "--engine", engine, "--seed", str(seed), "--speed", str(speed)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # ctrl+c on the terminal is for the screen, which ends this one in order
    )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), START_WITHIN_S)
    if not line:
        raise RuntimeError(f"the {engine} simulator ended with code {await process.wait()} before it served")
    url = f"http://127.0.0.1:{int(line)}"
    return SimulatorProcess(url, f"{url}/dcgm/metrics", process)
