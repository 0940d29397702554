"""The instrument watches itself: how late its event loop runs, and whether it is the limit of what is measured."""

import asyncio
import resource
import time
from collections import deque
from pathlib import Path

BEAT_S = 0.02
BUSY_SHARE = 0.9  # of one core, over a second: then the driver and not the server sets the pace
LATE_MS = 250.0  # a loop this late starts the next request late; a healthy one stays under 50 ms even on a busy host
OVERDUE_S = 0.25  # requests sent this long after they were due, for reasons of ours
FRAMES_LOOKED_AT = 10
_PAGE_BYTES = resource.getpagesize()


class SelfWatch:
    """Beats on the driver's event loop; `take` tells what happened since the last frame."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due_s = loop.time() + BEAT_S
        self._worst_ms = 0.0
        self._overdue_s = 0.0
        self._cpu: deque[tuple[float, float]] = deque(maxlen=FRAMES_LOOKED_AT + 1)
        loop.call_at(self._due_s, self._beat)

    def sent_late(self, overdue_s: float) -> None:
        """A request was sent this long after it was due although nothing but the driver held it up."""
        self._overdue_s = max(self._overdue_s, overdue_s)

    def take(self) -> tuple[float, float, str]:
        """CPU seconds of this process so far, the loop's worst lag in ms since the last call, and why it is bound."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s = usage.ru_utime + usage.ru_stime
        self._cpu.append((time.monotonic(), cpu_s))
        # A loop that is late now has not had its beat yet.
        lag_ms = max(self._worst_ms, (self._loop.time() - self._due_s) * 1000, 0.0)
        bound = self._bound(lag_ms)
        self._worst_ms, self._overdue_s = 0.0, 0.0
        return cpu_s, lag_ms, bound

    def _bound(self, lag_ms: float) -> str:
        (t0, cpu0), (t1, cpu1) = self._cpu[0], self._cpu[-1]
        if lag_ms > LATE_MS:
            return f"the driver's event loop ran {lag_ms:.0f} ms late"
        if t1 - t0 > 0.5 and (cpu1 - cpu0) / (t1 - t0) > BUSY_SHARE:
            return f"the driver uses {100 * (cpu1 - cpu0) / (t1 - t0):.0f} % of a core"
        if self._overdue_s > OVERDUE_S:
            return f"a request was sent {self._overdue_s * 1000:.0f} ms after it was due"
        return ""

    def _beat(self) -> None:
        now_s = self._loop.time()
        self._worst_ms = max(self._worst_ms, (now_s - self._due_s) * 1000)
        self._due_s = now_s + BEAT_S
        self._loop.call_at(self._due_s, self._beat)


def resident_bytes() -> int:
    """Memory of this process; 0 where /proc does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except (OSError, ValueError):
        return 0
