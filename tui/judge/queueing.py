"""Where requests in flight were: in the engine's batch, in its queue, or unscheduled, which it counts as neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tui.judge.tables import Floats, Ints
from tui.model.units import NS_PER_S

SLACK: Final = 0.1  # of the requests in flight: two clocks disagree by as much
Readings = Sequence[tuple[int, float]]  # (when in ns, value), rising in time


@dataclass(frozen=True, slots=True)
class Queueing:
    """Means over the seconds in which the server reported both what runs and what waits."""

    seconds: int
    in_flight: float
    running: float
    queued: float

    @property
    def unscheduled(self) -> float | None:
        """Requests on the network, in the server's HTTP process or at its tokenizer; None: it also serves others."""
        rest = self.in_flight - self.running - self.queued
        return None if rest < -SLACK * self.in_flight else max(rest, 0.0)


def queueing(starts_ns: Ints, in_flight: Ints, running: Readings, queued: Readings) -> Queueing | None:
    """Over the seconds that begin at `starts_ns` (n,), with the requests in flight in each; None without readings."""
    known = [_means(starts_ns, readings) for readings in (running, queued)]
    both = ~np.isnan(known[0]) & ~np.isnan(known[1])
    if not both.any():
        return None
    means = [float(values[both].mean()) for values in (in_flight, *known)]
    return Queueing(int(both.sum()), *means)


def _means(starts_ns: Ints, readings: Readings) -> Floats:
    """The mean of the readings in each second; nan where there is none."""
    means = np.full(starts_ns.size, np.nan)
    if starts_ns.size and readings:
        t_ns = np.array([t_ns for t_ns, _ in readings], dtype=np.int64)
        values = np.array([value for _, value in readings], dtype=np.float64)
        place = np.searchsorted(starts_ns, t_ns, side="right") - 1
        inside = (place >= 0) & (t_ns - starts_ns[np.maximum(place, 0)] < NS_PER_S)
        counts, sums = (np.bincount(place[inside], weights, starts_ns.size) for weights in (None, values[inside]))
        np.divide(sums, counts, out=means, where=counts > 0)
    return means
