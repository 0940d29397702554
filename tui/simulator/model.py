"""The two presets: what their engines cost, set so that the published study's figures come out.

| | 1 stream, 50-token prompt | 1 stream, 500 | 10 streams | 100 streams |
|---|---|---|---|---|
| vLLM | 0.45 s, 35 TPS | 0.65 s, 35 TPS | 0.65 s, 22 TPS | 1.25 s, 16 TPS |
| SGLang | 0.57 s, 38 TPS | 0.62 s, 38 TPS | 0.62 s, 30 TPS | 0.65 s, 31 TPS |

The single streams ask one request after the other for 500 tokens. 10 and 100 streams are read as closed loops of that
many, started 61.25 ms apart, whose prompts of 250 tokens have 200 in common: the study gives the stagger and that
there is a shared prefix, the lengths are ours. Each figure comes out within 15 %, which a test holds.

The figures fix the parameters: the step from 50 to 500 prompt tokens gives the prefill's cost a token, one stream's
TPS the lone decode step, 10 and 100 streams how that step grows with the batch, and the TTFT at 100 streams what the
front end costs a stream that is already running.

What the study does not fix follows an 8B model with FP8 KV on a GPU of 40 GB: 64 KiB of KV a token (32 layers, 8 KV
heads of 128, keys and values), read at 1.55 TB/s, is 4.2e-5 ms for each token of context in each decode step; a pool
of 8 GiB holds 131,072 tokens; token budget and batch limit are the engines' own defaults for a GPU of that size.

Faults on demand, to test what a client makes of them: POST /_simulator/fault {"kind": …, "count": n}.

A GPU that is not there, as a DCGM exporter would show it. Utilisation and power follow the simulated load.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal, get_args

GIB = 1 << 30
KV_BYTES_A_TOKEN = 64 << 10
CONTEXT_MS_A_TOKEN = 4.2e-5


@dataclass(frozen=True, slots=True)
class Preset:
    """What one engine does and costs. Times in ms of the simulated engine."""

    engine: str
    title: str
    version: str
    front_ms: float  # from the request's arrival until the scheduler has it: network, HTTP, tokeniser
    front_ms_per_stream: float  # the front end also writes every running stream, in the same process
    step_ms: float  # of every step, decode or prefill: launches, weights read once
    batch_ms: float  # what decoding a full batch adds
    batch_half: float  # the batch at which half of that is reached: kernels fill the GPU, then it is bandwidth
    stream_ms: float  # what every further stream costs all the same: sampling, bookkeeping
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
    gpu_used_gib: float  # weights, the preallocated pool, graphs and work space: flat by design
    weights_gib: float
    idle_w: float
    busy_w: float


VLLM = Preset(
    engine="vllm",
    title="vLLM",
    version="0.32.0",
    front_ms=400.0,
    front_ms_per_stream=6.8,
    step_ms=25.1,
    batch_ms=36.5,
    batch_half=10.0,
    stream_ms=0.02,
    context_ms_per_token=CONTEXT_MS_A_TOKEN,
    prefill_ms_per_token=0.44,
    jitter=0.03,
    prefill_first=False,
    token_budget=2048,
    max_running=256,
    page_tokens=16,
    kv_tokens=131_072,
    max_model_len=32_768,
    gauge_every_steps=1,
    gpu_memory_gib=40.0,
    gpu_used_gib=26.0,
    weights_gib=15.0,
    idle_w=56.0,
    busy_w=392.0,
)

SGLANG = Preset(
    engine="sglang",
    title="SGLang",
    version="0.5.23",
    front_ms=560.0,
    front_ms_per_stream=0.35,
    step_ms=8.0,
    batch_ms=22.0,
    batch_half=0.2,
    stream_ms=0.01,
    context_ms_per_token=CONTEXT_MS_A_TOKEN,
    prefill_ms_per_token=0.11,
    jitter=0.03,
    prefill_first=True,
    token_budget=4096,
    max_running=2048,
    page_tokens=1,
    kv_tokens=131_072,
    max_model_len=32_768,
    gauge_every_steps=40,
    gpu_memory_gib=40.0,
    gpu_used_gib=25.1,
    weights_gib=15.0,
    idle_w=55.0,
    busy_w=378.0,
)

PRESETS: dict[str, Preset] = {preset.engine: preset for preset in (VLLM, SGLANG)}


Fault = Literal[
    "http_429",
    "http_503",
    "error_in_stream",  # HTTP 200, some tokens, an error object, the end mark all the same
    "cut",  # the connection closes in mid-stream
    "reset",  # the connection is reset in mid-stream
    "stall",  # tokens stop and the connection stays open
    "no_stream",  # answers with one JSON object though a stream was asked for
    "no_usage",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
TOKENS_BEFORE = 3  # a fault in mid-stream comes after so many


class Faults:
    """The faults still to come, each for one request."""

    def __init__(self) -> None:
        self._queue: deque[Fault] = deque()

    def add(self, kind: Fault, count: int) -> None:
        """The next `count` requests have it."""
        self._queue.extend([kind] * count)

    def clear(self) -> None:
        """No request to come has any."""
        self._queue.clear()

    def take(self) -> Fault | None:
        """The next request's fault, if it has one."""
        return self._queue.popleft() if self._queue else None


FADE_S = 1.0  # NVML's utilisation is that of about the last second
FULL_BATCH_HALF = 16  # the batch at which a decode step draws half of what a full one does above a lone stream's
LONE_SHARE = 0.55  # of full power: one stream reads the weights as often as many do, and computes little
RESERVED_MIB = 480.0


@dataclass(slots=True)
class SimulatedGpu:
    """Times are a monotonic clock's, in s; energy is that of the wall time, whatever the simulation's speed."""

    preset: Preset
    now_s: float
    energy_j: float = 0.0
    busy: float = 0.0  # share of the last second or so in which a step ran
    load: float = 0.0  # of a running step: 1 is a full batch

    def advance(self, now_s: float, batch: int) -> None:
        """Note that from the last call until now `batch` streams ran, none of them when it was idle."""
        span_s = max(0.0, now_s - self.now_s)
        self.now_s = now_s
        kept = math.exp(-span_s / FADE_S)
        self.busy = self.busy * kept + (1.0 - kept if batch else 0.0)
        if batch:
            running = LONE_SHARE + (1.0 - LONE_SHARE) * batch / (batch + FULL_BATCH_HALF)
            self.load = self.load * kept + running * (1.0 - kept)
        self.energy_j += self.power_w * span_s

    @property
    def power_w(self) -> float:
        """Drawn now."""
        return self.preset.idle_w + (self.preset.busy_w - self.preset.idle_w) * self.busy * self.load

    def page(self) -> bytes:
        """The exporter's page. Used memory is flat: weights and pool are allocated at the start."""
        from prometheus_client import CollectorRegistry, Gauge, generate_latest

        used_mib = self.preset.gpu_used_gib * 1024
        values = {
            "DCGM_FI_DEV_FB_USED": used_mib,
            "DCGM_FI_DEV_FB_RESERVED": RESERVED_MIB,
            "DCGM_FI_DEV_FB_FREE": self.preset.gpu_memory_gib * 1024 - used_mib - RESERVED_MIB,
            "DCGM_FI_DEV_GPU_UTIL": round(100 * self.busy),
            "DCGM_FI_DEV_POWER_USAGE": round(self.power_w, 1),
            "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": round(self.energy_j * 1000),
            "DCGM_FI_DEV_GPU_TEMP": round(34 + 33 * self.busy * self.load),
            "DCGM_FI_DEV_SM_CLOCK": 1410 if self.busy > 0.05 else 210,
        }
        labels = {
            "gpu": "0",
            "UUID": f"GPU-SIMULATED-{self.preset.engine}",
            "device": "nvidia0",
            "modelName": "SIMULATED A100-SXM4-40GB",
            "hostname": "simulated",
        }
        registry = CollectorRegistry()
        for name, value in values.items():
            Gauge(name, name, list(labels), registry=registry).labels(**labels).set(value)
        return generate_latest(registry)
