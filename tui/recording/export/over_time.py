"""Latency percentiles over time: of values, in windows that are long enough to carry them."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from tui.analysis.report.svg import Values
from tui.records.metrics import SAMPLES_NEEDED
from tui.records.rows import Lane

WINDOWS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)


@dataclass(frozen=True, slots=True)
class OverTime:
    """A percentile of both lanes."""

    percentile: str
    window_s: int
    lines: Mapping[str, Values]  # of each lane: ms, a value for each second; None where its window holds too few


def over_time(values: Mapping[Lane, pl.DataFrame], percentiles: tuple[str, ...], seconds: int) -> OverTime | None:
    """The first of the percentiles (`p99`) that a window can carry, in the shortest such window.

    Each lane's frame has `second`, counted from the start, and `ms`, a row a value. None where there are too few.
    """
    values = {lane: frame for lane, frame in values.items() if frame.height}
    if not values:
        return None
    for percentile in percentiles:
        for window_s in WINDOWS_S:
            found = {lane: _by_window(frame, percentile, window_s) for lane, frame in values.items()}
            if window_s <= max(seconds, 1) and all(_mostly_told(frame) for frame in found.values()):
                lines: dict[str, Values] = {
                    lane: _by_second(frame, window_s, seconds) for lane, frame in found.items()
                }
                return OverTime(percentile, window_s, lines)
    return None


def _by_window(values: pl.DataFrame, percentile: str, window_s: int) -> pl.DataFrame:
    """Columns `window` and `ms`, by nearest rank; null where a window has fewer values than the percentile needs."""
    share = int(percentile[1:]) / 100
    told = pl.len() >= SAMPLES_NEEDED[percentile]
    return (
        values.lazy()
        .group_by(window=pl.col("second") // window_s)
        .agg(ms=pl.when(told).then(pl.col("ms").quantile(share, "equiprobable")))
        .sort("window")
        .collect()
    )


def _mostly_told(windows: pl.DataFrame) -> bool:
    """At least half of the windows that hold anything hold enough."""
    return 2 * windows["ms"].null_count() <= windows.height


def _by_second(windows: pl.DataFrame, window_s: int, seconds: int) -> Values:
    values: list[float | None] = [None] * seconds
    for window, ms in windows.iter_rows():
        for second in range(max(window * window_s, 0), min((window + 1) * window_s, seconds)):
            values[second] = ms
    return values
