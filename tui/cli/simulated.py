"""Start the simulated engines that a profile asks for, each in its own process."""

import asyncio
from typing import TYPE_CHECKING

import msgspec

from tui.profile.model import LaneProfile, Profile

if TYPE_CHECKING:
    from tui.simulator.process import SimulatorProcess


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
