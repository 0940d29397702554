"""The two presets: costs of each engine, chosen so that the published study's figures come out.

| | 1 stream, 50-token prompt | 1 stream, 500 | 10 streams | 100 streams |
|---|---|---|---|---|
| vLLM | 0.45 s, 35 TPS | 0.65 s, 35 TPS | 0.65 s, 22 TPS | 1.25 s, 16 TPS |
| SGLang | 0.57 s, 38 TPS | 0.62 s, 38 TPS | 0.62 s, 30 TPS | 0.65 s, 31 TPS |

The single streams ask one request after the other for 500 tokens. 10 and 100 streams are read as closed loops of that
many, started every 61.25 ms, whose prompts of 250 tokens have 200 in common: the study gives the stagger and that
there is a shared prefix, the lengths are ours. Each figure comes out within 15 %, which a test holds.

The figures fix the parameters: the step from 50 to 500 prompt tokens gives the prefill's cost a token, one stream's
TPS the lone decode step, 10 and 100 streams how that step grows with the batch, and the TTFT at 100 streams what the
front end costs a stream that is already running.

What the study does not fix follows an 8B model with FP8 KV on a GPU of 40 GB: 64 KiB of KV a token (32 layers, 8 KV
heads of 128, keys and values), read at 1.55 TB/s, is 4.2e-5 ms for each token of context in each decode step; a pool
of 8 GiB holds 131,072 tokens; token budget and batch limit are the engines' own defaults for a GPU of that size.
"""

from dataclasses import dataclass

MODEL = "simulated-8b"
GIB = 1 << 30
KV_BYTES_A_TOKEN = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """How one engine schedules and what that costs. Times in ms of the simulated engine."""

    engine: str
    version: str
    front_ms: float  # from the request's arrival until the scheduler has it: network, HTTP, tokenizer
    front_ms_per_stream: float  # the front end also writes every running stream, in the same process
    step_ms: float  # of every step, decode or prefill: launches, weights read once
    batch_ms: float  # what decoding a full batch adds
    batch_half: float  # the batch at which half of that is reached: kernels fill the GPU, then it is bandwidth
    stream_ms: float  # what every further stream costs all the same: sampling, bookkeeping
    context_ms_per_token: float = 4.2e-5  # attention reads every cached token of every stream
    prefill_ms_per_token: float
    jitter: float = 0.03  # standard deviation of a step's time, as a share of it
    prefill_first: bool  # SGLang: a step prefills or decodes; vLLM mixes both within one token budget
    token_budget: int  # tokens a step may compute
    max_running: int
    page_tokens: int  # of the KV pool and of the prefix cache
    kv_tokens: int = 131_072
    max_model_len: int = 32_768
    gpu_memory_gib: float = 40.0
    gpu_used_gib: float  # weights, the preallocated pool, graphs and work space: flat by design
    weights_gib: float = 15.0
    idle_w: float
    busy_w: float


VLLM = Preset(
    engine="vllm",
    version="0.32.0",
    front_ms=400.0,
    front_ms_per_stream=6.8,
    step_ms=25.1,
    batch_ms=36.5,
    batch_half=10.0,
    stream_ms=0.02,
    prefill_ms_per_token=0.44,
    prefill_first=False,
    token_budget=2048,
    max_running=256,
    page_tokens=16,
    gpu_used_gib=26.0,
    idle_w=56.0,
    busy_w=392.0,
)

SGLANG = Preset(
    engine="sglang",
    version="0.5.23",
    front_ms=560.0,
    front_ms_per_stream=0.35,
    step_ms=8.0,
    batch_ms=22.0,
    batch_half=0.2,
    stream_ms=0.01,
    prefill_ms_per_token=0.11,
    prefill_first=True,
    token_budget=4096,
    max_running=2048,
    page_tokens=1,
    gpu_used_gib=25.1,
    idle_w=55.0,
    busy_w=378.0,
)

PRESETS: dict[str, Preset] = {preset.engine: preset for preset in (VLLM, SGLANG)}
