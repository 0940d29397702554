"""LMDeploy's `api_server` (read at 0.18.0). Its gauges refresh every 10 s."""

from typing import Any

from tui.engines.base import Engine, Flag, Request, Selector, Settings, Start, Tokenizer, lasting, official_body
from tui.engines.readings import boolean, first_samples, integer, negated, text
from tui.model import gauges
from tui.model.session import LaneInfo
from tui.net.http import Site

_CHAT_IDS = "input_ids"  # next to messages that are empty
_KV_POLICY = {"0": "auto", "4": "int4", "8": "int8"}  # of --quant-policy


def body(request: Request) -> dict[str, Any]:
    """A request of exact length. 0 turns `top_k` off; its own default is 40."""
    exact = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0} | lasting(request)
    if request.endpoint == "generate":
        prompt = {"prompt" if isinstance(request.prompt, str) else "input_ids": request.prompt}
        sampling = {"temperature": request.temperature, "top_p": 1.0}
        return prompt | {"max_tokens": request.output_tokens, "stream": True} | sampling | exact
    return exact | official_body(request, length_field="max_completion_tokens", chat_ids=_CHAT_IDS)


async def read_settings(site: Site, info: LaneInfo) -> Settings:
    """From the labels of its configuration gauge alone, which some versions leave empty."""
    [config] = await first_samples(site, "/metrics", ["lmdeploy:backend_config_info"])
    if not config.keys() - {"value"}:
        return {"note": "LMDeploy does not report its settings: compare the commands that started both"}
    weights = config.get("model_format")
    return {
        "dtype": text(config.get("dtype")),
        "quantisation": "none" if weights in ("hf", "None") else text(weights),  # hf: weights as they were trained
        "tensor_parallel": config.get("tp"),
        "max_model_len": config.get("session_len"),
        "max_running": config.get("max_batch_size"),
        "prefix_cache": config.get("enable_prefix_caching"),
        "prefill_budget": config.get("max_prefill_token_num"),
        "kv_block": integer(config.get("cache_block_seq_len") or config.get("block_size")),
        "kv_dtype": _KV_POLICY.get(config.get("quant_policy", "")),
        "cuda_graphs": negated(boolean(config.get("eager_mode"))),
    }


ENGINE = Engine(
    kind="lmdeploy",
    title="LMDeploy",
    owned_by=("lmdeploy",),
    endpoint="completions",
    prompt_form="text",  # a list of ids is refused
    chat_ids=_CHAT_IDS,
    generates=True,
    body=body,
    tokenizer=Tokenizer("/v1/encode", "input", {"add_bos": False}),
    cheap_health="/health",
    metrics_path="/metrics",
    metrics_hint="start it without --disable-metrics",
    gauges={
        gauges.RUNNING: (Selector("lmdeploy:num_requests_running"),),
        gauges.WAITING: (Selector("lmdeploy:num_requests_waiting"),),
        gauges.KV_USAGE: (Selector("lmdeploy:gpu_cache_usage_perc"),),
        gauges.PREFIX_HITS: (Selector("lmdeploy:cached_tokens_total"),),
        gauges.PREFIX_QUERIES: (Selector("lmdeploy:prompt_tokens_total"),),
        gauges.GENERATION_TOKENS: (Selector("lmdeploy:generation_tokens_total"),),
        gauges.PROMPT_TOKENS_FINISHED: (Selector("lmdeploy:prompt_tokens_total"),),
    },
    mean_of=frozenset({gauges.KV_USAGE}),
    refresh_s=10.0,
    kv_preallocated=True,
    read_settings=read_settings,
    flags={
        "quantisation": Flag("--model-format {}"),
        "dtype": Flag("--dtype {}"),
        "tensor_parallel": Flag("--tp {}"),
        "max_model_len": Flag("--session-len {}"),
        "kv_tokens": Flag("--num-gpu-blocks {blocks}"),
        "max_running": Flag("--max-batch-size {}"),
        "prefix_cache": Flag(on="--enable-prefix-caching"),
        "speculative": Flag("--speculative-algorithm {}"),
        "cuda_graphs": Flag(off="--eager-mode"),
        "kv_dtype": Flag("--quant-policy {}"),
        "cuda_graph_max": Flag("--cudagraph-capture-batch-sizes {}"),
        "prefill_budget": Flag("--max-prefill-token-num {}"),
        "kv_block": Flag("--cache-block-seq-len {}"),
        "memory_fraction": Flag("--cache-max-entry-count {}"),
        "dummy_weights": Flag(on="--empty-init"),
    },
    start=Start(
        ("lmdeploy", "serve", "api_server"),
        served_name="--model-name {}",
        host="--server-name {}",
        port="--server-port {}",
    ),
)
