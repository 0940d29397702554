"""Simulated engines, each in a process that ends with the one that started it and needs none of their libraries.

`python -m tui.simulator.process --engine vllm`: serve one simulated engine, print its port, end when stdin does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
from dataclasses import dataclass
from typing import IO

import msgspec

from tui.model.profile import LaneProfile, Profile
from tui.model.rows import Lane
from tui.model.text import UserError, sanitize

START_WITHIN_S = 20.0
END_WITHIN_S = 3.0


@dataclass(slots=True)
class SimulatorProcess:
    process: asyncio.subprocess.Process
    url: str = ""

    @property
    def dcgm_url(self) -> str:
        """The metrics page of its GPU."""
        return f"{self.url}/dcgm/metrics"

    async def stop(self) -> None:
        """End it and wait until it is gone. A second call does nothing."""
        if self.process.stdin is not None:
            self.process.stdin.close()  # it ends at the end of its input
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), END_WITHIN_S)
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


async def start_simulator(engine: str, *, seed: int = 0, speed: float = 1.0, port: int = 0) -> SimulatorProcess:
    """Start one on loopback; port 0 is any free one. Raises UserError when it does not serve."""
    options = ("--engine", engine, "--seed", str(seed), "--speed", str(speed), "--port", str(port))
    with tempfile.TemporaryFile() as stderr:  # it must not write over the screen
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tui.simulator.process", *options),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,  # ctrl+c on the terminal is for the screen, which stops this process in order
        )
        simulator = SimulatorProcess(process)
        try:
            simulator.url = f"http://127.0.0.1:{await _port(process, engine, stderr)}"
        except BaseException:  # cancelled or late: leave no orphan
            await simulator.stop()
            raise
    return simulator


async def _port(process: asyncio.subprocess.Process, engine: str, stderr: IO[bytes]) -> int:
    """The port it prints once it listens."""
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_WITHIN_S)
    except TimeoutError as error:
        raise UserError(f"the simulator did not start within {START_WITHIN_S:g} s; is this machine busy?") from error
    if line.strip().isdigit():
        return int(line)
    code = await process.wait()
    stderr.seek(0)
    lines = stderr.read().decode(errors="replace").strip().splitlines()
    why = sanitize(lines[-1]) if lines else "it gave no reason"
    raise UserError(f"the {sanitize(engine)} simulator ended with code {code} before it served: {why}")


class SimulatedLanes:
    """The simulators of the lanes that ask for one."""

    def __init__(self) -> None:
        self._running: dict[Lane, SimulatorProcess] = {}

    async def start(self, profile: Profile) -> Profile:
        """Start them; returns the profile with their URLs."""
        a, b = await asyncio.gather(self._lane("a", profile.a), self._lane("b", profile.b))
        return msgspec.structs.replace(profile, a=a, b=b)

    async def stop(self) -> None:
        await asyncio.gather(*(process.stop() for process in self._running.values()))

    async def crash(self, lane: Lane) -> None:
        """Kill the simulator of a lane, if it has one."""
        if (simulator := self._running.get(lane)) is not None:
            with contextlib.suppress(ProcessLookupError):
                simulator.process.kill()
            await simulator.process.wait()

    async def revive(self, lane: Lane, engine: str) -> None:
        """Start the crashed simulator of a lane again, at the same URL. UserError when it does not serve."""
        if (simulator := self._running.get(lane)) is not None and simulator.process.returncode is not None:
            port = int(simulator.url.rpartition(":")[2])
            self._running[lane] = await start_simulator(engine, port=port)

    async def _lane(self, lane: Lane, server: LaneProfile | None) -> LaneProfile | None:
        if server is None or not server.simulate or server.url:  # one with a URL has its simulator already
            return server
        process = self._running[lane] = await start_simulator(server.simulate)
        return msgspec.structs.replace(server, url=process.url, dcgm=process.dcgm_url)


async def _cancel_when_stdin_ends(serving: asyncio.Task[None]) -> None:
    """The parent holds the other end of stdin, which ends with that process, killed or not."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass
    serving.cancel()


async def _main(args: argparse.Namespace) -> None:
    from tui.simulator.server import serve  # with aiohttp: 11 MB that the process of the screen need not hold

    def ready(port: int) -> None:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()

    serving = asyncio.create_task(
        serve(args.engine, "127.0.0.1", args.port, seed=args.seed, speed=args.speed, on_ready=ready)
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    watching = asyncio.create_task(_cancel_when_stdin_ends(serving))
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    watching.cancel()


if __name__ == "__main__":
    from tui.simulator.scheduler import PRESETS

    parser = argparse.ArgumentParser(prog="python -m tui.simulator.process")
    parser.add_argument("--engine", choices=tuple(PRESETS), default="vllm")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speed", type=float, default=1.0)
    asyncio.run(_main(parser.parse_args()))
