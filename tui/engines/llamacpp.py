"""llama.cpp's server."""

from typing import Any

from tui.engines.base import Ask, Engine, Selector
from tui.engines.bodies import official
from tui.model import gauges

_CACHED = "llamacpp:prompt_tokens_cached_total"
# `prompt_tokens_total` counts only what was computed, not what came from the cache.
_PROMPT = Selector("llamacpp:prompt_tokens_total", plus=_CACHED)


def body(ask: Ask) -> dict[str, Any]:
    """A request of exact length. 0 turns `top_k` off; its own defaults are 40, min_p 0.05 and top_p 0.95."""
    return official(ask) | {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0, "ignore_eos": True}


ENGINE = Engine(
    kind="llamacpp",
    title="llama.cpp",
    owned_by=("llamacpp",),
    endpoint="completions",
    prompt_form="ids",
    body=body,
    metrics_path="/metrics",
    metrics_hint="start it with --metrics",
    gauges={
        gauges.RUNNING: (Selector("llamacpp:requests_processing"),),
        gauges.WAITING: (Selector("llamacpp:requests_deferred"),),
        gauges.KV_USAGE: (Selector("llamacpp:kv_cache_usage_ratio"),),  # old builds only
        gauges.PREFIX_HITS: (Selector(_CACHED),),
        gauges.PREFIX_QUERIES: (_PROMPT,),
        gauges.PROMPT_TOKENS: (_PROMPT,),
        gauges.GENERATION_TOKENS_FINISHED: (Selector("llamacpp:tokens_predicted_total"),),
    },
    mean_of=frozenset({gauges.KV_USAGE}),
    tokenize_path="/tokenize",
    kv_preallocated=True,
    cheap_health="/health",
    reset_path="/slots/{slot}?action=erase",
    reset_needs="started with --slot-save-path DIR",
)
