"""The kernel stamps packets in wall-clock time; the session runs on the monotonic clock. This is the step between."""

import time
from dataclasses import dataclass

PROBES = 5  # the offset is taken between two readings of the clock; the closest pair of a few is kept
GRID_NS = 1_024  # arrivals are told no finer: stamps err by 9 us (p99 12), and such digits double a recording
STEP_NS = 5_000_000  # an offset that moved further than this between two looks is a stepped clock, not drift


def wall_minus_monotonic_ns() -> int:
    """CLOCK_REALTIME - CLOCK_MONOTONIC now, within about a microsecond."""
    best_gap, best = 1 << 62, 0
    for _ in range(PROBES):
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        if after - before < best_gap:
            best_gap, best = after - before, wall - (before + after) // 2
    return best


def on_grid(t_ns: int) -> int:
    """The last moment of the grid of arrivals that is not after this one."""
    return t_ns & -GRID_NS


@dataclass(slots=True)
class StampClock:
    """Turns the kernel's stamps into monotonic ones. Call `look` often: wall clocks are slewed and stepped."""

    offset_ns: int = 0
    steps: int = 0

    def look(self) -> None:
        """Take the offset again."""
        offset_ns = wall_minus_monotonic_ns()
        if self.offset_ns and abs(offset_ns - self.offset_ns) > STEP_NS:
            self.steps += 1
        self.offset_ns = offset_ns
