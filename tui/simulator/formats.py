"""How a simulated server writes: the events of a stream, whole answers, and Prometheus pages.

Fields, their order and the order of the events are those captured from vLLM 0.32.0 and SGLang 0.5.23.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tui.simulator.requests import ParsedRequest

DONE = b"data: [DONE]\n\n"
Json = dict[str, Any]


_TEXT = "\N{OBJECT REPLACEMENT CHARACTER}"  # where a token's text goes


def event_bytes(fields: Json) -> bytes:
    return b"data: " + msgspec.json.encode(fields) + b"\n\n"


class OpenAIAnswer:
    """What the engines' answers have in common. `number` counts output tokens from 1."""

    def __init__(self, request: ParsedRequest, request_id: str) -> None:
        self.request = request
        self._object = "chat.completion" if request.chat else "text_completion"
        self._head = {
            "id": request_id,
            "object": "chat.completion.chunk" if request.chat else self._object,
            "created": int(time.time()),
            "model": request.model,
        }
        self._around_text: list[bytes] = []

    def token(self, text: str, number: int, *, last: bool) -> bytes:
        """The event of a token. Most differ in their text alone: only the first of those is encoded as JSON."""
        if last or self.request.usage_always:
            return self.token_event(text, number, last=last)
        if not self._around_text:
            self._around_text = self.token_event(_TEXT, number, last=False).split(_TEXT.encode())
        return text.encode().join(self._around_text)

    def token_event(self, text: str, number: int, *, last: bool) -> bytes:
        """The event of a token, as the engine writes it."""
        raise NotImplementedError

    def event(self, *choices: Json, **fields: object) -> bytes:
        """One event; `fields` follow its choices."""
        return event_bytes({**self._head, "choices": choices, **fields})

    def body(self, choice: Json, **fields: object) -> Json:
        """The answer to a request that asked for no stream."""
        return {**self._head, "object": self._object, "choices": [choice], **fields}

    def usage(self, number: int, **details: object) -> Json:
        """Token counts after `number` output tokens."""
        prompt_tokens = len(self.request.prompt)
        counts = {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens + number, "completion_tokens": number}
        return {**counts, **details}


class Page:
    """A Prometheus page. Series are made at first use; counters are named without `_total`.

    `labels` are on every series, before those that a call gives. `buckets` has the upper edges of each histogram.
    """

    def __init__(
        self,
        prefix: str,
        labels: Mapping[str, str],
        buckets: Mapping[str, Sequence[float]] | None = None,
        *,
        created: bool = True,  # whether counters and histograms have `_created` samples
    ) -> None:
        self._prefix, self._labels, self._buckets, self._created = prefix, labels, buckets or {}, created
        self._registry = CollectorRegistry()
        self._families: dict[str, Any] = {}
        self._series: dict[tuple[str, ...], Any] = {}  # saves building the labels again

    def set(self, labels: Mapping[str, str] | None = None, /, **values: float) -> None:
        for name, value in values.items():
            self._one(Gauge, name, labels or {}).set(value)

    def add(self, labels: Mapping[str, str] | None = None, /, **amounts: float) -> None:
        for name, amount in amounts.items():
            self._one(Counter, name, labels or {}).inc(amount)

    def observe(self, labels: Mapping[str, str] | None = None, /, **values: float) -> None:
        """Add one value to each histogram."""
        for name, value in values.items():
            self._one(Histogram, name, labels or {}, buckets=self._buckets[name]).observe(value)

    def text(self) -> bytes:
        page = generate_latest(self._registry)
        if self._created:
            return page
        return b"\n".join(line for line in page.split(b"\n") if b"_created" not in line)

    def _one(self, kind: Any, name: str, labels: Mapping[str, str], **options: Any) -> Any:
        key = (name, *labels.values())
        series = self._series.get(key)
        if series is None:
            full = self._prefix + name
            all_labels = {**self._labels, **labels}
            if name not in self._families:
                self._families[name] = kind(full, full, list(all_labels), registry=self._registry, **options)
            series = self._series[key] = self._families[name].labels(**all_labels)
        return series
