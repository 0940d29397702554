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
