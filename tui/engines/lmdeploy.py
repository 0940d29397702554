"""LMDeploy's `api_server` (read at 0.18.0). Its gauges refresh every 10 s."""

from typing import Any

from tui.engines.base import Ask, Engine, Selector
from tui.engines.bodies import official
from tui.model import gauges


def body(ask: Ask) -> dict[str, Any]:
    """A request of exact length. 0 turns `top_k` off; its own default is 40."""
    return official(ask, length_field="max_completion_tokens") | {
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "ignore_eos": True,
    }


ENGINE = Engine(
    kind="lmdeploy",
    title="LMDeploy",
    owned_by=("lmdeploy",),
    endpoint="completions",
    prompt_form="text",  # a list of ids is read as several prompts
    body=body,
    metrics_path="/metrics",
    metrics_hint="start it without --disable-metrics",
    gauges={
        gauges.RUNNING: (Selector("lmdeploy:num_requests_running"),),
        gauges.WAITING: (Selector("lmdeploy:num_requests_waiting"),),
        gauges.KV_USAGE: (Selector("lmdeploy:gpu_cache_usage_perc"),),
        gauges.PREFIX_HITS: (Selector("lmdeploy:cached_tokens_total"),),
        gauges.PREFIX_QUERIES: (Selector("lmdeploy:prompt_tokens_total"),),
        gauges.GENERATION_TOKENS: (Selector("lmdeploy:generation_tokens_total"),),
        gauges.PROMPT_TOKENS: (Selector("lmdeploy:prompt_tokens_total"),),
    },
    mean_of=frozenset({gauges.KV_USAGE}),
    tokenize_path="/v1/encode",
    refresh_s=10.0,
    kv_preallocated=True,
    cheap_health="/health",
)
