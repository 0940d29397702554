"""SGLang (read at 0.5.23; metric names from 0.4.6 on)."""

from typing import Any

from tui.engines.base import Ask, Engine, Selector
from tui.engines.bodies import exact, without_seed_when_random
from tui.model import gauges

_HITS = ("device_hit", "host_hit", "storage_hit")
_PREFILL = ("prefill_cache", "prefill_compute")
_GB = float(1 << 30)


def body(ask: Ask) -> dict[str, Any]:
    """A request of exact length that can report usage with every chunk."""
    return _generate(ask) if ask.endpoint == "generate" else without_seed_when_random(exact(ask, top_k=-1))


def _generate(ask: Ask) -> dict[str, Any]:
    """The same for `generate`, each event of which has the counts; a seed would be passed over."""
    return {
        "text" if isinstance(ask.prompt, str) else "input_ids": ask.prompt,
        "sampling_params": {
            "max_new_tokens": ask.output_tokens,
            "temperature": ask.temperature,
            "top_p": 1.0,
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "ignore_eos": True,
        },
        "stream": True,
    }


ENGINE = Engine(
    kind="sglang",
    title="SGLang",
    owned_by=("sglang",),
    endpoint="completions",
    prompt_form="ids",
    body=body,
    metrics_path="/metrics",
    metrics_hint="start it with --enable-metrics",
    loads_path="/v1/loads?include=core,memory",
    gauges={
        gauges.RUNNING: (Selector("sglang:num_running_reqs"),),
        gauges.WAITING: (Selector("sglang:num_queue_reqs"),),
        # `token_usage` is rounded to two decimals.
        gauges.KV_USAGE: (Selector("sglang:full_token_usage"), Selector("sglang:token_usage")),
        gauges.KV_POOL_TOKENS: (Selector("sglang:max_total_num_tokens"),),
        gauges.WEIGHTS_BYTES: (Selector("sglang:weight_memory_usage_gb", scale=_GB),),
        gauges.KV_BYTES: (Selector("sglang:kv_cache_memory_usage_gb", scale=_GB),),
        gauges.PREFIX_HITS: (
            Selector("sglang:prefill_effective_tokens_total", {"mode": _HITS}),
            Selector("sglang:realtime_tokens_total", {"mode": ("prefill_cache",)}),
            Selector("sglang:cached_tokens_total"),
        ),
        gauges.PREFIX_QUERIES: (
            Selector("sglang:prefill_effective_tokens_total"),
            Selector("sglang:realtime_tokens_total", {"mode": _PREFILL}),
            Selector("sglang:prompt_tokens_total"),
        ),
        # `generation_tokens_total` stands still until a request ends. The realtime counter rises every step but
        # leaves out each request's first token, which comes from its prefill: the TTFT histogram counts those.
        gauges.GENERATION_TOKENS: (
            Selector(
                "sglang:realtime_tokens_total", {"mode": ("decode",)}, plus="sglang:time_to_first_token_seconds_count"
            ),
        ),
        gauges.GENERATION_TOKENS_FINISHED: (Selector("sglang:generation_tokens_total"),),
        gauges.PROMPT_TOKENS: (
            Selector("sglang:realtime_tokens_total", {"mode": _PREFILL}),
            Selector("sglang:prompt_tokens_total"),
        ),
        gauges.PREEMPTIONS: (Selector("sglang:num_retracted_requests_total"),),
    },
    mean_of=frozenset({gauges.KV_USAGE, gauges.KV_BYTES, gauges.WEIGHTS_BYTES}),
    rank_labels=("tp_rank", "pp_rank", "moe_ep_rank"),
    tokenize_path="/tokenize",
    usage="each",
    generates=True,
    kv_preallocated=True,
    cheap_health="/ping",  # /health generates a token and takes a second
    reset_path="/flush_cache",
    reset_needs="no request runs or waits",
)
