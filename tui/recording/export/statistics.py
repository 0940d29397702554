"""Summaries as the field's tools compute them: numpy's linear percentiles and the population's deviation."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tui.recording.export.lane_run import NS, Floats, Ints


def summary_ms(name: str, values_s: Floats, percents: Iterable[int]) -> dict[str, float]:
    """`mean_NAME_ms`, `median_NAME_ms`, `std_NAME_ms`, `pNN_NAME_ms`; all 0 without values, as vLLM and SGLang do."""
    ms = values_s * 1000 if values_s.size else np.zeros(1)
    found = {"mean": ms.mean(), "median": np.median(ms), "std": ms.std()}
    found |= {f"p{percent}": np.percentile(ms, percent) for percent in percents}
    return {f"{what}_{name}_ms": float(value) for what, value in found.items()}


def busiest_second(moments_ns: Ints, start_ns: int) -> float:
    """The most chunks that arrived in one second counted from `start_ns`."""
    return float(np.bincount((moments_ns - start_ns) // int(NS)).max()) if moments_ns.size else 0.0


def most_at_once(starts_ns: Floats, latencies_s: Floats) -> int:
    """The most requests that touched one second counted from the first start: more than were ever running at once."""
    if not starts_ns.size:
        return 0
    since_s = (starts_ns - starts_ns.min()) / NS
    change = np.zeros(int((since_s + latencies_s).max()) + 2, dtype=np.int64)
    np.add.at(change, since_s.astype(np.int64), 1)
    np.add.at(change, (since_s + latencies_s).astype(np.int64) + 1, -1)
    return int(np.cumsum(change).max())


def or_zero(values: Floats) -> list[float]:
    """Values for a list in which these tools write 0 where there is none."""
    return np.nan_to_num(values).tolist()  # type: ignore[no-any-return]


def good(ttft_s: Floats, tpot_all_s: Floats, e2e_s: Floats, slo: Mapping[str, Any]) -> int | None:
    """How many requests met every limit of a profile's `[slo]`, in ms; None when it has no limit."""
    values_s = {"ttft_ms": ttft_s, "tpot_ms": tpot_all_s, "e2e_ms": e2e_s}
    met = [of * 1000 <= slo[name] for name, of in values_s.items() if slo.get(name) is not None]
    return int(np.logical_and.reduce(met).sum()) if met else None


def tpot_or_zero_s(latency_s: Floats, ttft_s: Floats, tokens: Ints) -> Floats:
    """TPOT of every request; 0 for one of a single token, which therefore meets any limit on it."""
    return np.where(tokens > 1, (latency_s - ttft_s) / np.maximum(tokens - 1, 1), 0.0)


def tpot_s(latency_s: Floats, ttft_s: Floats, tokens: Ints) -> Floats:
    """`(latency - ttft) / (n - 1)` of requests with more than one token: vLLM's and SGLang's TPOT."""
    more = tokens > 1
    return tpot_or_zero_s(latency_s, ttft_s, tokens)[more]
