"""What a running server says of its own settings, in the words of `records.terms`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from tui.engines.detect import DetectedServer
from tui.model.session import LaneInfo
from tui.net.http import Site, client
from tui.telemetry.told import llamacpp, lmdeploy, ollama, sglang, tgi, trtllm, vllm
from tui.telemetry.told.values import Told


@dataclass(frozen=True, slots=True)
class Settings:
    """The resolved settings of one server. None: it does not say."""

    engine: str
    version: str
    model: str
    weights: str | None = None  # the last part of the path or repository that it loaded
    quantisation: str | None = None  # "none" when there is none
    dtype: str | None = None
    tensor_parallel: int | None = None
    max_model_len: int | None = None
    kv_tokens: int | None = None
    max_running: int | None = None
    prefix_cache: bool | None = None
    speculative: str | None = None  # "off" when it is
    cuda_graphs: bool | None = None
    kv_dtype: str | None = None  # "auto" is that of the weights
    cuda_graph_max: int | None = None
    prefill_budget: int | None = None
    chunked_prefill: bool | None = None
    mixed_prefill: bool | None = None
    kv_block: int | None = None
    sampling_defaults: str | None = None  # "model" or "neutral"
    overlap: bool | None = None
    stream_interval: int | None = None
    seed: int | None = None
    memory_fraction: float | None = None
    note: str = ""  # why it says little

    def known(self) -> dict[str, object]:
        """What it does say, by key."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


async def read_settings(
    found: DetectedServer, *, verify: bool = True, timeout_s: float = 5, transport: Any = None
) -> Settings:
    """Ask a recognised server for its settings. An endpoint that is absent leaves its settings None."""
    base = Settings(found.info.engine, found.info.version, found.info.model, max_model_len=found.info.max_model_len)
    reader = _READERS.get(found.info.engine)
    if reader is None:
        return replace(base, note=f"{found.info.title} has no endpoint that tells its settings")
    async with client(found.headers, verify=verify, transport=transport) as http:
        told = await reader(Site(http, found.info.url, timeout_s), found.info)
    return replace(base, **{name: value for name, value in told.items() if value is not None})


_READERS: dict[str, Callable[[Site, LaneInfo], Awaitable[Told]]] = {
    "vllm": vllm.read,
    "sglang": sglang.read,
    "trtllm": trtllm.read,
    "lmdeploy": lmdeploy.read,
    "llamacpp": llamacpp.read,
    "ollama": ollama.read,
    "tgi": tgi.read,
}
