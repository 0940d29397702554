"""GPU memory: what the load needed, apart from what an engine was made to reserve, which is no result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from tui.judge.tables import for_lane
from tui.model import gauges
from tui.model.rows import LANES, Lane
from tui.model.units import NS_PER_S
from tui.stats.batches import SECTIONS, Mean, mean_of

GIB: Final = 2**30


def memory_gib(readings: pl.DataFrame, lane: Lane, start_ns: object, end_ns: object) -> Mean | None:
    """GPU memory of the lane in GiB, summed over its GPUs: the engine's own where it is known, else all in use.

    A level that hardly moves is few draws, however many seconds it was read, and has no interval.
    """
    if not readings.height:
        return None
    lane_readings = for_lane(readings, lane).filter(pl.col("t_ns").is_between(pl.lit(start_ns), pl.lit(end_ns)))
    for name in (gauges.GPU_MEMORY_ENGINE, gauges.GPU_MEMORY_USED):
        totals = _totals(lane_readings, name)
        if totals.len() and (totals > 0).all():
            mean, levels = mean_of(totals.to_numpy() / GIB), 1 + int((totals.diff().drop_nulls() != 0).sum())
            return mean if levels >= SECTIONS else Mean(mean.mean, mean.sd, None, None, levels)
    return None


def _totals(lane_readings: pl.DataFrame, name: str) -> pl.Series:
    """The sum over the lane's GPUs in each second."""
    # Several GPUs are read one after the other: readings of the same second belong together.
    return (
        lane_readings.filter(pl.col("name") == name)
        .group_by(pl.col("t_ns") // NS_PER_S, "source")
        .agg(pl.col("value").mean())
        .group_by("t_ns")
        .agg(pl.col("value").sum(), gpus=pl.len())
        .filter(pl.col("gpus") == pl.col("gpus").max())
        .sort("t_ns")["value"]
    )


@dataclass(frozen=True, slots=True)
class MemoryFigure:
    """One figure of memory that both engines report, from one launch each."""

    text: str
    a: float
    b: float
    lower_is_better: bool
    capacity: bool  # how much the engine can hold depends on it


def memory_figures(readings: pl.DataFrame, load: pl.DataFrame) -> list[MemoryFigure]:
    """Those that both engines report. `load`: the readings while both had the same load and did the same work."""
    if not readings.height:
        return []
    lanes = [_reserved(for_lane(readings, lane)) for lane in LANES]
    needs = [_in_use(for_lane(load, lane), reserved) for lane, reserved in zip(LANES, lanes, strict=True)]
    kinds = (
        ("weights and overhead {:,.1f} against {:,.1f} GiB", [one.get("overhead_gib") for one in lanes], True, True),
        (
            "{:,.0f} against {:,.0f} KV tokens a GiB of the pool",
            [one.get("tokens_a_gib") for one in lanes],
            False,
            True,
        ),
        ("{:,.0f} against {:,.0f} KV tokens in use a running request", needs, True, False),
    )
    return [
        MemoryFigure(text.format(a, b), a, b, lower_is_better, capacity)
        for text, (a, b), lower_is_better, capacity in kinds
        if a and b and min(a, b) > 0
    ]


def _reserved(lane_readings: pl.DataFrame) -> Mapping[str, float]:
    """Of the pool and of what is not the pool, as far as the lane's engine reports it."""
    known = _means(lane_readings)
    gpus = lane_readings.filter(pl.col("source").str.starts_with("gpu"))["source"].n_unique()
    pool_tokens, pool_gib = known.get(gauges.KV_POOL_TOKENS), known.get(gauges.KV_BYTES, 0.0) * gpus / GIB
    taken = _totals(lane_readings, gauges.GPU_MEMORY_ENGINE)
    reserved: dict[str, float] = {}
    if pool_tokens:
        reserved["pool_tokens"] = pool_tokens
        if pool_gib:
            reserved["tokens_a_gib"] = pool_tokens / pool_gib
    if pool_gib and taken.len():
        reserved["overhead_gib"] = float(taken.to_numpy().mean()) / GIB - pool_gib
    return reserved


def _in_use(lane_readings: pl.DataFrame, reserved: Mapping[str, float]) -> float | None:
    """KV tokens a running request."""
    known = _means(lane_readings)
    usage, running, pool = known.get(gauges.KV_USAGE), known.get(gauges.RUNNING), reserved.get("pool_tokens")
    return usage * pool / running if usage and running and pool else None


def _means(lane_readings: pl.DataFrame) -> dict[str, float]:
    server = lane_readings.filter(pl.col("source") == gauges.SERVER) if lane_readings.height else lane_readings
    if not server.height:
        return {}
    means = server.group_by("name").agg(pl.col("value").mean())
    return dict(means.iter_rows())
