"""SGLang's metrics page: token counters rise when a request ends, gauges every 40 decode steps; one counter is live.

Scheduler series carry the ranks, those of the tokeniser's process do not. No `_created` samples: it exports in
Prometheus's multi-process mode.

SGLang's events: a chat's finish reason comes in an event of its own, completions carry `usage: null`.

The events of SGLang's own endpoint: each has the whole answer so far, its token ids, and the counts.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from tui.simulator.formats import DONE, Page, Told, compact, counts, counts_json, head
from tui.simulator.model import GIB, KV_BYTES_A_TOKEN, Preset
from tui.simulator.requests import Asked, tokenize
from tui.simulator.scheduler import Scheduler, Step

TTFT_S = (0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400)
TOKEN_MS = (2, 4, 6, 8, 10, 15, 20, 25, 30, 35, 40, 60, 80, 100, 200, 400, 600, 800, 1000, 2000, 4000, 6000, 8000)
TOKEN_S = tuple(edge / 1000 for edge in TOKEN_MS)
E2E_S = (*TTFT_S, 600, 1200, 1800, 2400)
QUEUE_S = (
    *(0.0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 4, 5, 10, 15),
    *range(20, 100, 10), *range(100, 1000, 100), *range(1000, 2000, 200), 2000, 2500, 3000,
)  # fmt: skip


class SglangMetrics:
    """Names and meanings of SGLang 0.5.23."""

    def __init__(self, preset: Preset, model: str) -> None:
        common = {"engine_type": "unified", "model_name": model}
        self._preset = preset
        self._scheduler = Page({**common, "moe_ep_rank": "0", "pp_rank": "0", "tp_rank": "0"}, created=False)
        self._tokenizer = Page(common, created=False)
        self._decode_steps = 0
        self._interval_tokens = 0
        self._interval_began_s = time.monotonic()
        self.throughput = 0.0  # tokens a second over the last interval of decode steps
        self.cache_hit_rate = 0.0  # of the last prefill only, as the engine reports it
        self._announce()

    def stepped(self, step: Step, scheduler: Scheduler) -> None:
        """The live counter leaves out each request's first token, which comes out of its prefill."""
        self._count_live("decode", step.decoded)
        self._count_live("prefill_compute", step.prefill_tokens)
        self._count_live("prefill_cache", step.cached_tokens)
        self._scheduler.count("sglang:prefill_effective_tokens", step.prefill_tokens, mode="input")
        self._scheduler.count("sglang:prefill_effective_tokens", step.cached_tokens, mode="device_hit")
        self._scheduler.count("sglang:num_retracted_requests", step.preempted)
        self._interval_tokens += step.decoded
        if step.prefill_tokens:
            self.cache_hit_rate = step.cached_tokens / (step.cached_tokens + step.prefill_tokens)
            self._refresh(scheduler)
        else:
            self._decode_steps += 1
            if self._decode_steps % self._preset.gauge_every_steps == 0:
                self._end_interval()
                self._refresh(scheduler)

    def idle(self, scheduler: Scheduler) -> None:
        """The gauges are set when the last request is gone."""
        self._end_interval()
        self.throughput = 0.0
        self._refresh(scheduler)

    def began(self, told: Told) -> None:
        """Told at the first token."""
        self._tokenizer.observe("sglang:time_to_first_token_seconds", told.ttft_s, TTFT_S, is_streaming=_flag(told))
        self._scheduler.observe("sglang:queue_time_seconds", told.queue_s, QUEUE_S)

    def gap(self, gap_s: float) -> None:
        """One sample a token."""
        self._tokenizer.observe("sglang:inter_token_latency_seconds", gap_s, TOKEN_S)

    def ended(self, told: Told) -> None:
        """All tokens of the request are counted now, not before."""
        streaming = _flag(told)
        self._tokenizer.count("sglang:prompt_tokens", told.prompt_tokens, is_streaming=streaming)
        self._tokenizer.count("sglang:generation_tokens", told.output_tokens, is_streaming=streaming)
        self._tokenizer.count("sglang:num_requests", 1, is_streaming=streaming)
        self._tokenizer.count("sglang:cached_tokens", told.cached_tokens, cache_source="device")
        self._tokenizer.observe("sglang:e2e_request_latency_seconds", told.e2e_s, E2E_S, is_streaming=streaming)
        self._tokenizer.observe(
            "sglang:request_time_per_output_token_seconds", told.tpot_s, TOKEN_S, is_streaming=streaming
        )

    def aborted(self, told: Told) -> None:
        """Its tokens are in no counter but the live one."""
        self._tokenizer.count("sglang:num_aborted_requests", 1)

    def text(self) -> bytes:
        """The page as it is scraped."""
        return self._tokenizer.text() + self._scheduler.text()

    def _announce(self) -> None:
        preset = self._preset
        fixed = {
            "max_total_num_tokens": preset.kv_tokens,
            "page_size": preset.page_tokens,
            "num_pages": preset.kv_tokens // preset.page_tokens,
            "context_len": preset.max_model_len,
            "weight_memory_usage_gb": preset.weights_gib,
            "kv_cache_memory_usage_gb": preset.kv_tokens * KV_BYTES_A_TOKEN / GIB,
        }
        moving = (
            *("num_running_reqs", "num_queue_reqs", "token_usage", "full_token_usage", "gen_throughput"),
            *("cache_hit_rate", "num_used_tokens", "kv_used_tokens", "kv_evictable_tokens"),
        )
        for name, value in (fixed | dict.fromkeys(moving, 0)).items():
            self._scheduler.gauge(f"sglang:{name}", value)
        self._scheduler.gauge("sglang:kv_available_tokens", preset.kv_tokens)

    def _refresh(self, scheduler: Scheduler) -> None:
        pool, page_tokens = scheduler.pool, self._preset.page_tokens
        values = {
            "num_running_reqs": len(scheduler.running),
            "num_queue_reqs": len(scheduler.waiting),
            "token_usage": round(pool.usage, 2),
            "full_token_usage": pool.usage,
            "gen_throughput": self.throughput,
            "cache_hit_rate": self.cache_hit_rate,
            "num_used_tokens": pool.held * page_tokens,
            "kv_used_tokens": pool.held * page_tokens,
            "kv_evictable_tokens": pool.cached * page_tokens,
            "kv_available_tokens": (pool.pages - pool.held - pool.cached) * page_tokens,
        }
        for name, value in values.items():
            self._scheduler.gauge(f"sglang:{name}", value)

    def _count_live(self, mode: str, tokens: int) -> None:
        self._scheduler.count("sglang:realtime_tokens", tokens, mode=mode)

    def _end_interval(self) -> None:
        now_s = time.monotonic()
        self.throughput = self._interval_tokens / max(now_s - self._interval_began_s, 1e-3)
        self._interval_tokens, self._interval_began_s = 0, now_s


def _flag(told: Told) -> str:
    return "true" if told.stream else "false"


_DETAILS = ',"reasoning_tokens":0'
_CHAT_DETAILS = ',"prompt_tokens_details":null,"reasoning_tokens":0,"completion_tokens_details":null'
END_TOKEN = 2  # what `matched_stop` names when the model itself ended


class SglangEvents:
    """One request's answer as SGLang 0.5.23 writes it."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._id = secrets.token_hex(16)
        self._head = "data: " + compact(head(asked, self._id, stream=True))[:-1] + ',"choices":['
        text = '{"index":0,"delta":{"reasoning_content":null,"content":"' if asked.chat else '{"index":0,"text":"'
        self._before = self._head + text
        self._close = '"}' if asked.chat else '"'
        self._none = "" if asked.chat else ',"usage":null'
        self._after = f"{self._close},{self._finish(None)}"

    def first(self) -> bytes:
        """The role, never with usage."""
        if not self._asked.chat:
            return b""
        delta = '{"reasoning_content":null,"role":"assistant","content":""}'
        return f'{self._head}{{"index":0,"delta":{delta},{self._finish(None)}}}\n\n'.encode()

    def token(self, text: str, number: int, *, last: bool) -> bytes:
        """One token; of completions the last has the finish reason."""
        ends = last and not self._asked.chat
        after = f"{self._close},{self._finish(self._asked.finish_reason)}" if ends else self._after
        return f"{self._before}{text}{after}{self._usage(number)}}}\n\n".encode()

    def end(self, number: int) -> bytes:
        """A chat's finish event, the usage if it was asked for, and the end mark."""
        events = ""
        if self._asked.chat:
            finish = self._finish(self._asked.finish_reason)
            events += f'{self._head}{{"index":0,"delta":{{"reasoning_content":null}},{finish}}}\n\n'
        if self._asked.usage:
            events += f'{self._head}],"usage":{self._counts(number)}}}\n\n'
        return events.encode() + DONE

    def whole(self, text: str, number: int) -> dict[str, Any]:
        """The answer in one."""
        choice: dict[str, Any] = {"index": 0}
        if self._asked.chat:
            choice["message"] = {"role": "assistant", "content": text, "reasoning_content": None}
        else:
            choice["text"] = text
        reason = self._asked.finish_reason
        choice |= {"logprobs": None, "finish_reason": reason, "matched_stop": _matched(reason)}
        details = {"prompt_tokens_details": None, "reasoning_tokens": 0, "completion_tokens_details": None}
        return head(self._asked, self._id, stream=False) | {
            "choices": [choice],
            "usage": counts(self._asked, number) | details,
            "metadata": {"weight_version": "simulated"},
        }

    def _finish(self, reason: str | None) -> str:
        finish = compact({"logprobs": None, "finish_reason": reason, "matched_stop": _matched(reason)})
        return finish[1:] + "]"

    def _counts(self, number: int) -> str:
        return counts_json(self._asked, number, _CHAT_DETAILS if self._asked.chat else _DETAILS)

    def _usage(self, number: int) -> str:
        return f',"usage":{self._counts(number)}' if self._asked.usage_always else self._none


def _matched(reason: str | None) -> int | None:
    return END_TOKEN if reason == "stop" else None


class GenerateEvents:
    """One request's answer as SGLang 0.5.23 writes it, less the times that it notes of itself."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._id = secrets.token_hex(16)
        self._text = ""
        self._ids: list[int] = []

    def first(self) -> bytes:
        """Nothing comes before the first token."""
        return b""

    def token(self, text: str, number: int, *, last: bool) -> bytes:
        """One more token, with all before it."""
        self._text += text
        self._ids += tokenize(text)
        return _event(self._answer(self._text, self._ids, number, ends=last))

    def end(self, number: int) -> bytes:
        """The end mark."""
        return DONE

    def whole(self, text: str, number: int) -> dict[str, Any]:
        """The answer in one."""
        return self._answer(text, tokenize(text), number, ends=True)

    def _answer(self, text: str, ids: list[int], number: int, *, ends: bool) -> dict[str, Any]:
        about = {
            "id": self._id,
            "finish_reason": self._reason() if ends else None,
            "prompt_tokens": len(self._asked.prompt),
            "weight_version": "simulated",
            "num_retractions": 0,
            "reasoning_tokens": 0,
            "completion_tokens": number,
            "cached_tokens": 0,
            "cached_tokens_details": None,
            "dp_rank": None,
        }
        return {"text": text, "output_ids": ids, "meta_info": about}

    def _reason(self) -> dict[str, Any]:
        if self._asked.finish_reason == "stop":
            return {"type": "stop", "matched": END_TOKEN}
        return {"type": "length", "length": self._asked.output_tokens}


def refusal(message: str) -> bytes:
    """A stream that says why there is no answer: a request that this endpoint refuses has begun by then."""
    error = {"message": message, "type": "invalid_request_error", "code": 400, "retryable": False}
    return _event({"error": error}) + DONE


def _event(told: dict[str, Any]) -> bytes:
    return f"data: {compact(told)}\n\n".encode()
