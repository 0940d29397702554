"""The two presets: what their engines cost, set so that the published study's figures come out.

| | 1 stream, 50-token prompt | 1 stream, 500 | 10 streams | 100 streams |
|---|---|---|---|---|
| vLLM | 0.45 s, 35 TPS | 0.65 s, 35 TPS | 0.65 s, 22 TPS | 1.25 s, 16 TPS |
| SGLang | 0.57 s, 38 TPS | 0.62 s, 38 TPS | 0.62 s, 30 TPS | 0.65 s, 31 TPS |

The figures fix the parameters: the step from 50 to 500 prompt tokens gives the prefill's cost a token, one stream's
TPS the lone decode step, 10 and 100 streams how that step grows with the batch, and the TTFT at 100 streams what the
front end costs a stream that is already running.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """What one engine does and costs. Times in ms of the simulated engine."""

    engine: str
    title: str
    version: str
    front_ms: float  # from the request's arrival until the scheduler has it: network, HTTP, tokeniser
    front_ms_per_stream: float  # the front end also writes every running stream, in the same process
    step_ms: float  # a decode step of an empty batch: launches, weights read once
    batch_ms: float  # what a full batch adds
    batch_half: float  # the batch at which half of that is reached: kernels fill the GPU, then it is bandwidth
    context_ms_per_token: float  # attention reads every cached token of every stream
    prefill_ms_per_token: float
    jitter: float  # standard deviation of a step's time, as a share of it
    prefill_first: bool  # SGLang: a step prefills or decodes; vLLM mixes both within one token budget
    token_budget: int  # tokens a step may compute
    max_running: int
    page_tokens: int  # of the KV pool and of the prefix cache
    kv_tokens: int
    max_model_len: int
    gauge_every_steps: int  # SGLang refreshes its gauges every 40 decode steps
    gpu_memory_gib: float
    gpu_used_gib: float  # weights and the preallocated pool: flat by design
    idle_w: float
    busy_w: float


VLLM = Preset(
    engine="vllm",
    title="vLLM",
    version="0.32.0",
    front_ms=400.0,
    front_ms_per_stream=7.2,
    step_ms=24.8,
    batch_ms=40.0,
    batch_half=10.0,
    context_ms_per_token=2e-5,
    prefill_ms_per_token=0.44,
    jitter=0.03,
    prefill_first=False,
    token_budget=8192,
    max_running=256,
    page_tokens=16,
    kv_tokens=131_072,
    max_model_len=32_768,
    gauge_every_steps=1,
    gpu_memory_gib=79.6,
    gpu_used_gib=71.9,
    idle_w=92.0,
    busy_w=610.0,
)

SGLANG = Preset(
    engine="sglang",
    title="SGLang",
    version="0.5.23",
    front_ms=552.0,
    front_ms_per_stream=0.35,
    step_ms=14.2,
    batch_ms=17.5,
    batch_half=0.5,
    context_ms_per_token=1.5e-5,
    prefill_ms_per_token=0.11,
    jitter=0.03,
    prefill_first=True,
    token_budget=8192,
    max_running=2048,
    page_tokens=1,
    kv_tokens=131_072,
    max_model_len=32_768,
    gauge_every_steps=40,
    gpu_memory_gib=79.6,
    gpu_used_gib=66.4,
    idle_w=90.0,
    busy_w=585.0,
)

PRESETS: dict[str, Preset] = {preset.engine: preset for preset in (VLLM, SGLANG)}
