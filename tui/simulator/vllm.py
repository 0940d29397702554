"""vLLM's metrics page: everything is live, tokens are counted at each step, gauges set at each step.

vLLM's events: the finish reason comes with the last token, the fingerprint with the last event.
"""

from __future__ import annotations

import secrets
from typing import Any

from tui.simulator.formats import DONE, Page, Told, compact, counts, counts_json, head
from tui.simulator.model import KV_BYTES_A_TOKEN, Preset
from tui.simulator.requests import Asked
from tui.simulator.scheduler import Scheduler, Step

TTFT_S = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5),
    *(10, 20, 40, 80, 160, 640, 2560),
)
TOKEN_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)
REQUEST_S = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680)
STEP_TOKENS = (1, *(2**power for power in range(3, 15)))
REQUEST_TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)


class VllmMetrics:
    """Names and meanings of vLLM 0.32."""

    def __init__(self, preset: Preset, model: str) -> None:
        self._page = Page({"engine": "0", "model_name": model})
        self._announce(preset)

    def stepped(self, step: Step, scheduler: Scheduler) -> None:
        """Output tokens are counted here, preemptions too."""
        self._page.count("vllm:generation_tokens", len(step.emitted))
        self._page.count("vllm:num_preemptions", step.preempted)
        self._page.observe("vllm:iteration_tokens_total", step.decoded + step.prefill_tokens, STEP_TOKENS)
        self.idle(scheduler)

    def idle(self, scheduler: Scheduler) -> None:
        """Set the gauges."""
        waiting = len(scheduler.waiting)
        self._page.gauge("vllm:num_requests_running", len(scheduler.running))
        self._page.gauge("vllm:num_requests_waiting", waiting)
        self._page.gauge("vllm:num_requests_waiting_by_reason", waiting, reason="capacity")
        self._page.gauge("vllm:kv_cache_usage_perc", scheduler.pool.usage)

    def began(self, told: Told) -> None:
        """Prompt tokens count at the first token, cached ones included; hits and queries are tokens."""
        self._page.count("vllm:prompt_tokens", told.prompt_tokens)
        computed = told.prompt_tokens - told.cached_tokens
        self._page.count("vllm:prompt_tokens_by_source", computed, source="local_compute")
        self._page.count("vllm:prompt_tokens_by_source", told.cached_tokens, source="local_cache_hit")
        self._page.count("vllm:prompt_tokens_cached", told.cached_tokens)
        self._page.count("vllm:prefix_cache_queries", told.prompt_tokens)
        self._page.count("vllm:prefix_cache_hits", told.cached_tokens)
        self._page.observe("vllm:time_to_first_token_seconds", told.ttft_s, TTFT_S)

    def gap(self, gap_s: float) -> None:
        """One sample for each request in each step."""
        self._page.observe("vllm:inter_token_latency_seconds", gap_s, TOKEN_S)

    def ended(self, told: Told) -> None:
        """The histograms of whole requests."""
        self._page.count("vllm:request_success", 1, finished_reason=told.finish_reason)
        self._page.observe("vllm:e2e_request_latency_seconds", told.e2e_s, REQUEST_S)
        self._page.observe("vllm:request_queue_time_seconds", told.queue_s, REQUEST_S)
        self._page.observe("vllm:request_time_per_output_token_seconds", told.tpot_s, TOKEN_S)
        self._page.observe("vllm:request_prompt_tokens", told.prompt_tokens, REQUEST_TOKENS)
        self._page.observe("vllm:request_generation_tokens", told.output_tokens, REQUEST_TOKENS)

    def aborted(self, told: Told) -> None:
        """Counted in a series called success, as vLLM does."""
        self._page.count("vllm:request_success", 1, finished_reason="abort")

    def text(self) -> bytes:
        """The page as it is scraped."""
        return self._page.text()

    def _announce(self, preset: Preset) -> None:
        """What stands on the page before the first request."""
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
        self._page.gauge("vllm:cache_config_info", 1, **{key: str(value) for key, value in config.items()})
        for name in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"):
            self._page.gauge(f"vllm:{name}", 0)
        for name in ("generation_tokens", "prompt_tokens", "prefix_cache_queries", "prefix_cache_hits"):
            self._page.count(f"vllm:{name}", 0)
        self._page.count("vllm:num_preemptions", 0)
        for reason in ("stop", "length", "abort", "error", "repetition"):
            self._page.count("vllm:request_success", 0, finished_reason=reason)


FINGERPRINT = "vllm-simulated"
_DETAILS = ',"completion_tokens_details":null'


class VllmEvents:
    """One request's answer as vLLM 0.32.0 writes it."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._id = ("chatcmpl-" if asked.chat else "cmpl-") + secrets.token_hex(8)
        self._head = "data: " + compact(head(asked, self._id, stream=True))[:-1] + ',"choices":['
        text = '{"index":0,"delta":{"content":"' if asked.chat else '{"index":0,"text":"'
        self._before = self._head + text
        self._after = self._after_text(None)
        self._fingerprint = f',"system_fingerprint":"{FINGERPRINT}"'

    def first(self) -> bytes:
        """The role, with no token counted yet."""
        if not self._asked.chat:
            return b""
        choice = '{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]'
        return f'{self._head}{choice}{self._usage(0)},"prompt_token_ids":null,"prompt_text":null}}\n\n'.encode()

    def token(self, text: str, number: int, *, last: bool) -> bytes:
        """One token."""
        after = self._after_text(self._asked.finish_reason) if last else self._after
        mark = self._fingerprint if last and not self._asked.usage else ""
        return f"{self._before}{text}{after}{self._usage(number)}{mark}}}\n\n".encode()

    def end(self, number: int) -> bytes:
        """The usage, if it was asked for, and the end mark."""
        if not self._asked.usage:
            return DONE
        return f'{self._head}],"usage":{counts_json(self._asked, number)}{self._fingerprint}}}\n\n'.encode() + DONE

    def whole(self, text: str, number: int) -> dict[str, Any]:
        """The answer in one."""
        choice: dict[str, Any] = {"index": 0}
        if self._asked.chat:
            choice["message"] = {"role": "assistant", "content": text, "refusal": None, "reasoning": None}
        else:
            choice["text"] = text
        choice |= {"logprobs": None, "finish_reason": self._asked.finish_reason, "stop_reason": None}
        return head(self._asked, self._id, stream=False) | {
            "choices": [choice],
            "service_tier": None,
            "system_fingerprint": FINGERPRINT,
            "usage": counts(self._asked, number) | {"prompt_tokens_details": None, "completion_tokens_details": None},
        }

    def _after_text(self, reason: str | None) -> str:
        finish = f'"{reason}"' if reason else "null"
        if self._asked.chat:
            stop = ',"stop_reason":null' if reason else ""
            return f'"}},"logprobs":null,"finish_reason":{finish}{stop},"token_ids":null}}]'
        rest = '"stop_reason":null,"prompt_token_ids":null,"token_ids":null'
        return f'","logprobs":null,"finish_reason":{finish},{rest}}}]'

    def _usage(self, number: int) -> str:
        if not self._asked.usage_always:
            return ""
        return f',"usage":{counts_json(self._asked, number, _DETAILS)}'
