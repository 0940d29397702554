"""The settings of a running server that decide whether it may be compared, and the flag that changes one of them."""

from collections.abc import Mapping
from typing import Any

from tui.engines.base import Settings
from tui.engines.detect import DetectedServer
from tui.engines.readings import boolean, integer
from tui.engines.registry import ENGINES, get_engine
from tui.model.settings import ENGINE_SETTING, Value
from tui.model.text import sanitize
from tui.net.http import Site


async def read_settings(server: DetectedServer, *, timeout_s: float = 5, transport: Any = None) -> Settings:
    """The settings that a detected server reports, by key. `note` says why it reports few.

    An endpoint that is absent leaves its settings out.
    """
    info = server.info
    known: Settings = {
        "engine": info.engine,
        "version": info.version,
        "model": info.model,
        "max_model_len": info.max_model_len,
    }
    read = get_engine(info.engine).read_settings
    if read is None:
        known["note"] = f"{info.title} has no endpoint that reports its settings"
    else:
        async with server.client(transport) as http:
            reported = await read(Site(http, info.url, timeout_s), info)
        known |= {key: typed for key, value in reported.items() if (typed := _typed(key, value)) is not None}
    return {key: value for key, value in known.items() if value is not None}


def _typed(key: str, value: object) -> Value | None:
    """A reported value, which may be anything, as the setting's type; None when it is none."""
    kind = ENGINE_SETTING[key].type if key in ENGINE_SETTING else str
    if kind is int:
        return integer(value)
    if kind is bool:
        return boolean(value)
    return sanitize(value) or None if isinstance(value, str) else None


def flag_for(settings: Mapping[str, object], key: str, value: object) -> str:
    """The flag that gives the server with these settings another value, as its engine and version spell it.

    Empty when there is none.
    """
    engine = ENGINES.get(str(settings.get("engine")))
    flag = engine.flags.get(key) if engine is not None else None
    if flag is None or not isinstance(value, str | int | float):
        return ""
    return flag.for_version(str(settings.get("version", ""))).text(value, settings)
