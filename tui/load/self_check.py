"""The client checks itself: how late its event loop runs, whether it is the bottleneck, its limit of open files."""

from __future__ import annotations

import asyncio
import resource
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

from tui.model.dials import MAX_STREAMS

HEARTBEAT_S = 0.02
WINDOW_FRAMES = 10
MIN_WINDOW_S = 0.5  # below it CPU shares say nothing
MAX_BUSY_SHARE = 0.9  # ran or waited for a core: above this the driver and not the server sets the pace
MAX_LAG_MS = 50.0  # a healthy loop stays below it even on a busy host
MAX_LOST_MS = 400.0  # of a window: one hiccup of the host does not count, repeated or long stalls do
MAX_OVERDUE_S = 0.25  # from a request's due time to its sending, when the driver is to blame
OTHER_FILES = 64  # pipes, the event loop, libraries, connections that are being replaced
_PAGE_BYTES = resource.getpagesize()


class _CpuReading(NamedTuple):
    t_s: float
    ran_s: float
    waited_s: float


class SelfCheck:
    """Watches the driver's event loop by a heartbeat on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due_s = loop.time() + HEARTBEAT_S
        self._worst_ms = 0.0
        self._overdue_s = 0.0
        self._limit = ""
        self._lags_ms: deque[float] = deque(maxlen=WINDOW_FRAMES)
        self._cpu: deque[_CpuReading] = deque(maxlen=WINDOW_FRAMES + 1)
        loop.call_at(self._due_s, self._beat)

    def sent_late(self, overdue_s: float) -> None:
        """A request was sent this long after it was due, held up by nothing but the driver."""
        self._overdue_s = max(self._overdue_s, overdue_s)

    def limited(self, why: str) -> None:
        """The client could not make all the load that was asked for."""
        self._limit = why

    def next_frame(self, *, has_work: bool = True) -> tuple[float, float, str]:
        """CPU seconds so far, the loop's worst lag in ms since the last frame, and why we are client-bound.

        A driver without work is never the bottleneck, however late it is.
        """
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s = usage.ru_utime + usage.ru_stime
        self._cpu.append(_CpuReading(time.monotonic(), cpu_s, waited_for_core_s()))
        # A loop that is late right now has not had its heartbeat yet.
        lag_ms = max(self._worst_ms, (self._loop.time() - self._due_s) * 1000, 0.0)
        self._lags_ms.append(lag_ms if has_work and lag_ms > MAX_LAG_MS else 0.0)
        bound = self._bound() if has_work else ""
        self._worst_ms, self._overdue_s, self._limit = 0.0, 0.0, ""
        return cpu_s, lag_ms, bound

    def _bound(self) -> str:
        if self._limit:
            return self._limit
        lost_ms = sum(self._lags_ms)
        if lost_ms > MAX_LOST_MS:
            return f"the driver's event loop ran late, {lost_ms:.0f} ms in the last {len(self._lags_ms)} frames"
        first, last = self._cpu[0], self._cpu[-1]
        window_s = last.t_s - first.t_s
        if window_s > MIN_WINDOW_S:
            ran, waited = (last.ran_s - first.ran_s) / window_s, (last.waited_s - first.waited_s) / window_s
            if ran + waited > MAX_BUSY_SHARE:
                return f"the driver used {ran:.0%} of a core and waited for one {waited:.0%} of the time"
        if self._overdue_s > MAX_OVERDUE_S:
            return f"a request was sent {self._overdue_s * 1000:.0f} ms after it was due"
        return ""

    def _beat(self) -> None:
        now_s = self._loop.time()
        self._worst_ms = max(self._worst_ms, (now_s - self._due_s) * 1000)
        self._due_s = now_s + HEARTBEAT_S
        self._loop.call_at(self._due_s, self._beat)


def waited_for_core_s(pid: int | None = None) -> float:
    """Seconds in which a process (default: this one) was ready to run without a core; 0 where not reported."""
    try:
        return int(Path(f"/proc/{pid or 'self'}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def resident_bytes() -> int:
    """Memory of this process; 0 without /proc."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except (OSError, ValueError):
        return 0


def max_open_files() -> int:
    """How many files a driver may open: a process may raise its limit to the hard one itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = MAX_STREAMS + OTHER_FILES
    return max(soft, needed if hard == resource.RLIM_INFINITY else min(hard, needed))


def raise_open_file_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max_open_files(), hard))


def max_streams() -> int:
    return min(MAX_STREAMS, max(max_open_files() - OTHER_FILES, 1))


def too_many_streams(streams: int) -> str:
    """What to do when this host allows fewer streams; empty when it does not."""
    if streams <= max_streams():
        return ""
    return (
        f"this host allows a process {max_open_files()} open files, so at most {max_streams()} of {streams} streams "
        f"run: allow {streams + OTHER_FILES} with `ulimit -n`"
    )
