"""The instrument watches itself: how late its event loop runs, and whether it is the limit of what is measured.

Every stream is an open file, and hosts limit how many a process may have.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

from tui.model.dials import MAX_STREAMS

BEAT_S = 0.02
BUSY_SHARE = 0.9  # of a second in which the driver ran or waited for a core: then it and not the server sets the pace
LATE_MS = 50.0  # a healthy loop stays under it even on a busy host
LOST_MS = 400.0  # of about a second: one hiccup of the host is no limit, time lost again and again or for long is
OVERDUE_S = 0.25  # requests sent this long after they were due, for reasons of ours
FRAMES_LOOKED_AT = 10
_PAGE_BYTES = resource.getpagesize()


class _Look(NamedTuple):
    t_s: float
    cpu_s: float
    waited_s: float


class SelfWatch:
    """Beats on the driver's event loop; `take` tells what happened since the last frame."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due_s = loop.time() + BEAT_S
        self._worst_ms = 0.0
        self._overdue_s = 0.0
        self._limit = ""
        self._lags_ms: deque[float] = deque(maxlen=FRAMES_LOOKED_AT)
        self._looks: deque[_Look] = deque(maxlen=FRAMES_LOOKED_AT + 1)
        loop.call_at(self._due_s, self._beat)

    def sent_late(self, overdue_s: float) -> None:
        """A request was sent this long after it was due although nothing but the driver held it up."""
        self._overdue_s = max(self._overdue_s, overdue_s)

    def limited(self, why: str) -> None:
        """Less load was made than asked, because the client could not."""
        self._limit = why

    def take(self, *, has_work: bool = True) -> tuple[float, float, str]:
        """CPU seconds of this process so far, the loop's worst lag in ms since the last call, and why it is bound.

        A driver that has nothing to do is the limit of nothing, however late it is.
        """
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s = usage.ru_utime + usage.ru_stime
        self._looks.append(_Look(time.monotonic(), cpu_s, waited_for_core_s()))
        # A loop that is late now has not had its beat yet.
        lag_ms = max(self._worst_ms, (self._loop.time() - self._due_s) * 1000, 0.0)
        self._lags_ms.append(lag_ms if has_work and lag_ms > LATE_MS else 0.0)
        bound = self._bound() if has_work else ""
        self._worst_ms, self._overdue_s, self._limit = 0.0, 0.0, ""
        return cpu_s, lag_ms, bound

    def _bound(self) -> str:
        first, last = self._looks[0], self._looks[-1]
        if self._limit:
            return self._limit
        lost_ms = sum(self._lags_ms)
        if lost_ms > LOST_MS:
            return f"the driver's event loop ran late, {lost_ms:.0f} ms in the last {len(self._lags_ms)} frames"
        took_s = last.t_s - first.t_s
        if took_s > 0.5:
            ran, waited = (last.cpu_s - first.cpu_s) / took_s, (last.waited_s - first.waited_s) / took_s
            if ran + waited > BUSY_SHARE:
                return f"the driver used {ran:.0%} of a core and waited for one {waited:.0%} of the time"
        if self._overdue_s > OVERDUE_S:
            return f"a request was sent {self._overdue_s * 1000:.0f} ms after it was due"
        return ""

    def _beat(self) -> None:
        now_s = self._loop.time()
        self._worst_ms = max(self._worst_ms, (now_s - self._due_s) * 1000)
        self._due_s = now_s + BEAT_S
        self._loop.call_at(self._due_s, self._beat)


def waited_for_core_s(pid: int | None = None) -> float:
    """Seconds in which a process, or this one, was ready to run and had no core; 0 where the kernel does not tell."""
    try:
        return int(Path(f"/proc/{pid or 'self'}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def resident_bytes() -> int:
    """Memory of this process; 0 where /proc does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except (OSError, ValueError):
        return 0


OTHER_FILES = 64  # pipes, the event loop, libraries, connections that are being replaced


def allowed() -> int:
    """How many files a driver may open: the hard limit, which a process may raise itself to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = MAX_STREAMS + OTHER_FILES
    return max(soft, needed if hard == resource.RLIM_INFINITY else min(hard, needed))


def raise_limit() -> None:
    """Allow this process as many as it may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed(), hard))


def most_streams() -> int:
    """How many streams at once that makes."""
    return min(MAX_STREAMS, max(allowed() - OTHER_FILES, 1))


def too_many(streams: int) -> str:
    """One sentence when so many cannot run here, or an empty string."""
    if streams <= most_streams():
        return ""
    return (
        f"this host allows a process {allowed()} open files, so at most {most_streams()} of {streams} streams run: "
        f"allow {streams + OTHER_FILES} with `ulimit -n`"
    )
