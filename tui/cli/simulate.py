"""`dragstrip simulate`: one simulated engine, until interrupted.

Start the simulated engines that a profile asks for, each in its own process.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

import msgspec

from tui.cli.console import print_notice
from tui.model.profile import SIMULATED, LaneProfile, Profile
from tui.model.text import UserError

if TYPE_CHECKING:
    from tui.simulator.process import SimulatorProcess


HELP = "serve one simulated engine"
MOST_PORT = 65535


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which engine, and where."""
    engine = SIMULATED[0]
    parser.add_argument("--engine", choices=SIMULATED, default=engine, help=f"engine to simulate ({engine})")
    parser.add_argument("--host", default="127.0.0.1", help="where it listens (127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (0)")
    parser.add_argument("--seed", type=int, default=0, help="seed of its jitter (0)")
    parser.add_argument("--speed", type=float, default=1.0, help="2 serves twice as fast as the study's engine (1)")


def call(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from tui.simulator.server import serve

    def ready(port: int) -> None:
        print_notice(f"SIMULATED {args.engine} on http://{args.host}:{port}; end it with ctrl+c")

    if not 0 <= args.port <= MOST_PORT:
        raise UserError(f"--port is {args.port}, but must lie between 0 and {MOST_PORT}")
    if not 0 < args.speed < float("inf"):
        raise UserError(f"--speed is {args.speed:g}, but must be above 0")
    try:
        asyncio.run(serve(args.engine, args.host, args.port, seed=args.seed, speed=args.speed, on_ready=ready))
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot listen on {args.host}:{args.port} ({reason}); --port 0 takes a free one") from error
    return 0


class SimulatedLanes:
    """The simulators of one session. `prepare` starts them and `stop` ends them."""

    def __init__(self) -> None:
        self._running: list[SimulatorProcess] = []

    async def prepare(self, profile: Profile) -> Profile:
        """The profile with the URL of a running simulator in each lane that asks for one."""
        a, b = await asyncio.gather(self._lane(profile.a), self._lane(profile.b))
        return msgspec.structs.replace(profile, a=a, b=b)

    async def stop(self) -> None:
        """End every simulator that was started."""
        await asyncio.gather(*(process.stop() for process in self._running))

    async def _lane(self, lane: LaneProfile | None) -> LaneProfile | None:
        if lane is None or not lane.simulate:
            return lane
        from tui.simulator.process import start_simulator

        process = await start_simulator(lane.simulate)
        self._running.append(process)
        return msgspec.structs.replace(lane, url=process.url, dcgm=process.dcgm_url)
