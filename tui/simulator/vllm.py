"""vLLM 0.32's metrics page and its answers."""

import secrets

from tui.simulator.requests import DONE, Json, OpenAIAnswer, Page, ParsedRequest, ServedRequest
from tui.simulator.scheduler import KV_BYTES_A_TOKEN, MODEL, Preset, Scheduler, Step

_TOKEN_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)
_REQUEST_S = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680)
_TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
BUCKETS = {
    "time_to_first_token_seconds": (
        *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5),
        *(10, 20, 40, 80, 160, 640, 2560),
    ),
    "inter_token_latency_seconds": _TOKEN_S,
    "request_time_per_output_token_seconds": _TOKEN_S,
    "e2e_request_latency_seconds": _REQUEST_S,
    "request_queue_time_seconds": _REQUEST_S,
    "request_prompt_tokens": _TOKENS,
    "request_generation_tokens": _TOKENS,
    "iteration_tokens_total": (1, *(2**power for power in range(3, 15))),
}


class VllmMetrics:
    """Output tokens are counted and gauges set at each step, prompt tokens counted at the first token."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._page = Page("vllm:", {"engine": "0", "model_name": MODEL}, BUCKETS)
        self._page.set(_cache_config(scheduler.preset), cache_config_info=1)
        self._page.add(generation_tokens=0, prompt_tokens=0, prefix_cache_queries=0, prefix_cache_hits=0)
        self._page.add(num_preemptions=0)
        for reason in ("stop", "length", "abort", "error", "repetition"):
            self._page.add({"finished_reason": reason}, request_success=0)
        self.idle()

    def stepped(self, step: Step) -> None:
        self._page.add(generation_tokens=len(step.emitted), num_preemptions=step.preempted)
        self._page.observe(iteration_tokens_total=step.decoded + step.prefill_tokens)
        self.idle()

    def idle(self) -> None:
        waiting = len(self._scheduler.waiting)
        self._page.set(num_requests_running=len(self._scheduler.running), num_requests_waiting=waiting)
        self._page.set({"reason": "capacity"}, num_requests_waiting_by_reason=waiting)
        self._page.set(kv_cache_usage_perc=self._scheduler.pool.usage)

    def first_token(self, served: ServedRequest) -> None:
        """Cached prompt tokens count as prompt tokens too; hits and queries are tokens."""
        prompt_tokens, cached = len(served.request.prompt), served.stream.cached
        self._page.add(prompt_tokens=prompt_tokens, prompt_tokens_cached=cached)
        self._page.add({"source": "local_compute"}, prompt_tokens_by_source=prompt_tokens - cached)
        self._page.add({"source": "local_cache_hit"}, prompt_tokens_by_source=cached)
        self._page.add(prefix_cache_queries=prompt_tokens, prefix_cache_hits=cached)
        self._page.observe(time_to_first_token_seconds=served.ttft_s)

    def next_token(self, gap_s: float) -> None:
        self._page.observe(inter_token_latency_seconds=gap_s)

    def finished(self, served: ServedRequest) -> None:
        self._page.add({"finished_reason": served.request.finish_reason}, request_success=1)
        self._page.observe(
            e2e_request_latency_seconds=served.e2e_s,
            request_queue_time_seconds=served.queue_s,
            request_time_per_output_token_seconds=served.tpot_s,
            request_prompt_tokens=len(served.request.prompt),
            request_generation_tokens=served.tokens,
        )

    def aborted(self) -> None:
        """vLLM counts an aborted request in a series called success."""
        self._page.add({"finished_reason": "abort"}, request_success=1)

    def text(self) -> bytes:
        return self._page.text()


def _cache_config(preset: Preset) -> dict[str, str]:
    config = {
        "block_size": preset.page_tokens,
        "cache_dtype": "auto",
        "num_gpu_blocks": preset.kv_tokens // preset.page_tokens,
        "enable_prefix_caching": True,
        "gpu_memory_utilization": round(preset.gpu_used_gib / preset.gpu_memory_gib, 2),
        "kv_cache_memory_bytes": preset.kv_tokens * KV_BYTES_A_TOKEN,
        "kv_cache_size_tokens": preset.kv_tokens,
        "kv_cache_max_concurrency": preset.kv_tokens / preset.max_model_len,
    }
    return {name: str(value) for name, value in config.items()}


_FINGERPRINT = {"system_fingerprint": "vllm-simulated"}


class VllmAnswer(OpenAIAnswer):
    """The finish reason comes with the last token, the fingerprint with the last event."""

    def __init__(self, request: ParsedRequest) -> None:
        super().__init__(request, ("chatcmpl-" if request.chat else "cmpl-") + secrets.token_hex(8))

    def first(self) -> bytes:
        if not self.request.chat:
            return b""
        delta = {"role": "assistant", "content": ""}
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        return self.event(choice, **self._live_usage(0), prompt_token_ids=None, prompt_text=None)

    def token_event(self, text: str, number: int, *, last: bool) -> bytes:
        choice = self._choice(text, self.request.finish_reason if last else None)
        return self.event(
            choice, **self._live_usage(number), **(_FINGERPRINT if last and not self.request.usage else {})
        )

    def end(self, number: int) -> bytes:
        """The usage, if it was asked for, and the end mark."""
        return (self.event(usage=self.usage(number), **_FINGERPRINT) if self.request.usage else b"") + DONE

    def whole(self, text: str, number: int) -> Json:
        message = {"role": "assistant", "content": text, "refusal": None, "reasoning": None}
        content = {"message": message} if self.request.chat else {"text": text}
        finish = {"logprobs": None, "finish_reason": self.request.finish_reason, "stop_reason": None}
        usage = self.usage(number, prompt_tokens_details=None, completion_tokens_details=None)
        return self.body({"index": 0, **content, **finish}, service_tier=None, **_FINGERPRINT, usage=usage)

    def _choice(self, text: str, reason: str | None) -> Json:
        finish: Json = {"logprobs": None, "finish_reason": reason}
        if self.request.chat:
            stop = {"stop_reason": None} if reason else {}
            return {"index": 0, "delta": {"content": text}, **finish, **stop, "token_ids": None}
        return {"index": 0, "text": text, **finish, "stop_reason": None, "prompt_token_ids": None, "token_ids": None}

    def _live_usage(self, number: int) -> Json:
        return {"usage": self.usage(number, completion_tokens_details=None)} if self.request.usage_always else {}
