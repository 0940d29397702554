"""The engine's own metrics page under its real names, and a GPU as a DCGM exporter shows it.

What each counter means is kept: vLLM's generation counter rises with every step, SGLang's only when a request ends,
beside a live one that leaves out each request's first token; SGLang's gauges are refreshed every 40 decode steps.
"""

from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tui.simulator.presets import Preset
from tui.simulator.scheduler import Scheduler, Step

VLLM_TTFT_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)
SGLANG_TTFT_S = (0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400)
E2E_S = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480)


@dataclass(slots=True)
class Told:
    """One request as the metrics see it."""

    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    ttft_s: float
    e2e_s: float
    finish_reason: str


@dataclass(slots=True)
class EngineMetrics:
    """The page of one simulated engine."""

    preset: Preset
    model: str
    _page: CollectorRegistry = field(default_factory=CollectorRegistry)
    _made: dict[str, Any] = field(default_factory=dict)
    _labels: dict[str, str] = field(default_factory=dict)
    _steps: int = 0

    def __post_init__(self) -> None:
        rank = {"tp_rank": "0", "pp_rank": "0"} if self.preset.engine == "sglang" else {}
        own = {"engine_type": "unified"} if self.preset.engine == "sglang" else {"engine": "0"}
        self._labels = {"model_name": self.model, **own, **rank}
        if self.preset.engine == "vllm":
            self._announce_vllm()
        else:
            self._gauge("sglang:max_total_num_tokens", self.preset.kv_tokens)
            self._gauge("sglang:num_running_reqs", 0)
            self._gauge("sglang:num_queue_reqs", 0)
            self._gauge("sglang:token_usage", 0)
            self._gauge("sglang:full_token_usage", 0)

    def stepped(self, step: Step, scheduler: Scheduler, first_tokens: int) -> None:
        """A step is over; `first_tokens` of its tokens were their requests' first."""
        self._steps += 1
        if self.preset.engine == "vllm":
            self._count("vllm:generation_tokens", len(step.emitted))
            self._count("vllm:num_preemptions", step.preempted)
        else:
            self._count("sglang:realtime_tokens", len(step.emitted) - first_tokens, mode="decode")
            self._count("sglang:realtime_tokens", step.prefill_tokens, mode="prefill_compute")
            self._count("sglang:realtime_tokens", step.cached_tokens, mode="prefill_cache")
            self._count("sglang:num_retracted_requests", step.preempted)
        if step.prefill_tokens or self._steps % self.preset.gauge_every_steps == 0:
            self.refresh(scheduler)

    def refresh(self, scheduler: Scheduler) -> None:
        """Set the gauges."""
        running, waiting, usage = len(scheduler.running), len(scheduler.waiting), scheduler.pool.usage
        if self.preset.engine == "vllm":
            self._gauge("vllm:num_requests_running", running)
            self._gauge("vllm:num_requests_waiting", waiting)
            self._gauge("vllm:kv_cache_usage_perc", usage)
        else:
            self._gauge("sglang:num_running_reqs", running)
            self._gauge("sglang:num_queue_reqs", waiting)
            self._gauge("sglang:token_usage", round(usage, 2))
            self._gauge("sglang:full_token_usage", usage)

    def began(self, told: Told) -> None:
        """A request's first token is there."""
        if self.preset.engine == "vllm":
            self._count("vllm:prompt_tokens", told.prompt_tokens)
            self._count("vllm:prefix_cache_queries", told.prompt_tokens)
            self._count("vllm:prefix_cache_hits", told.cached_tokens)
            self._observe("vllm:time_to_first_token_seconds", told.ttft_s, VLLM_TTFT_S)
        else:
            self._observe("sglang:time_to_first_token_seconds", told.ttft_s, SGLANG_TTFT_S)

    def ended(self, told: Told) -> None:
        """A request is over."""
        if self.preset.engine == "vllm":
            self._count("vllm:request_success", 1, finished_reason=told.finish_reason)
            self._observe("vllm:e2e_request_latency_seconds", told.e2e_s, E2E_S)
        else:
            self._count("sglang:prompt_tokens", told.prompt_tokens, is_streaming="true")
            self._count("sglang:generation_tokens", told.output_tokens, is_streaming="true")
            self._count("sglang:cached_tokens", told.cached_tokens, cache_source="device")
            self._count("sglang:num_requests", 1, is_streaming="true")
            self._observe("sglang:e2e_request_latency_seconds", told.e2e_s, E2E_S)

    def page(self) -> bytes:
        """The page as it is scraped."""
        return generate_latest(self._page)

    def _announce_vllm(self) -> None:
        preset = self.preset
        config = {
            "block_size": preset.page_tokens,
            "num_gpu_blocks": preset.kv_tokens // preset.page_tokens,
            "enable_prefix_caching": "True",
            "gpu_memory_utilization": 0.92,
            "kv_cache_size_tokens": preset.kv_tokens,
            "kv_cache_max_concurrency": preset.kv_tokens / preset.max_model_len,
        }
        labels = {"engine": "0", **{key: str(value) for key, value in config.items()}}
        Gauge("vllm:cache_config_info", "Resolved cache config", list(labels), registry=self._page).labels(
            **labels
        ).set(1)
        for name in ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"):
            self._gauge(name, 0)
        for name in (
            "generation_tokens",
            "prompt_tokens",
            "prefix_cache_queries",
            "prefix_cache_hits",
            "num_preemptions",
        ):
            self._count(f"vllm:{name}", 0)

    def _gauge(self, name: str, value: float) -> None:
        if name not in self._made:
            self._made[name] = Gauge(name, name, list(self._labels), registry=self._page)
        self._made[name].labels(**self._labels).set(value)

    def _count(self, name: str, more: float, **labels: str) -> None:
        if name not in self._made:
            self._made[name] = Counter(name, name, [*self._labels, *labels], registry=self._page)
        self._made[name].labels(**self._labels, **labels).inc(more)

    def _observe(self, name: str, value: float, buckets: tuple[float, ...]) -> None:
        if name not in self._made:
            self._made[name] = Histogram(name, name, list(self._labels), buckets=buckets, registry=self._page)
        self._made[name].labels(**self._labels).observe(value)


def gpu_page(preset: Preset, busy_share: float, energy_j: float) -> bytes:
    """One GPU as a DCGM exporter shows it. Used memory is flat: the pool is preallocated."""
    page = CollectorRegistry()
    labels = {
        "gpu": "0",
        "UUID": f"GPU-SIMULATED-{preset.engine}",
        "device": "nvidia0",
        "modelName": "SIMULATED H100 80GB",
        "hostname": "simulated",
    }
    reserved_mib = 600.0
    used_mib = preset.gpu_used_gib * 1024
    values = {
        "DCGM_FI_DEV_FB_USED": used_mib,
        "DCGM_FI_DEV_FB_RESERVED": reserved_mib,
        "DCGM_FI_DEV_FB_FREE": preset.gpu_memory_gib * 1024 - used_mib - reserved_mib,
        "DCGM_FI_DEV_GPU_UTIL": round(100 * busy_share),
        "DCGM_FI_DEV_POWER_USAGE": preset.idle_w + (preset.busy_w - preset.idle_w) * busy_share,
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": energy_j * 1000,
        "DCGM_FI_DEV_GPU_TEMP": round(34 + 33 * busy_share),
        "DCGM_FI_DEV_SM_CLOCK": 1980 if busy_share else 345,
    }
    for name, value in values.items():
        Gauge(name, name, list(labels), registry=page).labels(**labels).set(value)
    return generate_latest(page)
