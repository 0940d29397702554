"""What a running server says of its own settings, in the words of `records.terms`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import PurePosixPath
from typing import Any

from tui.engines.fetch import Site, client
from tui.engines.recognise import Found
from tui.records.session import LaneInfo
from tui.records.text import clean
from tui.telemetry.numbers import finite
from tui.telemetry.prometheus import parse


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
    found: Found, *, verify: bool = True, timeout_s: float = 5, transport: Any = None
) -> Settings:
    """Ask a recognised server for its settings. An endpoint that is absent leaves its settings None."""
    base = Settings(found.info.engine, found.info.version, found.info.model, max_model_len=found.info.max_model_len)
    reader = _READERS.get(found.info.engine)
    if reader is None:
        return replace(base, note=f"{found.info.title} has no endpoint that tells its settings")
    async with client(found.headers, verify=verify, transport=transport) as http:
        told = await reader(Site(http, found.info.url, timeout_s), found.info)
    return replace(base, **{name: value for name, value in told.items() if value is not None})


async def _vllm(site: Site, info: LaneInfo) -> dict[str, Any]:
    told = _vllm_cache((await site.ask("/metrics")).body)
    told["weights"] = _last(await _root(site, info.model))
    config = (await site.ask("/server_info?config_format=json")).told().get("vllm_config")
    if not isinstance(config, dict):
        return told | {"note": "vLLM tells the rest only when started with VLLM_SERVER_DEV_MODE=1 in its environment"}
    return told | _vllm_config(config)


def _vllm_cache(page: bytes) -> dict[str, Any]:
    """From the labels of `cache_config_info`; under data parallelism every replica has its own pool."""
    try:
        replicas = [labels for labels, _ in parse(page, ["vllm:cache_config_info"]).get("vllm:cache_config_info", [])]
    except ValueError:
        replicas = []
    if not replicas:
        return {}
    first = replicas[0]
    block = _int(first.get("block_size"))
    pools = [_int(labels.get("kv_cache_size_tokens")) or _product(labels, block) for labels in replicas]
    return {
        "kv_tokens": sum(pool for pool in pools if pool) or None,
        "kv_block": block,
        "prefix_cache": {"True": True, "False": False}.get(first.get("enable_prefix_caching", "")),
        "kv_dtype": first.get("cache_dtype"),
        "memory_fraction": finite(first.get("gpu_memory_utilization")),
    }


def _product(labels: Mapping[str, str], block: int | None) -> int | None:
    blocks = _int(labels.get("num_gpu_blocks"))
    return blocks * block if blocks and block else None


def _vllm_config(config: Mapping[str, Any]) -> dict[str, Any]:
    model, scheduler = _table(config, "model_config"), _table(config, "scheduler_config")
    compilation, parallel = _table(config, "compilation_config"), _table(config, "parallel_config")
    generation = model.get("generation_config")
    eager = model.get("enforce_eager")
    graphs = None if eager is None else not eager and bool(compilation.get("cudagraph_mode", True))
    return {
        "quantisation": _text(model.get("quantization")) or "none",
        "dtype": _text(str(model.get("dtype", "")).removeprefix("torch.")),
        "tensor_parallel": _int(parallel.get("tensor_parallel_size")),
        "max_running": _int(scheduler.get("max_num_seqs")),
        "speculative": "on" if config.get("speculative_config") else "off",
        "cuda_graphs": graphs,
        "cuda_graph_max": _int(compilation.get("max_cudagraph_capture_size")) if graphs else None,
        "prefill_budget": _int(scheduler.get("max_num_batched_tokens")),
        "chunked_prefill": _bool(scheduler.get("enable_chunked_prefill")),
        "mixed_prefill": True,
        "sampling_defaults": None if generation is None else "neutral" if generation == "vllm" else "model",
        "overlap": _bool(scheduler.get("async_scheduling")),
        "stream_interval": _int(scheduler.get("stream_interval")),
        "seed": _int(model.get("seed")),
    }


async def _sglang(site: Site, info: LaneInfo) -> dict[str, Any]:
    state = (await site.ask("/server_info")).told() or (await site.ask("/get_server_info")).told()
    if not state:
        return {"note": "SGLang's /server_info does not answer"}
    inner = _rows(state.get("internal_states"))
    running = [_int(row.get("effective_max_running_requests_per_dp")) for row in inner]
    decode = _table(_table(state, "cuda_graph_config"), "decode")
    chunk = _int(state.get("chunked_prefill_size"))
    graphs = decode.get("backend") != "disabled" if decode else _not(state.get("disable_cuda_graph"))
    ranks = _int(state.get("dp_size")) or 1
    pool = _int(state.get("max_total_num_tokens"))
    return {
        "weights": _last(state.get("model_path")),
        "quantisation": _text(state.get("quantization")) or "none",
        "dtype": _text(state.get("dtype")),
        "tensor_parallel": _int(state.get("tp_size")),
        "kv_tokens": pool * ranks if pool else None,
        "max_running": running[0] * ranks if running and running[0] else _int(state.get("max_running_requests")),
        "prefix_cache": _not(state.get("disable_radix_cache")),
        "speculative": clean(state.get("speculative_algorithm") or "off", 30),
        "cuda_graphs": graphs,
        "cuda_graph_max": _int(decode.get("max_bs", state.get("cuda_graph_max_bs"))) if graphs else None,
        "kv_dtype": clean(state["kv_cache_dtype"], 40) if "kv_cache_dtype" in state else None,
        "prefill_budget": chunk if chunk and chunk > 0 else _int(state.get("max_prefill_tokens")),
        "chunked_prefill": None if chunk is None else chunk > 0,
        "mixed_prefill": _bool(state.get("enable_mixed_chunk")),
        "kv_block": _int(state.get("page_size")),
        "sampling_defaults": {"model": "model", "openai": "neutral"}.get(str(state.get("sampling_defaults"))),
        "overlap": _not(state.get("disable_overlap_schedule")),
        "stream_interval": _int(state.get("stream_interval")),
        "seed": _int(state.get("random_seed")),
        "memory_fraction": finite(state.get("mem_fraction_static")),
    }


async def _llamacpp(site: Site, info: LaneInfo) -> dict[str, Any]:
    props = (await site.ask("/props")).told()
    slots = _int(props.get("total_slots"))
    kind = clean(props.get("model_ftype", ""), 40)  # "all F32", "BF16", "Q4_K - Medium"
    whole = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}.get(kind.removeprefix("all "))
    return {
        "weights": _last(props.get("model_path")),
        "quantisation": "none" if whole else kind or None,
        "dtype": whole,
        "max_running": slots,
        "kv_tokens": slots * info.max_model_len if slots and info.max_model_len else None,
        "sampling_defaults": "model",
    }


async def _tgi(site: Site, info: LaneInfo) -> dict[str, Any]:
    told = (await site.ask("/info")).told()
    return {
        "weights": _last(told.get("model_id")),
        "dtype": _text(str(told.get("model_dtype") or "").removeprefix("torch.")),
        "kv_tokens": _int(told.get("max_batch_total_tokens")),
        "max_running": _int(told.get("max_concurrent_requests")),
    }


_READERS: dict[str, Callable[[Site, LaneInfo], Awaitable[dict[str, Any]]]] = {
    "vllm": _vllm,
    "sglang": _sglang,
    "llamacpp": _llamacpp,
    "tgi": _tgi,
}


async def _root(site: Site, model: str) -> object:
    """The path of the weights behind a served name, from /v1/models."""
    rows = _rows((await site.ask("/v1/models")).told().get("data"))
    return next((entry.get("root") for entry in rows if entry.get("id") == model), None)


def _rows(value: object) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _table(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = parent.get(key)
    return found if isinstance(found, dict) else {}


def _int(value: object) -> int | None:
    """A whole number, also from the text of a label."""
    number = finite(value)
    return int(number) if number is not None else None


def _bool(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _not(value: object) -> bool | None:
    return not value if isinstance(value, bool) else None


def _text(value: object) -> str | None:
    """A setting's text; "auto" says nothing about what it was resolved to."""
    text = clean(value, 40) if isinstance(value, str) else ""
    return text if text and text not in ("auto", "None") else None


def _last(path: object) -> str | None:
    return clean(PurePosixPath(path).name, 80) or None if isinstance(path, str) else None
