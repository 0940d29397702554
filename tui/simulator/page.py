"""A Prometheus page that a simulated engine fills: gauges, counters and histograms made at their first use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


@dataclass(slots=True)
class Page:
    """`labels` stand on every series, together with those of the call. A counter's name is given without `_total`."""

    labels: Mapping[str, str]
    created: bool = True  # whether `_created` samples stand beside counters and histograms
    _registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _made: dict[str, Any] = field(default_factory=dict)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        all_labels = {**self.labels, **labels}
        if name not in self._made:
            self._made[name] = Gauge(name, name, list(all_labels), registry=self._registry)
        self._made[name].labels(**all_labels).set(value)

    def count(self, name: str, more: float, **labels: str) -> None:
        """Raise a counter."""
        all_labels = {**self.labels, **labels}
        if name not in self._made:
            self._made[name] = Counter(name, name, list(all_labels), registry=self._registry)
        self._made[name].labels(**all_labels).inc(more)

    def observe(self, name: str, value: float, buckets: Sequence[float], **labels: str) -> None:
        """Put a value into a histogram."""
        all_labels = {**self.labels, **labels}
        if name not in self._made:
            self._made[name] = Histogram(name, name, list(all_labels), buckets=buckets, registry=self._registry)
        self._made[name].labels(**all_labels).observe(value)

    def text(self) -> bytes:
        """The page as it is scraped."""
        page = generate_latest(self._registry)
        if self.created:
            return page
        return b"\n".join(line for line in page.split(b"\n") if b"_created" not in line)
