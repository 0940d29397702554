"""Empties a server's prefix cache, so that a measurement begins with none of the last one's prompts in it."""

from typing import Any

from tui.engines.base import Engine
from tui.engines.fetch import Site, client
from tui.engines.recognise import Found
from tui.engines.registry import engine

_ABSENT = (404, 501)
_MOST_SLOTS = 1024


async def reset_cache(found: Found, *, verify: bool = True, timeout_s: float = 10, transport: Any = None) -> str:
    """Empty the cache. Returns an empty string when that is done, else one line that says why it is not."""
    own = engine(found.info.engine)
    if not own.reset_path:
        return f"{own.title} has no endpoint that empties its prefix cache; restart it"
    async with client(found.headers, verify=verify, transport=transport) as http:
        site = Site(http, found.info.url, timeout_s)
        for path in await _paths(site, own):
            answer = await site.ask(path, {})
            if answer.status in _ABSENT:
                return f"{own.title} empties its prefix cache only when {own.reset_needs}"
            if answer.status != 200 or answer.told().get("success") is False:
                why = f"HTTP {answer.status}: {answer.words()}" if answer.status else "no answer"
                return f"{own.title} did not empty its prefix cache ({why})"
    return ""


async def _paths(site: Site, own: Engine) -> list[str]:
    """Where to post: once, or for each of the slots that hold a cache of their own."""
    if "{slot}" not in own.reset_path:
        return [own.reset_path]
    slots = (await site.ask("/props")).told().get("total_slots")
    return [
        own.reset_path.replace("{slot}", str(n))
        for n in range(min(slots, _MOST_SLOTS) if isinstance(slots, int) else 1)
    ]
