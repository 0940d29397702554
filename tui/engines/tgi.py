"""Hugging Face Text Generation Inference (read at 3.3.7)."""

from typing import Any

from tui.engines.base import Engine, Flag, Request, Selector, Settings, Sign, Start, Tokenizer, official_body
from tui.engines.readings import last_part, text
from tui.model import gauges
from tui.model.session import LaneInfo
from tui.net.http import Site

_LEFT_OUT = ("top_p", "presence_penalty", "frequency_penalty")


def body(request: Request) -> dict[str, Any]:
    """An official body less three fields: TGI refuses a `top_p` of 1 and adds 2 to a presence penalty."""
    return {key: value for key, value in official_body(request).items() if key not in _LEFT_OUT}


async def _info(site: Site) -> dict[str, Any]:
    return (await site.ask("/info")).json_object()


async def read_details(site: Site, model: str) -> Settings:
    info = await _info(site)
    return {"version": info.get("version"), "max_model_len": info.get("max_total_tokens")}


async def read_settings(site: Site, info: LaneInfo) -> Settings:
    """From /info, whose keys differ by version.

    Without a `max_batch_size` tokens alone limit its batches; `max_concurrent_requests` counts those that wait too.
    """
    reported = await _info(site)
    return {
        "weights": last_part(reported.get("model_id")),
        "dtype": text(str(reported.get("model_dtype") or "").removeprefix("torch.")),
        "kv_tokens": reported.get("max_batch_total_tokens"),
        "max_running": reported.get("max_batch_size"),
        "prefill_budget": reported.get("max_batch_prefill_tokens"),
        "note": "TGI does not report its quantisation, shards, prefix cache and CUDA graphs",
    }


ENGINE = Engine(
    kind="tgi",
    title="TGI",
    sign=Sign("/info", lambda answer: "max_total_tokens" in answer.json_object()),
    endpoint="chat",
    prompt_form="text",
    finish_reasons=frozenset({"eos", "eos_token", "stop_sequence"}),
    body=body,
    tokenizer=Tokenizer("/tokenize", "inputs"),
    cheap_health="/health",
    metrics_path="/metrics",
    gauges={
        gauges.RUNNING: (Selector("tgi_batch_current_size"),),
        gauges.WAITING: (Selector("tgi_queue_size"),),
        gauges.GENERATION_TOKENS_FINISHED: (Selector("tgi_request_generated_tokens_sum"),),
        gauges.PROMPT_TOKENS_FINISHED: (Selector("tgi_request_input_length_sum"),),
    },
    kv_preallocated=True,
    read_details=read_details,
    read_settings=read_settings,
    flags={
        "quantisation": Flag("--quantize {}"),
        "dtype": Flag("--dtype {}"),
        "tensor_parallel": Flag("--num-shard {}"),
        "max_model_len": Flag("--max-total-tokens {}"),
        "kv_tokens": Flag("--max-batch-total-tokens {}"),
        "max_running": Flag("--max-batch-size {}"),
        "kv_dtype": Flag("--kv-cache-dtype {}"),
        "cuda_graph_max": Flag("--cuda-graphs {}"),
        "prefill_budget": Flag("--max-batch-prefill-tokens {}"),
        "memory_fraction": Flag("--cuda-memory-fraction {}"),
    },
    start=Start(("text-generation-launcher",), model="--model-id {}", host="--hostname {}"),
)
