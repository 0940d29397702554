"""TensorRT-LLM's `trtllm-serve` (read at 1.2 and its 2026 main). It answers 400 to any field it does not know.

An error within a chat's stream is a connection that breaks off; in a completion's it is an event, after which [DONE]
comes twice. Releases 1.0 to 1.2 have no prefix before their metrics: latencies, and how many requests ended.
"""

from typing import Any

from tui.engines.base import Engine, Flag, Request, Selector, Settings, Start, Tokenizer, exact_body, read_version
from tui.engines.readings import first_samples, integer, last_part, text
from tui.model import gauges
from tui.model.session import LaneInfo
from tui.net.http import Site

_CHAT_IDS = "prompt_token_ids"
_TURN_ON = "return_perf_metrics: true and enable_iter_perf_stats: true"
_METRICS = "/prometheus/metrics"  # /metrics is JSON there, and each reading drains it
_CONFIGURATION = (
    "trtllm_model_config_info",
    "trtllm_parallel_config_info",
    "trtllm_speculative_config_info",
    "trtllm_kv_cache_config_info",
    "trtllm_cache_config_info",  # in older versions
    "trtllm_kv_cache_max_blocks",
    "trtllm_kv_cache_tokens_per_block",
    "trtllm_max_batch_size_runtime",
    "trtllm_max_num_tokens_runtime",
)


def body(request: Request) -> dict[str, Any]:
    """A request of exact length that can report usage with every chunk. 0 turns `top_k` off."""
    body = exact_body(request, top_k=0, chat_ids=_CHAT_IDS)
    if _CHAT_IDS in body:
        body["messages"] = [{"role": "user", "content": ""}]  # required, and not read next to ids
    return body


async def read_settings(site: Site, info: LaneInfo) -> Settings:
    """From the labels of its configuration gauges; those of pool and limits appear with the first request.

    Older versions have none of them.
    """
    exposed = await first_samples(site, _METRICS, _CONFIGURATION)
    model, parallel, speculative, cache, old_cache, *limits = exposed
    cache = cache or old_cache
    if not model and not cache:
        return {"note": f"TensorRT-LLM reports its settings, from 1.3 on, only with {_TURN_ON} in its configuration"}
    blocks, block, max_batch, max_tokens = (integer(limit.get("value")) or None for limit in limits)  # 0 until then
    block = integer(cache.get("page_size")) or block
    return {
        "weights": last_part(model.get("model")),
        "quantisation": text(model.get("quantization")),
        "dtype": text(model.get("dtype", "").removeprefix("torch.")),
        "max_model_len": model.get("max_model_len"),
        "tensor_parallel": parallel.get("tensor_parallel_size"),
        "speculative": text(speculative.get("spec_method")) or ("off" if model else None),
        "kv_tokens": blocks * block if blocks and block else None,
        "kv_block": block,
        "kv_dtype": cache.get("cache_dtype"),
        "prefix_cache": cache.get("enable_block_reuse"),
        "max_running": max_batch,
        "prefill_budget": max_tokens,
    }


ENGINE = Engine(
    kind="trtllm",
    title="TensorRT-LLM",
    owned_by=("tensorrt_llm",),
    endpoint="completions",
    prompt_form="ids",
    chat_ids=_CHAT_IDS,
    body=body,
    tokenizer=Tokenizer("/_internal/tokenize", "prompt"),  # 1.2 has none
    usage="each",
    cheap_health="/health",
    metrics_path=_METRICS,
    metrics_hint=f"from 1.3 on set {_TURN_ON} in the file given to --config",
    gauges={
        # The batch is counted at every iteration and by each rank; the others are renewed when a request ends.
        gauges.RUNNING: (Selector("trtllm_scheduled_batch_size"), Selector("trtllm_num_requests_running")),
        gauges.WAITING: (Selector("trtllm_num_requests_waiting"),),
        gauges.KV_USAGE: (Selector("trtllm_kv_cache_utilization"),),
        gauges.KV_POOL_TOKENS: (Selector("trtllm_kv_cache_max_blocks", by="trtllm_kv_cache_tokens_per_block"),),
        gauges.PREFIX_HITS: (Selector("trtllm_prompt_cached_tokens_total"),),
        gauges.PREFIX_QUERIES: (Selector("trtllm_prompt_tokens_total"),),
        gauges.GENERATION_TOKENS_FINISHED: (Selector("trtllm_generation_tokens_total"),),
        gauges.PROMPT_TOKENS_FINISHED: (Selector("trtllm_prompt_tokens_total"),),
        gauges.REQUESTS_FINISHED: (Selector("trtllm_request_success_total"), Selector("request_success_total")),
    },
    mean_of=frozenset({gauges.KV_USAGE}),
    rank_labels=("rank",),
    refresh_at_end=True,
    kv_preallocated=True,
    read_details=read_version,
    read_settings=read_settings,
    flags={
        "quantisation": Flag("file:quant_config"),
        "dtype": Flag("file:dtype {}"),
        "tensor_parallel": Flag("--tp_size {}"),
        "max_model_len": Flag("--max_seq_len {}"),
        "kv_tokens": Flag("file:kv_cache_config.max_tokens {}"),
        "max_running": Flag("--max_batch_size {}"),
        "prefix_cache": Flag(
            on="file:kv_cache_config.enable_block_reuse true", off="file:kv_cache_config.enable_block_reuse false"
        ),
        "speculative": Flag("file:speculative_config"),
        "cuda_graphs": Flag(off="file:cuda_graph_config null"),
        "kv_dtype": Flag("file:kv_cache_config.dtype {}"),
        "cuda_graph_max": Flag("file:cuda_graph_config.max_batch_size {}"),
        "prefill_budget": Flag("--max_num_tokens {}"),
        "chunked_prefill": Flag(on="--enable_chunked_prefill"),
        "kv_block": Flag("file:kv_cache_config.tokens_per_block {}"),
        "overlap": Flag(off="file:disable_overlap_scheduler true"),
        "stream_interval": Flag("file:stream_interval {}"),
        "memory_fraction": Flag("--kv_cache_free_gpu_memory_fraction {}"),
    },
    start=Start(("trtllm-serve",)),
)
