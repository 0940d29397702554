"""Version and context length, each engine's own way."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tui.net.http import Site


@dataclass(frozen=True, slots=True)
class Details:
    """What a server says of itself; empty and None: it does not say."""

    version: str = ""
    max_model_len: int | None = None


async def read(site: Site, kind: str, entry: dict[str, Any]) -> Details:
    """Version and context length; `entry` is the model's in /v1/models."""
    reader = _READERS.get(kind)
    found = await reader(site, entry) if reader else Details()
    if found.max_model_len is None:
        return Details(found.version, _count(entry.get("max_model_len")))
    return found


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


async def _version(site: Site, entry: dict[str, Any]) -> Details:
    return Details(str((await site.ask("/version")).json_object().get("version", "")))


async def _sglang(site: Site, entry: dict[str, Any]) -> Details:
    for path in ("/server_info", "/get_server_info"):
        if version := (await site.ask(path)).json_object().get("version"):
            return Details(str(version))
    return Details()


async def _llamacpp(site: Site, entry: dict[str, Any]) -> Details:
    props = (await site.ask("/props")).json_object()
    settings = props.get("default_generation_settings")
    context = _count(settings.get("n_ctx")) if isinstance(settings, dict) else None
    return Details(str(props.get("build_info", "")), context)


async def _ollama(site: Site, entry: dict[str, Any]) -> Details:
    version = (await site.ask("/api/version")).json_object().get("version", "")
    loaded = (await site.ask("/api/ps")).json_object().get("models")
    rows = [row for row in loaded if isinstance(row, dict)] if isinstance(loaded, list) else []
    context = next((_count(row.get("context_length")) for row in rows if row.get("name") == entry.get("id")), None)
    return Details(str(version), context)


async def _tgi(site: Site, entry: dict[str, Any]) -> Details:
    info = (await site.ask("/info")).json_object()
    return Details(str(info.get("version", "")), _count(info.get("max_total_tokens")))


_READERS: dict[str, Callable[[Site, dict[str, Any]], Awaitable[Details]]] = {
    "vllm": _version,
    "trtllm": _version,
    "sglang": _sglang,
    "llamacpp": _llamacpp,
    "ollama": _ollama,
    "tgi": _tgi,
}
