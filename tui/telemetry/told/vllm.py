"""vLLM: the labels of its cache gauge, and all the rest in development mode."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tui.model.session import LaneInfo
from tui.model.text import sanitize
from tui.net.http import Site
from tui.net.prometheus import parse
from tui.telemetry.server import finite
from tui.telemetry.told.values import Told, flag, last_part, rows, table, text, whole

SERVER_INFO_S = 30.0


async def read(site: Site, info: LaneInfo) -> Told:
    """Without development mode there are pool, block, prefix cache and memory fraction alone."""
    told = _vllm_cache((await site.ask("/metrics")).body)
    told["weights"] = last_part(await _root(site, info.model))
    # The first time it gathers facts about its host beside, with commands that take seconds, more on a busy host.
    answer = await replace(site, timeout_s=max(site.timeout_s, SERVER_INFO_S)).ask("/server_info?config_format=json")
    config = answer.json_object().get("vllm_config")
    if isinstance(config, dict):
        return told | _vllm_config(config)
    why = "tells the rest only when started with VLLM_SERVER_DEV_MODE=1 in its environment"
    return told | {"note": f"vLLM {why if answer.status else 'does not answer at /server_info in time: ask again'}"}


def _vllm_cache(page: bytes) -> Told:
    """From the labels of `cache_config_info`; under data parallelism every replica has its own pool."""
    try:
        replicas = [labels for labels, _ in parse(page, ["vllm:cache_config_info"]).get("vllm:cache_config_info", [])]
    except ValueError:
        replicas = []
    if not replicas:
        return {}
    first = replicas[0]
    block = whole(first.get("block_size"))
    pools = [whole(labels.get("kv_cache_size_tokens")) or _product(labels, block) for labels in replicas]
    return {
        "kv_tokens": sum(pool for pool in pools if pool) or None,
        "kv_block": block,
        "prefix_cache": {"True": True, "False": False}.get(first.get("enable_prefix_caching", "")),
        "kv_dtype": sanitize(first.get("cache_dtype", ""), 40) or None,
        "memory_fraction": finite(first.get("gpu_memory_utilization")),
    }


def _product(labels: Mapping[str, str], block: int | None) -> int | None:
    blocks = whole(labels.get("num_gpu_blocks"))
    return blocks * block if blocks and block else None


def _vllm_config(config: Mapping[str, Any]) -> Told:
    model, scheduler = table(config, "model_config"), table(config, "scheduler_config")
    compilation, parallel = table(config, "compilation_config"), table(config, "parallel_config")
    generation = model.get("generation_config")
    eager = model.get("enforce_eager")
    graphs = None if eager is None else not eager and bool(compilation.get("cudagraph_mode", True))
    return {
        "quantisation": text(model.get("quantization")) or "none",
        "dtype": text(str(model.get("dtype", "")).removeprefix("torch.")),
        "tensor_parallel": whole(parallel.get("tensor_parallel_size")),
        "max_running": whole(scheduler.get("max_num_seqs")),
        "speculative": "on" if config.get("speculative_config") else "off",
        "cuda_graphs": graphs,
        "cuda_graph_max": whole(compilation.get("max_cudagraph_capture_size")) if graphs else None,
        "prefill_budget": whole(scheduler.get("max_num_batched_tokens")),
        "chunked_prefill": flag(scheduler.get("enable_chunked_prefill")),
        "mixed_prefill": True,
        "sampling_defaults": None if generation is None else "neutral" if generation == "vllm" else "model",
        "overlap": flag(scheduler.get("async_scheduling")),
        "stream_interval": whole(scheduler.get("stream_interval")),
        "seed": whole(model.get("seed")),
    }


async def _root(site: Site, model: str) -> object:
    """The path of the weights behind a served name, from /v1/models."""
    entries = rows((await site.ask("/v1/models")).json_object().get("data"))
    return next((entry.get("root") for entry in entries if entry.get("id") == model), None)
