"""Emptying prefix caches, so that a measurement begins without the prompts of the last one."""

import asyncio
from typing import Any

from tui.engines.base import Engine
from tui.engines.detect import DetectedServer, detect_lane
from tui.engines.registry import get_engine
from tui.model.profile import LaneProfile, Profile
from tui.model.rows import Lane
from tui.model.text import UserError
from tui.net.http import Site

_ABSENT = (404, 501)
_MAX_SLOTS = 1024


async def reset_cache(server: DetectedServer, *, timeout_s: float = 10, transport: Any = None) -> str:
    """Empty the prefix cache. Returns an empty string, or one line that says why it was not emptied."""
    engine = get_engine(server.info.engine)
    if not engine.reset_path:
        return f"{engine.title} has no endpoint that empties its prefix cache; restart it"
    async with server.client(transport) as http:
        site = Site(http, server.info.url, timeout_s)
        for path in await _paths(site, engine):
            answer = await site.ask(path, {})
            if answer.status in _ABSENT:
                return f"{engine.title} empties its prefix cache only when {engine.reset_needs}"
            if answer.status != 200 or answer.json_object().get("success") is False:
                why = f"HTTP {answer.status}: {answer.error_message()}" if answer.status else "no answer"
                return f"{engine.title} did not empty its prefix cache ({why})"
    return ""


async def _paths(site: Site, engine: Engine) -> list[str]:
    """Where to post: once, or for each slot, where each holds a cache."""
    if engine.read_slots is None:
        return [engine.reset_path]
    slots = min(await engine.read_slots(site), _MAX_SLOTS)
    return [engine.reset_path.replace("{slot}", str(slot)) for slot in range(slots)]


async def empty_caches(profile: Profile) -> list[str]:
    """Empty the prefix cache of every lane's server; a line for each says whether that worked."""
    return list(await asyncio.gather(*(_empty(lane, server) for lane, server in profile.lanes.items())))


async def _empty(lane: Lane, profile: LaneProfile) -> str:
    try:
        why = await reset_cache(await detect_lane(profile))
    except UserError as error:
        why = str(error)
    return f"lane {lane.upper()}: {why or 'its prefix cache is empty now'}"
