"""The events of a stream, in the engine's manner and built around the text so that a token costs little.

Shapes, key order and event order are those captured from vLLM 0.32.0 and SGLang 0.5.23. The simulator's words need no
JSON escapes, so an event is joined from ready pieces.

What happens in a simulated engine, told to whoever counts it in that engine's way.

A Prometheus page that a simulated engine fills: gauges, counters and histograms made at their first use.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tui.simulator.requests import Asked
from tui.simulator.scheduler import Scheduler, Step

DONE = b"data: [DONE]\n\n"


class Events(Protocol):
    """Writes one request's answer; `number` counts its output tokens from 1."""

    def first(self) -> bytes:
        """What opens the stream, before any token: the role of a chat."""

    def token(self, text: str, number: int, *, last: bool) -> bytes:
        """One token."""

    def end(self, number: int) -> bytes:
        """What follows the last token, the end mark included."""

    def whole(self, text: str, number: int) -> dict[str, Any]:
        """The answer to a request that asked for no stream."""


def compact(value: object) -> str:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"))


def head(asked: Asked, request_id: str, *, stream: bool) -> dict[str, Any]:
    """The fields that open every event or answer."""
    kind = "text_completion" if not asked.chat else "chat.completion.chunk" if stream else "chat.completion"
    return {"id": request_id, "object": kind, "created": int(time.time()), "model": asked.model}


def counts_json(asked: Asked, number: int, more: str = "") -> str:
    """`counts` as JSON with `more` fields behind."""
    prompt_tokens = len(asked.prompt)
    total = prompt_tokens + number
    return f'{{"prompt_tokens":{prompt_tokens},"total_tokens":{total},"completion_tokens":{number}{more}}}'


def counts(asked: Asked, number: int) -> dict[str, int]:
    """The three fields of `usage` that every engine gives."""
    prompt_tokens = len(asked.prompt)
    return {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens + number, "completion_tokens": number}


@dataclass(slots=True)
class Told:
    """One request as the metrics see it. Times from its arrival, in s."""

    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    queue_s: float
    ttft_s: float
    e2e_s: float
    finish_reason: str
    stream: bool

    @property
    def tpot_s(self) -> float:
        """Time per output token after the first; 0 when there is none after it."""
        return (self.e2e_s - self.ttft_s) / (self.output_tokens - 1) if self.output_tokens > 1 else 0.0


class Metrics(Protocol):
    """One engine's page."""

    def stepped(self, step: Step, scheduler: Scheduler) -> None:
        """A step is over."""

    def idle(self, scheduler: Scheduler) -> None:
        """Nothing is left to do."""

    def began(self, told: Told) -> None:
        """A request's first token is there."""

    def gap(self, gap_s: float) -> None:
        """A request's next token came so much after the one before."""

    def ended(self, told: Told) -> None:
        """A request is over."""

    def aborted(self, told: Told) -> None:
        """A request's client went away."""

    def text(self) -> bytes:
        """The page as it is scraped."""


@dataclass(slots=True)
class Page:
    """`labels` stand on every series, together with those of the call. A counter's name is given without `_total`."""

    labels: Mapping[str, str]
    created: bool = True  # whether `_created` samples stand beside counters and histograms
    _registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _families: dict[str, Any] = field(default_factory=dict)
    _series: dict[tuple[str, ...], Any] = field(default_factory=dict)  # found again without building its labels

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._one(Gauge, name, labels).set(value)

    def count(self, name: str, more: float, **labels: str) -> None:
        """Raise a counter."""
        self._one(Counter, name, labels).inc(more)

    def observe(self, name: str, value: float, buckets: Sequence[float], **labels: str) -> None:
        """Put a value into a histogram."""
        self._one(Histogram, name, labels, buckets=buckets).observe(value)

    def text(self) -> bytes:
        """The page as it is scraped."""
        page = generate_latest(self._registry)
        if self.created:
            return page
        return b"\n".join(line for line in page.split(b"\n") if b"_created" not in line)

    def _one(self, kind: Any, name: str, labels: dict[str, str], **options: Any) -> Any:
        key = (name, *labels.values())
        found = self._series.get(key)
        if found is None:
            named = {**self.labels, **labels}
            if name not in self._families:
                self._families[name] = kind(name, name, list(named), registry=self._registry, **options)
            found = self._series[key] = self._families[name].labels(**named)
        return found
