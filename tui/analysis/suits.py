"""Which engine suits latency-bound, throughput-bound and memory-bound use, on the data of one session."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tui.analysis.expressions import lane_of
from tui.analysis.intervals.means import Mean, mean_of
from tui.analysis.study import Group, groups_of, memory_gib, with_tps
from tui.analysis.tables import Tables
from tui.analysis.verdict.margin import margin_of
from tui.records.rows import LANES, Lane


@dataclass(frozen=True, slots=True)
class Suits:
    """Which engine suits one kind of use, or that the data do not carry a choice."""

    use: str
    engine: str  # empty: not carried, or both alike
    sentence: str
    n: int  # requests or readings that it stands on; 0: not measured


def suits(tables: Tables) -> list[Suits]:
    """A sentence for each of the three uses, with the interval that carries it, or that the data do not."""
    requests, groups = with_tps(tables.requests), groups_of(tables)
    return [
        _latency_bound(requests, groups, tables),
        _throughput_bound(requests, groups, tables),
        _memory_bound(tables),
    ]


def _latency_bound(requests: pl.DataFrame, groups: Mapping[Group, Sequence[int]], tables: Tables) -> Suits:
    parts = [numbers for (kind, _, _), numbers in groups.items() if kind == "sequential"]
    ratio = _together([_ratio(requests, numbers, "ttft_s") for numbers in parts])
    return _choice("latency-bound use", "TTFT, one request at a time", ratio, tables, lower_is_better=True)


def _throughput_bound(requests: pl.DataFrame, groups: Mapping[Group, Sequence[int]], tables: Tables) -> Suits:
    levels = sorted((order, at, numbers) for (kind, at, order), numbers in groups.items() if kind == "concurrent")
    closed = [level for level in levels if math.isfinite(level[0])] or levels
    _, at, numbers = closed[-1] if closed else (0.0, "any level", [])
    ratio = _together([_ratio(requests, numbers, "tps")])
    return _choice("throughput-bound use", f"TPS a request at {at}", ratio, tables, lower_is_better=False)


def _ratio(requests: pl.DataFrame, segments: Sequence[int], column: str) -> Mean:
    """Mean log ratio of the requests of some segments that both lanes answered: they had the same prompts."""
    own = requests.filter(pl.col("segment").is_in(segments) & (pl.col(column) > 0))
    a, b = (lane_of(own, lane).select("request", column, "t_send_ns") for lane in LANES)
    both = a.join(b, on="request", suffix="_b").sort("t_send_ns")
    return mean_of((both[column] / both[f"{column}_b"]).log().to_numpy())


def _together(ratios: Sequence[Mean]) -> Mean | None:
    """The mean over settings, each counting the same, because how long each was tried is no measure of its use."""
    told = [ratio for ratio in ratios if ratio.high is not None]
    if not told:
        return None
    mean = sum(ratio.mean for ratio in told) / len(told)
    half = math.hypot(*(ratio.high - ratio.mean for ratio in told if ratio.high is not None)) / len(told)
    return Mean(mean, 0.0, mean - half, mean + half, sum(ratio.n for ratio in told))


def _memory_bound(tables: Tables) -> Suits:
    a, b = (memory_gib(tables.gauges, lane, 0, 2**62) for lane in LANES)
    ratio = None if a is None or b is None else _memory_ratio(a, b)
    what = "GPU memory in use (the KV pool is what each was told to reserve)"
    return _choice("memory-bound use", what, ratio, tables, lower_is_better=True)


def _memory_ratio(a: Mean, b: Mean) -> Mean:
    """A over B as a log ratio; endless where an interval reaches down to nothing, as of memory still being filled."""
    (low_a, high_a), (low_b, high_b) = (
        [_log(one.mean if end is None else end) for end in (one.low, one.high)] for one in (a, b)
    )
    return Mean(_log(a.mean) - _log(b.mean), 0.0, low_a - high_b, high_a - low_b, min(a.n, b.n))


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _choice(use: str, what: str, ratio: Mean | None, tables: Tables, *, lower_is_better: bool) -> Suits:
    if ratio is None or ratio.low is None or ratio.high is None:
        return Suits(use, "", f"The data do not carry a choice for {use}: {what} was not measured in both lanes.", 0)
    interval = f"A/B {math.exp(ratio.mean):.3f}, 95 % {math.exp(ratio.low):.3f} to {math.exp(ratio.high):.3f}"
    told = f"{what}: {interval}, n = {ratio.n}"
    margin = margin_of(tables.session.profile)
    if -math.log1p(margin.delta) < ratio.low and ratio.high < math.log1p(margin.delta):
        return Suits(use, "", f"Both suit {use} alike: they are level within {margin.text} ({told}).", ratio.n)
    if ratio.low <= 0 <= ratio.high:
        return Suits(use, "", f"The data do not carry a choice for {use} ({told}).", ratio.n)
    lane: Lane = "a" if (ratio.mean < 0) == lower_is_better else "b"
    engine = tables.session.lanes[lane].title
    return Suits(use, engine, f"{engine} (lane {lane.upper()}) suits {use} on these data ({told}).", ratio.n)
