"""vLLM (read at 0.33.0; metric names from 0.9.2 on)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tui.engines.base import Engine, Flag, Request, Selector, Settings, Start, Tokenizer, exact_body, read_version
from tui.engines.readings import integer, last_part, metric_samples, rows, table, text
from tui.model import gauges
from tui.model.session import LaneInfo
from tui.net.http import Site

SERVER_INFO_S = 30.0
_CACHE = "vllm:cache_config_info"


def body(request: Request) -> dict[str, Any]:
    """A request of exact length that can report usage with every chunk (0.8 to 10 % of its chunks join tokens)."""
    return exact_body(request, top_k=-1, seed_when_random=False)


async def read_settings(site: Site, info: LaneInfo) -> Settings:
    """Without development mode only pool, block and prefix cache are reported."""
    known = await _read_cache(site) | {"weights": last_part(await _root(site, info.model))}
    # The first time it gathers facts about its host too, with commands that take seconds, more on a busy host.
    answer = await replace(site, timeout_s=max(site.timeout_s, SERVER_INFO_S)).ask("/server_info?config_format=json")
    config = answer.json_object().get("vllm_config")
    if isinstance(config, dict):
        return known | _read_config(config)
    why = "reports the rest only when started with VLLM_SERVER_DEV_MODE=1 in its environment"
    return known | {"note": f"vLLM {why if answer.status else 'did not answer at /server_info in time: try again'}"}


async def _read_cache(site: Site) -> Settings:
    """Under data parallelism every replica has its own pool."""
    replicas = [labels for labels, _ in (await metric_samples(site, "/metrics", (_CACHE,))).get(_CACHE, [])]
    if not replicas:
        return {}
    first = replicas[0]
    block = integer(first.get("block_size"))
    pools = [integer(labels.get("kv_cache_size_tokens")) or _product(labels, block) for labels in replicas]
    return {
        "kv_tokens": sum(pool for pool in pools if pool) or None,
        "kv_block": block,
        "prefix_cache": first.get("enable_prefix_caching"),
        "kv_dtype": first.get("cache_dtype"),
    }


def _product(labels: Mapping[str, str], block: int | None) -> int | None:
    blocks = integer(labels.get("num_gpu_blocks"))
    return blocks * block if blocks and block else None


def _read_config(config: Mapping[str, Any]) -> Settings:
    model, scheduler = table(config, "model_config"), table(config, "scheduler_config")
    compilation, parallel = table(config, "compilation_config"), table(config, "parallel_config")
    generation = model.get("generation_config")
    eager = model.get("enforce_eager")
    graphs = None if eager is None else not eager and bool(compilation.get("cudagraph_mode", True))
    return {
        "quantisation": text(model.get("quantization")) or "none",
        "dtype": text(str(model.get("dtype", "")).removeprefix("torch.")),
        "tensor_parallel": parallel.get("tensor_parallel_size"),
        "max_running": scheduler.get("max_num_seqs"),
        "speculative": "on" if config.get("speculative_config") else "off",
        "cuda_graphs": graphs,
        "cuda_graph_max": integer(compilation.get("max_cudagraph_capture_size")) if graphs else None,
        "prefill_budget": scheduler.get("max_num_batched_tokens"),
        "chunked_prefill": scheduler.get("enable_chunked_prefill"),
        "mixed_prefill": True,
        "sampling_defaults": None if generation is None else "neutral" if generation == "vllm" else "model",
        "overlap": scheduler.get("async_scheduling"),
        "stream_interval": scheduler.get("stream_interval"),
        "seed": model.get("seed"),
    }


async def _root(site: Site, model: str) -> object:
    """The path of the weights behind a served name."""
    entries = rows((await site.ask("/v1/models")).json_object().get("data"))
    return next((entry.get("root") for entry in entries if entry.get("id") == model), None)


ENGINE = Engine(
    kind="vllm",
    title="vLLM",
    owned_by=("vllm",),
    endpoint="completions",
    prompt_form="ids",
    body=body,
    usage="each",
    tokenizer=Tokenizer("/tokenize", "prompt", {"add_special_tokens": False}),
    cheap_health="/health",
    metrics_path="/metrics",
    metrics_hint="start it without --disable-log-stats",
    gauges={
        gauges.RUNNING: (Selector("vllm:num_requests_running"),),
        gauges.WAITING: (Selector("vllm:num_requests_waiting"),),
        gauges.KV_USAGE: (Selector("vllm:kv_cache_usage_perc"), Selector("vllm:gpu_cache_usage_perc")),
        # The product is wrong for hybrid models, but versions before 0.27 report no more.
        gauges.KV_POOL_TOKENS: (
            Selector(_CACHE, label="kv_cache_size_tokens"),
            Selector(_CACHE, label="num_gpu_blocks", times="block_size"),
        ),
        # What was set aside, which is not the pool where its number of blocks was given.
        gauges.KV_BYTES: (Selector(_CACHE, {"num_gpu_blocks_override": ("None",)}, label="kv_cache_memory_bytes"),),
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
    kv_preallocated=True,
    read_details=read_version,
    read_settings=read_settings,
    flags={
        "quantisation": Flag("--quantization {}"),
        "dtype": Flag("--dtype {}"),
        "tensor_parallel": Flag("--tensor-parallel-size {}"),
        "max_model_len": Flag("--max-model-len {}"),
        "kv_tokens": Flag("--num-gpu-blocks-override {blocks}"),
        "max_running": Flag("--max-num-seqs {}"),
        "prefix_cache": Flag(on="--enable-prefix-caching", off="--no-enable-prefix-caching"),
        "speculative": Flag("--speculative-config {}"),
        "cuda_graphs": Flag(off="--enforce-eager"),
        "kv_dtype": Flag("--kv-cache-dtype {}"),
        "cuda_graph_max": Flag(
            "--max-cudagraph-capture-size {}", since=(0, 11, 1), before=Flag("--cuda-graph-sizes {}")
        ),
        "prefill_budget": Flag("--max-num-batched-tokens {}"),
        "chunked_prefill": Flag(on="--enable-chunked-prefill", off="--no-enable-chunked-prefill"),
        "kv_block": Flag("--block-size {}", least=16),
        "sampling_defaults": Flag("--generation-config {}", spelled={"model": "auto", "neutral": "vllm"}),
        "overlap": Flag(on="--async-scheduling", off="--no-async-scheduling"),
        "stream_interval": Flag("--stream-interval {}"),
        "seed": Flag("--seed {}"),
        "memory_fraction": Flag("--gpu-memory-utilization {}"),
        "dummy_weights": Flag(on="--load-format dummy"),
    },
    start=Start(
        ("vllm", "serve"),
        served_name="--served-model-name {}",
        always=("--enable-prompt-tokens-details",),
        env={"VLLM_SERVER_DEV_MODE": "1"},  # without it /server_info does not report the settings
        progress={
            r"Loading .*checkpoint shards: +(\d+)%": "loading weights {} %",
            r"Resolved architecture|Initializing a V1 LLM engine": "reading the model's configuration",
            r"Starting to load model|Initializing model took": "loading weights",
            r"Model loading took ([\d.]+) GiB": "weights are loaded, {} GiB on each GPU",
            r"Loading weights took|Model loading took": "weights are loaded",
            r"Available KV cache memory: ([\d.]+) GiB": "KV pool of {} GiB on each GPU",
            r"torch\.compile takes|Dynamo bytecode|Compiling a graph|saved AOT compiled": "compiling",
            r"KV cache size: ([\d,]+) tokens": "KV pool of {} tokens",
            r"Capturing CUDA graphs.*?(\d+)%": "capturing CUDA graphs {} %",
            r"Capturing CUDA graph|Graph capturing": "capturing CUDA graphs",
            r"Starting vLLM (?:API )?server|Application startup complete": "serving",
        },
    ),
    reset_path="/reset_prefix_cache",
    reset_needs="started with VLLM_SERVER_DEV_MODE=1 in its environment",
)
