"""Latencies counted in buckets of 1 %, so that percentiles of a moving window cost the same however many values.

Percentiles are of values, never of percentiles: histograms of seconds are merged and the sum is asked. Values kept
whole would cost a sort of a million gaps for a window of five minutes at 3,000 tokens/s.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

LOW_MS: Final = 1e-3
HIGH_MS: Final = 1e6
WIDTH: Final = 1.01  # the value told is the geometric middle of a bucket: at most sqrt(1.01) - 1 = 0.5 % off
_LOG_WIDTH: Final = math.log(WIDTH)
_INSIDE: Final = math.ceil(math.log(HIGH_MS / LOW_MS) / _LOG_WIDTH)
BUCKETS: Final = _INSIDE + 2  # the first holds what lies under LOW_MS, the last what lies over HIGH_MS


@dataclass(frozen=True, slots=True)
class Bucketed:
    """The filled buckets of a batch of values: about 1 kB for a second, where a whole histogram takes 16 kB."""

    place: NDArray[np.int16]
    count: NDArray[np.int64]


def bucketed(values_ms: ArrayLike, weights: ArrayLike | None = None) -> Bucketed:
    """Count values (n,) in ms, each as often as its whole-number weight (n,) says, or once."""
    dense = np.bincount(
        _places(values_ms), weights=None if weights is None else np.asarray(weights, dtype=np.float64)
    )
    return _filled(dense)


def bucketed_by(group: NDArray[np.int64], groups: int, values_ms: ArrayLike, weights: ArrayLike) -> list[Bucketed]:
    """The same of `groups` batches at once: `group` (n,) says which one a value belongs to."""
    dense = np.bincount(
        group * BUCKETS + _places(values_ms),
        weights=np.asarray(weights, dtype=np.float64),
        minlength=groups * BUCKETS,
    )
    return [_filled(row) for row in dense.reshape(groups, BUCKETS)]


def _places(values_ms: ArrayLike) -> NDArray[np.int64]:
    values = np.asarray(values_ms, dtype=np.float64)
    place = np.floor(np.log(np.maximum(values, LOW_MS / 2) / LOW_MS) / _LOG_WIDTH) + 1
    return np.asarray(np.clip(place, 0, BUCKETS - 1), dtype=np.int64)


def _filled(dense: NDArray[Any]) -> Bucketed:
    filled = np.flatnonzero(dense)
    return Bucketed(filled.astype(np.int16), dense[filled].astype(np.int64))


class LatencyHistogram:
    """Counts of latencies from 1 µs to 1,000 s in buckets of 1 %."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(BUCKETS, dtype=np.int64)

    @property
    def n(self) -> int:
        """How many values, or the sum of their weights."""
        return int(self.counts.sum())

    def add(self, values_ms: ArrayLike, weights: ArrayLike | None = None) -> None:
        """Count values (n,) in ms; infinity, a request that never answered, is counted beyond the end."""
        self.merge(bucketed(values_ms, weights))

    def merge(self, other: "LatencyHistogram | Bucketed") -> None:
        """Count in everything that `other` holds."""
        if isinstance(other, Bucketed):
            self.counts[other.place] += other.count
        else:
            self.counts += other.counts

    def percentile(self, share: float) -> float | None:
        """The nearest-rank percentile in ms at `share` (0 to 1), at most 0.5 % off; None of nothing.

        Values under 1 µs are told as 1 µs, values over 1,000 s as infinity.
        """
        cumulative = np.cumsum(self.counts)
        if cumulative[-1] <= 0:
            return None
        rank = max(math.ceil(share * int(cumulative[-1]) - 1e-9), 1)
        place = int(np.searchsorted(cumulative, rank))
        if place == 0:
            return LOW_MS
        return math.inf if place == BUCKETS - 1 else LOW_MS * math.exp((place - 0.5) * _LOG_WIDTH)
