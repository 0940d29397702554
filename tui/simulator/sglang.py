"""SGLang 0.5.23's metrics page, its answers and its settings."""

import secrets
import time

from tui.simulator.requests import DONE, Json, OpenAIAnswer, Page, ParsedRequest, ServedRequest, event_bytes, tokenize
from tui.simulator.scheduler import GIB, KV_BYTES_A_TOKEN, MODEL, Preset, Scheduler, Step

GAUGES_EVERY_STEPS = 40  # decode steps
_TTFT_S = (0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400)
_TOKEN_MS = (2, 4, 6, 8, 10, 15, 20, 25, 30, 35, 40, 60, 80, 100, 200, 400, 600, 800, 1000, 2000, 4000, 6000, 8000)
_TOKEN_S = tuple(edge / 1000 for edge in _TOKEN_MS)
BUCKETS = {
    "time_to_first_token_seconds": _TTFT_S,
    "inter_token_latency_seconds": _TOKEN_S,
    "request_time_per_output_token_seconds": _TOKEN_S,
    "e2e_request_latency_seconds": (*_TTFT_S, 600, 1200, 1800, 2400),
    "queue_time_seconds": (
        *(0.0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 4, 5, 10, 15),
        *(*range(20, 100, 10), *range(100, 1000, 100), *range(1000, 2000, 200), 2000, 2500, 3000),
    ),
}


class SglangMetrics:
    """Token counters rise when a request ends, gauges every 40 decode steps; `realtime_tokens` alone is live.

    Series of the scheduler carry the ranks, those of the tokenizer's process do not. There are no `_created` samples:
    it exports in Prometheus's multi-process mode.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        common = {"engine_type": "unified", "model_name": MODEL}
        ranks = {"moe_ep_rank": "0", "pp_rank": "0", "tp_rank": "0"}
        self._scheduler, preset = scheduler, scheduler.preset
        self._page = Page("sglang:", common | ranks, BUCKETS, created=False)
        self._tokenizer_page = Page("sglang:", common, BUCKETS, created=False)
        self._decode_steps = 0
        self._interval_tokens = 0
        self._interval_began_s = time.monotonic()
        self._throughput = 0.0  # tokens a second over the last interval of decode steps
        self._cache_hit_rate = 0.0  # of the last prefill only, as the engine reports it
        self._page.set(
            max_total_num_tokens=preset.kv_tokens,
            page_size=preset.page_tokens,
            num_pages=preset.kv_tokens // preset.page_tokens,
            context_len=preset.max_model_len,
            weight_memory_usage_gb=preset.weights_gib,
            kv_cache_memory_usage_gb=preset.kv_tokens * KV_BYTES_A_TOKEN / GIB,
        )
        self._set_gauges()

    def stepped(self, step: Step) -> None:
        """A step is over. The live counter leaves out each request's first token, which comes out of its prefill."""
        self._page.add({"mode": "decode"}, realtime_tokens=step.decoded)
        self._page.add({"mode": "prefill_compute"}, realtime_tokens=step.prefill_tokens)
        self._page.add({"mode": "prefill_cache"}, realtime_tokens=step.cached_tokens)
        self._page.add({"mode": "input"}, prefill_effective_tokens=step.prefill_tokens)
        self._page.add({"mode": "device_hit"}, prefill_effective_tokens=step.cached_tokens)
        self._page.add(num_retracted_requests=step.preempted)
        self._interval_tokens += step.decoded
        if step.prefill_tokens:
            self._cache_hit_rate = step.cached_tokens / (step.cached_tokens + step.prefill_tokens)
            self._set_gauges()
        else:
            self._decode_steps += 1
            if self._decode_steps % GAUGES_EVERY_STEPS == 0:
                self._end_interval()
                self._set_gauges()

    def idle(self) -> None:
        self._end_interval()
        self._throughput = 0.0
        self._set_gauges()

    def first_token(self, served: ServedRequest) -> None:
        self._tokenizer_page.observe(_streaming(served), time_to_first_token_seconds=served.ttft_s)
        self._page.observe(queue_time_seconds=served.queue_s)

    def next_token(self, gap_s: float) -> None:
        self._tokenizer_page.observe(inter_token_latency_seconds=gap_s)

    def finished(self, served: ServedRequest) -> None:
        """A request has its last token; all its tokens are counted now."""
        page, streaming = self._tokenizer_page, _streaming(served)
        page.add(streaming, prompt_tokens=len(served.request.prompt), generation_tokens=served.tokens, num_requests=1)
        page.add({"cache_source": "device"}, cached_tokens=served.stream.cached)
        page.observe(
            streaming,
            e2e_request_latency_seconds=served.e2e_s,
            request_time_per_output_token_seconds=served.tpot_s,
        )

    def aborted(self) -> None:
        """A request's client went away: its tokens are in no counter but the live one."""
        self._tokenizer_page.add(num_aborted_requests=1)

    def text(self) -> bytes:
        return self._tokenizer_page.text() + self._page.text()

    def _set_gauges(self) -> None:
        pool, page_tokens = self._scheduler.pool, self._scheduler.preset.page_tokens
        self._page.set(
            num_running_reqs=len(self._scheduler.running),
            num_queue_reqs=len(self._scheduler.waiting),
            token_usage=round(pool.usage, 2),
            full_token_usage=pool.usage,
            gen_throughput=self._throughput,
            cache_hit_rate=self._cache_hit_rate,
            num_used_tokens=pool.held * page_tokens,
            kv_used_tokens=pool.held * page_tokens,
            kv_evictable_tokens=pool.cached * page_tokens,
            kv_available_tokens=(pool.pages - pool.held - pool.cached) * page_tokens,
        )

    def _end_interval(self) -> None:
        now_s = time.monotonic()
        self._throughput = self._interval_tokens / max(now_s - self._interval_began_s, 1e-3)
        self._interval_tokens, self._interval_began_s = 0, now_s


def _streaming(served: ServedRequest) -> dict[str, str]:
    return {"is_streaming": "true" if served.request.stream else "false"}


END_TOKEN = 2  # what `matched_stop` names when the model itself ended


class SglangAnswer(OpenAIAnswer):
    """A chat's finish reason comes in an event without text; completions carry `usage: null` until the usage."""

    def __init__(self, request: ParsedRequest) -> None:
        super().__init__(request, secrets.token_hex(16))

    def first(self) -> bytes:
        """The role of a chat, never with usage."""
        return self.event(_choice(None, role="assistant", content="")) if self.request.chat else b""

    def token_event(self, text: str, number: int, *, last: bool) -> bytes:
        """One token; of completions the last has the finish reason."""
        if self.request.chat:
            choice = _choice(None, content=text)
        else:
            choice = {"index": 0, "text": text, **_finish(self.request.finish_reason if last else None)}
        if self.request.usage_always:
            return self.event(choice, usage=self._usage(number))
        return self.event(choice, **({} if self.request.chat else {"usage": None}))

    def end(self, number: int) -> bytes:
        """A chat's finish event, the usage if it was asked for, and the end mark."""
        finish = self.event(_choice(self.request.finish_reason)) if self.request.chat else b""
        return finish + (self.event(usage=self._usage(number)) if self.request.usage else b"") + DONE

    def whole(self, text: str, number: int) -> Json:
        message = {"role": "assistant", "content": text, "reasoning_content": None}
        content = {"message": message} if self.request.chat else {"text": text}
        details = {"prompt_tokens_details": None, "reasoning_tokens": 0, "completion_tokens_details": None}
        return self.body(
            {"index": 0, **content, **_finish(self.request.finish_reason)},
            usage=self.usage(number, **details),
            metadata={"weight_version": "simulated"},
        )

    def _usage(self, number: int) -> Json:
        if not self.request.chat:
            return self.usage(number, reasoning_tokens=0)
        return self.usage(number, prompt_tokens_details=None, reasoning_tokens=0, completion_tokens_details=None)


def _choice(reason: str | None, **delta: str) -> Json:
    return {"index": 0, "delta": {"reasoning_content": None, **delta}, **_finish(reason)}


def _finish(reason: str | None) -> Json:
    return {"logprobs": None, "finish_reason": reason, "matched_stop": END_TOKEN if reason == "stop" else None}


class GenerateAnswer:
    """SGLang's `/generate`, less the times it notes: each event has the whole answer so far, with its token ids."""

    def __init__(self, request: ParsedRequest) -> None:
        self._request = request
        self._id = secrets.token_hex(16)
        self._text, self._ids = "", list[int]()

    def first(self) -> bytes:
        return b""

    def token(self, text: str, number: int, *, last: bool) -> bytes:
        self._text += text
        self._ids += tokenize(text)
        return event_bytes(self._answer(self._text, self._ids, number, last=last))

    def end(self, number: int) -> bytes:
        return DONE

    def whole(self, text: str, number: int) -> Json:
        return self._answer(text, tokenize(text), number, last=True)

    def _answer(self, text: str, ids: list[int], number: int, *, last: bool) -> Json:
        meta_info = {
            "id": self._id,
            "finish_reason": self._finish_reason() if last else None,
            "prompt_tokens": len(self._request.prompt),
            "weight_version": "simulated",
            "num_retractions": 0,
            "reasoning_tokens": 0,
            "completion_tokens": number,
            "cached_tokens": 0,
            "cached_tokens_details": None,
            "dp_rank": None,
        }
        return {"text": text, "output_ids": ids, "meta_info": meta_info}

    def _finish_reason(self) -> Json:
        if self._request.finish_reason == "stop":
            return {"type": "stop", "matched": END_TOKEN}
        return {"type": "length", "length": self._request.output_tokens}


def refusal_stream(message: str) -> bytes:
    """How `/generate` refuses: its stream has begun by then."""
    error = {"message": message, "type": "invalid_request_error", "code": 400, "retryable": False}
    return event_bytes({"error": error}) + DONE


def server_info(preset: Preset) -> Json:
    """`/server_info`: settings as resolved."""
    memory = {
        "weight": preset.weights_gib,
        "kvcache": preset.kv_tokens * KV_BYTES_A_TOKEN / GIB,
        "token_capacity": preset.kv_tokens,
    }
    return {
        "version": preset.version,
        "model_path": MODEL,
        "served_model_name": MODEL,
        "status": "ready",
        "context_length": preset.max_model_len,
        "max_req_input_len": preset.max_model_len - 1,
        "max_total_num_tokens": preset.kv_tokens,
        "max_running_requests": preset.max_running,
        "chunked_prefill_size": preset.token_budget,
        "page_size": preset.page_tokens,
        "disable_radix_cache": False,
        "stream_interval": 1,
        "tp_size": 1,
        "dp_size": 1,
        "internal_states": [{"memory_usage": memory}],
        "simulated": True,
    }
