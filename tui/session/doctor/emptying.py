"""Empties the prefix caches of a profile's servers: both begin with nothing, whatever they served before."""

import asyncio

from tui.engines.caches import reset_cache
from tui.profile.model import LaneProfile, Profile
from tui.records.errors import UserError
from tui.records.rows import LANES, Lane
from tui.session.finding import find


async def empty_caches(profile: Profile) -> list[str]:
    """A line for each lane: that its cache is empty, or why it is not."""
    servers = {lane: server for lane, server in zip(LANES, (profile.a, profile.b), strict=True) if server is not None}
    return list(await asyncio.gather(*(_empty(lane, server) for lane, server in servers.items())))


async def _empty(lane: Lane, server: LaneProfile) -> str:
    try:
        why = await reset_cache(await find(server), verify=server.verify_tls)
    except UserError as error:
        why = str(error)
    return f"lane {lane.upper()}: {why or 'its prefix cache is empty now'}"
