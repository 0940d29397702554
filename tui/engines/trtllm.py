"""TensorRT-LLM's `trtllm-serve` (read at 1.2 and its 2026 main). It answers 400 to any field it does not know."""

from typing import Any

from tui.engines.base import Ask, Engine, Selector
from tui.engines.bodies import exact
from tui.model import gauges


def body(ask: Ask) -> dict[str, Any]:
    """A request of exact length that can report usage with every chunk. 0 turns `top_k` off."""
    return exact(ask, top_k=0)


ENGINE = Engine(
    kind="trtllm",
    title="TensorRT-LLM",
    owned_by=("tensorrt_llm",),
    endpoint="completions",
    prompt_form="ids",
    body=body,
    # /metrics is JSON there, and each reading drains it.
    metrics_path="/prometheus/metrics",
    metrics_hint="set return_perf_metrics: true in its configuration file",
    gauges={
        gauges.RUNNING: (Selector("trtllm_num_requests_running"),),
        gauges.WAITING: (Selector("trtllm_num_requests_waiting"),),
        gauges.KV_USAGE: (Selector("trtllm_kv_cache_utilization"),),
        gauges.KV_POOL_TOKENS: (Selector("trtllm_kv_cache_max_blocks", by="trtllm_kv_cache_tokens_per_block"),),
        gauges.PREFIX_HITS: (Selector("trtllm_prompt_cached_tokens_total"),),
        gauges.PREFIX_QUERIES: (Selector("trtllm_prompt_tokens_total"),),
        gauges.GENERATION_TOKENS_FINISHED: (Selector("trtllm_generation_tokens_total"),),
        gauges.PROMPT_TOKENS: (Selector("trtllm_prompt_tokens_total"),),
    },
    mean_of=frozenset({gauges.KV_USAGE}),
    usage="each",
    kv_preallocated=True,
    cheap_health="/health",
)
