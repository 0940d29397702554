"""llama.cpp's server."""

from typing import Any

from tui.engines.base import Engine, Flag, Request, Selector, Settings, Sign, Start, Tokenizer, lasting, official_body
from tui.engines.readings import gguf_weights, integer, last_part, table, text
from tui.model import gauges
from tui.model.session import LaneInfo
from tui.net.http import Site

_CACHED = "llamacpp:prompt_tokens_cached_total"
# `prompt_tokens_total` counts only what was computed, not what came from the cache.
_PROMPT = Selector("llamacpp:prompt_tokens_total", plus=_CACHED)


def body(request: Request) -> dict[str, Any]:
    """A request of exact length. 0 turns `top_k` off; its own defaults are 40, min_p 0.05 and top_p 0.95."""
    return {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0} | official_body(request) | lasting(request)


async def _props(site: Site) -> dict[str, Any]:
    return (await site.ask("/props")).json_object()


async def read_details(site: Site, model: str) -> Settings:
    props = await _props(site)
    context = table(props, "default_generation_settings").get("n_ctx")
    return {"version": props.get("build_info"), "max_model_len": context}


async def read_slots(site: Site) -> int:
    return integer((await _props(site)).get("total_slots")) or 1


async def read_settings(site: Site, info: LaneInfo) -> Settings:
    """Its slots share the pool. A prompt cache in memory is not reported."""
    props = await _props(site)
    slots = integer(props.get("total_slots"))
    speculative = table(props, "default_generation_settings", "params").get("speculative.types")
    return gguf_weights(props.get("model_ftype")) | {
        "weights": last_part(props.get("model_path")),
        "max_running": slots,
        "kv_tokens": slots * info.max_model_len if slots and info.max_model_len else None,
        "speculative": "off" if speculative == "none" else text(speculative),
        "sampling_defaults": "model",
    }


ENGINE = Engine(
    kind="llamacpp",
    title="llama.cpp",
    owned_by=("llamacpp",),
    sign=Sign("/v1/models", lambda answer: answer.server == "llama.cpp"),
    endpoint="completions",
    prompt_form="ids",
    body=body,
    tokenizer=Tokenizer("/tokenize", "content", {"add_special": False}),
    cheap_health="/health",
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
    kv_preallocated=True,
    read_details=read_details,
    read_settings=read_settings,
    flags={
        "max_model_len": Flag("-c {}", times="max_running"),  # the slots share its context
        "max_running": Flag("-np {}"),
        "prefix_cache": Flag(off="--no-cache-prompt"),
        "kv_dtype": Flag("-ctk {} -ctv {}"),
        "prefill_budget": Flag("-b {}"),
        "seed": Flag("--seed {}"),
    },
    start=Start(
        ("llama-server",),
        model="-m {}",
        served_name="--alias {}",
        always=("--metrics",),
        progress={
            r"load_tensors|loading model": "loading weights",
            r"warming up": "warming up",
            r"server is listening|listening on": "serving",
        },
    ),
    reset_path="/slots/{slot}?action=erase",
    reset_needs="started with --slot-save-path DIR",
    read_slots=read_slots,
)
