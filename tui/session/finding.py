"""The server of a lane, recognised as its profile describes it."""

import os

from tui.engines.recognise import Found, recognise
from tui.engines.registry import engine
from tui.profile.model import LaneProfile
from tui.records.errors import UserError


async def find(server: LaneProfile, *, timeout_s: float = 5) -> Found:
    """Recognise it. UserError when there is none, or it cannot do what the profile asks of it.

    The key comes from the environment variable that the profile names; it goes nowhere but into a header.
    """
    found = await recognise(
        server.url,
        key=os.environ.get(server.api_key_env, "") if server.api_key_env else "",
        key_env=server.api_key_env,
        kind=server.engine,
        model=server.model,
        endpoint=server.endpoint,
        headers=server.headers,
        verify=server.verify_tls,
        timeout_s=timeout_s,
    )
    if server.usage == "each" and engine(found.info.engine).usage == "end":
        raise UserError(f"{found.info.title} counts tokens at the end of an answer only: leave usage out, or end")
    if server.usage == "end" and found.info.endpoint == "generate":
        raise UserError(f"{found.info.title} counts tokens in every chunk of /generate: leave usage out, or each")
    return found
