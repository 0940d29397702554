"""vLLM (read at 0.33.0; metric names from 0.9.2 on)."""

from typing import Any

from tui.engines.base import Ask, Engine, Selector
from tui.engines.bodies import exact, without_seed_when_random
from tui.model import gauges


def body(ask: Ask) -> dict[str, Any]:
    """A request of exact length that can report usage with every chunk (0.8 to 10 % of its chunks join tokens)."""
    return without_seed_when_random(exact(ask, top_k=-1))


ENGINE = Engine(
    kind="vllm",
    title="vLLM",
    owned_by=("vllm",),
    endpoint="completions",
    prompt_form="ids",
    body=body,
    metrics_path="/metrics",
    metrics_hint="start it without --disable-log-stats",
    gauges={
        gauges.RUNNING: (Selector("vllm:num_requests_running"),),
        gauges.WAITING: (Selector("vllm:num_requests_waiting"),),
        gauges.KV_USAGE: (Selector("vllm:kv_cache_usage_perc"), Selector("vllm:gpu_cache_usage_perc")),
        # The product is wrong for hybrid models, but versions before 0.27 say no more.
        gauges.KV_POOL_TOKENS: (
            Selector("vllm:cache_config_info", label="kv_cache_size_tokens"),
            Selector("vllm:cache_config_info", label="num_gpu_blocks", times="block_size"),
        ),
        # What was set aside, which is not the pool where its number of blocks was given.
        gauges.KV_BYTES: (
            Selector("vllm:cache_config_info", {"num_gpu_blocks_override": ("None",)}, label="kv_cache_memory_bytes"),
        ),
        gauges.PREFIX_HITS: (
            Selector("vllm:prefix_cache_hits_total"),
            Selector("vllm:gpu_prefix_cache_hits_total"),
            Selector("vllm:prompt_tokens_cached_total"),
        ),
        gauges.PREFIX_QUERIES: (
            Selector("vllm:prefix_cache_queries_total"),
            Selector("vllm:gpu_prefix_cache_queries_total"),
            Selector("vllm:prompt_tokens_total"),
        ),
        gauges.GENERATION_TOKENS: (Selector("vllm:generation_tokens_total"),),
        gauges.GENERATION_TOKENS_FINISHED: (Selector("vllm:request_generation_tokens_sum"),),
        gauges.PROMPT_TOKENS: (Selector("vllm:prompt_tokens_total"),),
        gauges.PREEMPTIONS: (Selector("vllm:num_preemptions_total"),),
    },
    mean_of=frozenset({gauges.KV_USAGE, gauges.KV_BYTES}),
    tokenize_path="/tokenize",
    usage="each",
    kv_preallocated=True,
    cheap_health="/health",
    reset_path="/reset_prefix_cache",
    reset_needs="started with VLLM_SERVER_DEV_MODE=1 in its environment",
)
