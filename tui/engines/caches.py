"""Empties a server's prefix cache, so that a measurement begins with none of the last one's prompts in it."""

from typing import Any

from tui.engines.fetch import Site, client
from tui.engines.recognise import Found
from tui.engines.registry import engine


async def reset_cache(found: Found, *, verify: bool = True, timeout_s: float = 10, transport: Any = None) -> str:
    """Empty the cache. Returns an empty string when that is done, else one line that says why it is not."""
    own = engine(found.info.engine)
    if not own.reset_path:
        return f"{own.title} has no endpoint that empties its prefix cache; restart it"
    async with client(found.headers, verify=verify, transport=transport) as http:
        answer = await Site(http, found.info.url, timeout_s).ask(own.reset_path, {})
    if answer.status == 404:
        return f"{own.title} empties its prefix cache only when {own.reset_needs}"
    if answer.status != 200 or answer.told().get("success") is False:
        return f"{own.title} did not empty its prefix cache (HTTP {answer.status}): {answer.words()}"
    return ""
