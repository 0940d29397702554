"""Each figure once: its name, unit, which way is better and its formula; and the limits that have a name.

In formulas `t_send`, `t_first`, `t_last`, `k_first` and `n` (output tokens) are those of a request row.

Factors between units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from tui.model.rows import RequestRow


class Metric(msgspec.Struct, frozen=True):
    """A figure that two lanes are compared by."""

    name: str
    label: str
    unit: str
    better: Literal["higher", "lower"]
    formula: str


OUTPUT_TPS = Metric("output_tps", "output", "tok/s", "higher", "output tokens that arrived in a window / its length")
TOTAL_TPS = Metric("total_tps", "total", "tok/s", "higher", "output TPS + prompt tokens counted at t_first")
REQUEST_RATE = Metric(
    "request_rate", "requests", "req/s", "higher", "successful requests that ended in a window / its length"
)
GOODPUT = Metric("goodput", "goodput", "req/s", "higher", "requests per second that met every limit of [slo]")
TTFT = Metric("ttft", "TTFT", "ms", "lower", "t_first - t_send; under an arrival rate also t_first - t_sched")
TPOT = Metric("tpot", "TPOT", "ms", "lower", "(t_last - t_first) / (n - k_first), one value per request")
ITL = Metric("itl", "ITL", "ms", "lower", "gap between output chunks / tokens of the later one, weighted by those")
E2E = Metric("e2e", "E2E", "ms", "lower", "t_last - t_send")

LATENCIES: tuple[Metric, ...] = (TTFT, TPOT, ITL, E2E)
METRICS: dict[str, Metric] = {m.name: m for m in (OUTPUT_TPS, TOTAL_TPS, REQUEST_RATE, GOODPUT, TTFT, TPOT, ITL, E2E)}


class Percentile(msgspec.Struct, frozen=True):
    share: float
    samples: int  # the smallest number of values with a two-sided 95 % order-statistic bound of it


PERCENTILES: Final[Mapping[str, Percentile]] = {
    "p50": Percentile(0.5, 6),
    "p90": Percentile(0.9, 36),
    "p95": Percentile(0.95, 72),
    "p99": Percentile(0.99, 368),
    "p999": Percentile(0.999, 3688),
}
# On the screen, in reports and `run --json`, and as columns of a recorded second (`SecondRow`).
SHOWN_PERCENTILES: Final = ("p50", "p95", "p99")


def ttft_ms(row: RequestRow) -> float | None:
    """Time to the first output chunk from the moment of sending."""
    if row.t_first_ns is None or row.t_send_ns is None:
        return None
    return (row.t_first_ns - row.t_send_ns) / 1e6


def ttft_sched_ms(row: RequestRow) -> float | None:
    """Time to the first output chunk from the moment the request was due (Tene: coordinated omission)."""
    return None if row.t_first_ns is None else (row.t_first_ns - row.t_sched_ns) / 1e6


def tpot_ms(row: RequestRow) -> float | None:
    """Mean time of each token after the first chunk."""
    if row.t_first_ns is None or row.t_last_ns is None or row.output_tokens <= row.k_first:
        return None
    return (row.t_last_ns - row.t_first_ns) / 1e6 / (row.output_tokens - row.k_first)


def e2e_ms(row: RequestRow) -> float | None:
    """Time to the last output chunk from the moment of sending."""
    if row.t_last_ns is None or row.t_send_ns is None:
        return None
    return (row.t_last_ns - row.t_send_ns) / 1e6


REQUEST_LATENCIES: Final[Mapping[str, Callable[[RequestRow], float | None]]] = {
    "ttft": ttft_ms,
    "ttft_sched": ttft_sched_ms,
    "tpot": tpot_ms,
    "e2e": e2e_ms,
}

# (TTFT, TPOT) in ms of the server scenario, at the 99th percentile: MLPerf Inference, loadgen/mlperf.conf.
MLPERF_LIMITS_MS: Final[Mapping[str, tuple[float, float]]] = {
    "llama2-70b": (2000, 200),
    "llama2-70b-interactive": (450, 40),
    "llama3.1-8b": (2000, 100),
    "llama3.1-8b-interactive": (500, 30),
    "llama3.1-405b": (6000, 175),
    "llama3.1-405b-interactive": (4500, 80),
    "deepseek-r1": (2000, 80),
    "deepseek-r1-interactive": (1500, 15),
    "gpt-oss-120b": (3000, 80),
}


NS_PER_S: Final = 1_000_000_000
