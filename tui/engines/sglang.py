"""SGLang (read at 0.5.23; metric names from 0.4.6 on)."""

from dataclasses import replace
from typing import Any

import msgspec

from tui.engines.base import Engine, Flag, Request, Selector, Settings, Start, Tokenizer, exact_body
from tui.engines.readings import finite, integer, last_part, negated, rows, table, text
from tui.model import gauges
from tui.model.session import LaneInfo
from tui.net.http import Site

_SAMPLING = (
    "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty",
    "ignore_eos",
)  # fmt: skip
_HITS = ("device_hit", "host_hit", "storage_hit")
_PREFILL = ("prefill_cache", "prefill_compute")
_GB = float(1 << 30)


def body(request: Request) -> dict[str, Any]:
    """A request of exact length that can report usage with every chunk."""
    if request.endpoint == "generate":
        return _generate(request)
    return exact_body(request, top_k=-1, seed_when_random=False)


def _generate(request: Request) -> dict[str, Any]:
    """The same for `generate`, each event of which has the counts; a seed would be ignored."""
    same = exact_body(replace(request, endpoint="completions"), top_k=-1)
    return {
        "text" if isinstance(request.prompt, str) else "input_ids": request.prompt,
        "sampling_params": {
            "max_new_tokens": request.output_tokens,
            **{name: same[name] for name in _SAMPLING if name in same},
        },
        "stream": True,
    }


_MEAN_OF = frozenset({gauges.KV_USAGE, gauges.KV_BYTES, gauges.WEIGHTS_BYTES})
# In a row of /v1/loads: the path of its key, and its unit.
_LOADS: dict[str, tuple[tuple[str, ...], float]] = {
    gauges.RUNNING: (("num_running_reqs",), 1),
    gauges.WAITING: (("num_waiting_reqs",), 1),
    gauges.KV_USAGE: (("token_usage",), 1),
    gauges.KV_POOL_TOKENS: (("max_total_num_tokens",), 1),
    gauges.WEIGHTS_BYTES: (("memory", "weight_gb"), _GB),
    gauges.KV_BYTES: (("memory", "kv_cache_gb"), _GB),
}


def read_loads(page: bytes) -> dict[str, float]:
    """Gauges from /v1/loads, which has no counters and is renewed about every 15 decode steps.

    Over all data-parallel ranks: sums, but means of shares and of bytes a GPU. ValueError: not that JSON.
    """
    try:
        decoded = msgspec.json.decode(page)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("broken JSON") from error
    ranks = decoded.get("loads") if isinstance(decoded, dict) else None
    if not ranks or not isinstance(ranks, list):
        raise ValueError("JSON without a list of loads")
    loads: dict[str, float] = {}
    for name, ((*tables, key), scale) in _LOADS.items():
        numbers = [finite(table(row, *tables).get(key)) for row in rows(ranks)]
        if values := [number * scale for number in numbers if number is not None]:
            loads[name] = sum(values) / (len(values) if name in _MEAN_OF else 1)
    return loads


async def _server_info(site: Site) -> dict[str, Any]:
    return (await site.ask("/server_info")).json_object() or (await site.ask("/get_server_info")).json_object()


async def read_details(site: Site, model: str) -> Settings:
    return {"version": (await _server_info(site)).get("version")}


async def read_settings(site: Site, info: LaneInfo) -> Settings:
    """Every resolved argument is at /server_info. Limits of one data-parallel rank count once for each."""
    state = await _server_info(site)
    if not state:
        return {"note": "SGLang's /server_info does not answer"}
    states = rows(state.get("internal_states"))
    running = [integer(row.get("effective_max_running_requests_per_dp")) for row in states]
    decode = table(state, "cuda_graph_config", "decode")
    chunk = integer(state.get("chunked_prefill_size"))
    graphs = decode.get("backend") != "disabled" if decode else negated(state.get("disable_cuda_graph"))
    ranks = integer(state.get("dp_size")) or 1
    pool = integer(state.get("max_total_num_tokens"))
    return {
        "weights": last_part(state.get("model_path")),
        "quantisation": text(state.get("quantization")) or "none",
        "dtype": text(state.get("dtype")),
        "tensor_parallel": state.get("tp_size"),
        "kv_tokens": pool * ranks if pool else None,
        "max_running": running[0] * ranks if running and running[0] else integer(state.get("max_running_requests")),
        "prefix_cache": negated(state.get("disable_radix_cache")),
        "speculative": state.get("speculative_algorithm") or "off",
        "cuda_graphs": graphs,
        "cuda_graph_max": integer(decode.get("max_bs", state.get("cuda_graph_max_bs"))) if graphs else None,
        "kv_dtype": state.get("kv_cache_dtype"),
        "prefill_budget": chunk if chunk and chunk > 0 else integer(state.get("max_prefill_tokens")),
        "chunked_prefill": None if chunk is None else chunk > 0,
        "mixed_prefill": state.get("enable_mixed_chunk"),
        "kv_block": state.get("page_size"),
        "sampling_defaults": {"model": "model", "openai": "neutral"}.get(str(state.get("sampling_defaults"))),
        "overlap": negated(state.get("disable_overlap_schedule")),
        "stream_interval": state.get("stream_interval"),
        "seed": state.get("random_seed"),
    }


ENGINE = Engine(
    kind="sglang",
    title="SGLang",
    owned_by=("sglang",),
    endpoint="completions",
    prompt_form="ids",
    body=body,
    usage="each",
    generates=True,
    tokenizer=Tokenizer("/tokenize", "prompt", {"add_special_tokens": False}),
    cheap_health="/ping",  # /health generates a token and takes a second
    metrics_path="/metrics",
    metrics_hint="start it with --enable-metrics",
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
        # `generation_tokens_total` does not rise until a request ends. The realtime counter rises every step but
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
    mean_of=_MEAN_OF,
    rank_labels=("tp_rank", "pp_rank", "moe_ep_rank"),
    kv_preallocated=True,
    loads_path="/v1/loads?include=core,memory",
    read_loads=read_loads,
    read_details=read_details,
    read_settings=read_settings,
    flags={
        "quantisation": Flag("--quantization {}"),
        "dtype": Flag("--dtype {}"),
        "tensor_parallel": Flag("--tp-size {}"),
        "max_model_len": Flag("--context-length {}"),
        "kv_tokens": Flag("--max-total-tokens {}"),
        "max_running": Flag("--max-running-requests {}"),
        "prefix_cache": Flag(off="--disable-radix-cache"),
        "speculative": Flag("--speculative-algorithm {}"),
        "cuda_graphs": Flag(
            off="--cuda-graph-backend-decode=disabled --cuda-graph-backend-prefill=disabled",
            since=(0, 5, 15),
            before=Flag(off="--disable-cuda-graph"),
        ),
        "kv_dtype": Flag("--kv-cache-dtype {}"),
        "cuda_graph_max": Flag(
            "--cuda-graph-max-bs-decode {}", since=(0, 5, 15), before=Flag("--cuda-graph-max-bs {}")
        ),
        "prefill_budget": Flag("--chunked-prefill-size {}"),
        "chunked_prefill": Flag(off="--chunked-prefill-size -1"),
        "mixed_prefill": Flag(on="--enable-mixed-chunk"),
        "kv_block": Flag("--page-size {}"),
        "sampling_defaults": Flag("--sampling-defaults {}", spelled={"model": "model", "neutral": "openai"}),
        "overlap": Flag(off="--disable-overlap-schedule"),
        "stream_interval": Flag("--stream-interval {}"),
        "seed": Flag("--random-seed {}"),
        "memory_fraction": Flag("--mem-fraction-static {}"),
        "dummy_weights": Flag(on="--load-format dummy"),
    },
    start=Start(
        ("python", "-m", "sglang.launch_server"),
        model="--model-path {}",
        served_name="--served-model-name {}",
        always=("--enable-metrics", "--enable-cache-report"),
        progress={
            r"server_args=": "reading the model's configuration",
            r"shards: +(\d+)%": "loading weights {} %",
            r"Load weight begin": "loading weights",
            r"Load weight end.*mem usage=([\d.]+) GB": "weights are loaded, {} GiB on each GPU",
            r"Load weight end": "weights are loaded",
            r"KV Cache is allocated.*#tokens: (\d+)": "KV pool of {} tokens",
            r"Capturing batches.*?(\d+)%": "capturing CUDA graphs {} %",
            r"Capture (?:\w+ )*cuda graph begin": "capturing CUDA graphs",
            r"Uvicorn running": "warming up",
            r"fired up and ready": "serving",
        },
    ),
    reset_path="/flush_cache",
    reset_needs="no request runs or waits",
)
