"""TensorRT-LLM: the labels of its configuration gauges, beside those of its pool and limits (its 2026 main).

Older versions have no such gauges, and none has them without `return_perf_metrics`.
"""

from collections.abc import Mapping

from tui.model.session import LaneInfo
from tui.model.text import sanitize
from tui.net.http import Site
from tui.net.prometheus import Sample, parse
from tui.telemetry.server import finite
from tui.telemetry.told.values import Told, flag, last_part, text, whole

_MODEL, _PARALLEL = "trtllm_model_config_info", "trtllm_parallel_config_info"
_SPECULATIVE, _CACHE = "trtllm_speculative_config_info", "trtllm_kv_cache_config_info"
_CACHE_OLD = "trtllm_cache_config_info"
_BLOCKS, _BLOCK = "trtllm_kv_cache_max_blocks", "trtllm_kv_cache_tokens_per_block"
_BATCH, _TOKENS = "trtllm_max_batch_size_runtime", "trtllm_max_num_tokens_runtime"
_WANTED = (_MODEL, _PARALLEL, _SPECULATIVE, _CACHE, _CACHE_OLD, _BLOCKS, _BLOCK, _BATCH, _TOKENS)
_NOTE = "TensorRT-LLM tells its settings only with return_perf_metrics: true in its configuration file"


async def read(site: Site, info: LaneInfo) -> Told:
    """The gauges of pool and limits appear with the first request."""
    try:
        found = parse((await site.ask("/prometheus/metrics")).body, _WANTED)
    except ValueError:
        found = {}
    model, parallel, speculative = (_labels(found, name) for name in (_MODEL, _PARALLEL, _SPECULATIVE))
    cache = _labels(found, _CACHE) or _labels(found, _CACHE_OLD)
    if not model and not cache:
        return {"note": _NOTE}
    block = whole(cache.get("page_size")) or _value(found, _BLOCK)
    blocks = _value(found, _BLOCKS)
    return {
        "weights": last_part(model.get("model")),
        "quantisation": text(model.get("quantization")),
        "dtype": text(model.get("dtype", "").removeprefix("torch.")),
        "max_model_len": whole(model.get("max_model_len")),
        "tensor_parallel": whole(parallel.get("tensor_parallel_size")),
        "speculative": text(speculative.get("spec_method")) or ("off" if model else None),
        "kv_tokens": blocks * block if blocks and block else None,
        "kv_block": block,
        "kv_dtype": sanitize(cache.get("cache_dtype", ""), 40) or None,
        "prefix_cache": flag(cache.get("enable_block_reuse")),
        "memory_fraction": finite(cache.get("free_gpu_memory_fraction")),
        "max_running": _value(found, _BATCH),
        "prefill_budget": _value(found, _TOKENS),
    }


def _labels(found: Mapping[str, list[Sample]], name: str) -> dict[str, str]:
    return found[name][0][0] if name in found else {}


def _value(found: Mapping[str, list[Sample]], name: str) -> int | None:
    """A gauge's number, None while it is still 0."""
    return whole(found[name][0][1]) or None if name in found else None
