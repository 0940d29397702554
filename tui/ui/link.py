"""The link to the terminal: how fast it is, by how long the terminal takes to answer a question sent after a drawing.

A slow link queues what is drawn, mostly where no program can see it (ssh takes megabytes), and a key would be
answered behind all of it. So where a second's drawing takes long on its way, every second one is drawn, in slices:
one arrives before the next is sent, and what a key changed goes before the rest.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

QUESTION: Final = "\x1b[?2026$p"  # whether the terminal knows synchronized output; Textual asks it at the start
SLOW_S: Final = 0.25  # that a second's drawing may take on its way
QUICK_S: Final = 0.15  # below it a link is slow no longer
SLICE_S: Final = 0.08  # of drawing on its way at a time, so that a key's answer waits for no more
ASK_EVERY_S: Final = 5.0  # on a quick link
SILENT_S: Final = 5.0  # a terminal that has answered nothing by then never will
MOST_UNANSWERED: Final = 8
LATE_S: Final = 0.8  # of an answer: the link carries more than it can
LEAST_BYTES: Final = 300  # before a question, for the answer to show how much a second takes
BLOCKED_FOR_S: Final = 10.0  # a terminal that did not take a drawing in a second counts as slow for so long


class Link:
    """What was sent, when it was asked about, and what the answers show. Seconds are those of `now`."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.slow = False  # a second's drawing takes too long
        self.is_blocked: Callable[[], bool] = lambda: False  # whether the terminal has yet to take what was drawn
        self._now = now
        self._asked: deque[tuple[float, int]] = deque()  # when, and the bytes sent since the question before
        self._first_asked_s: float | None = None
        self._last_asked_s = 0.0
        self._since_asked = 0
        self._answered = False
        self._delays_s: deque[float] = deque(maxlen=20)  # of answers to questions with nothing before them
        self._arrived_s = 0.0  # when the last drawing asked about did
        self._s_per_byte: deque[float] = deque(maxlen=5)
        self._on_way, self._on_way_at_s = 0.0, 0.0
        self._drawn, self._mean_drawn = 0, 0.0  # bytes in this second; of a second, a running mean
        self._blocked_until_s = float("-inf")

    @property
    def bytes_per_s(self) -> float:
        """Infinite where it is too much to tell, or not known."""
        per_byte = sorted(self._s_per_byte)[len(self._s_per_byte) // 2] if self._s_per_byte else 0.0
        return 1 / per_byte if per_byte > 0 else float("inf")

    def sent(self, size: int) -> None:
        """So many bytes are on their way."""
        self._on_way, self._on_way_at_s = self._still_on_way() + size, self._now()
        self._since_asked += size
        self._drawn += size

    def should_ask(self) -> bool:
        """Whether to ask after what was drawn."""
        now_s = self._now()
        if self._first_asked_s is None:
            return True
        if not self._answered and now_s - self._first_asked_s > SILENT_S:
            return False
        is_due = not self._delays_s or self.bytes_per_s < float("inf") or now_s - self._last_asked_s > ASK_EVERY_S
        return bool(is_due) and len(self._asked) < MOST_UNANSWERED

    def asked(self) -> None:
        self._last_asked_s = self._now()
        if self._first_asked_s is None:
            self._first_asked_s = self._last_asked_s
        self._asked.append((self._last_asked_s, self._since_asked))
        self._since_asked = 0

    def answered(self) -> bool:
        """The terminal answered the oldest question; returns whether to ask with nothing before it."""
        self._answered = True
        if not self._asked:  # Textual had asked it
            return False
        (asked_s, size), now_s = self._asked.popleft(), self._now()
        delay_s = min(self._delays_s, default=None)
        if not size:
            self._delays_s.append(now_s - asked_s)
        elif delay_s is not None:
            arrived_s = now_s - delay_s
            took_s = arrived_s - max(asked_s, self._arrived_s)
            self._arrived_s = max(arrived_s, self._arrived_s)
            if size >= LEAST_BYTES:
                self._s_per_byte.append(took_s / size if took_s > QUICK_S / 8 else 0.0)
        return not self._asked and bool(size) and not self._since_asked and len(self._delays_s) < 3

    @property
    def is_behind(self) -> bool:
        """Whether what was drawn before has not arrived: nothing is to queue behind it."""
        late = self._answered and self._asked and self._now() - self._asked[0][0] > LATE_S
        return bool(late) or self.is_blocked()

    def next_second(self) -> None:
        """A second is over."""
        if self._drawn:
            self._mean_drawn += (self._drawn - self._mean_drawn) / 4 if self._mean_drawn else self._drawn
            self._drawn = 0
        if self.is_blocked():
            self._blocked_until_s = self._now() + BLOCKED_FOR_S
        takes_s = self._mean_drawn / self.bytes_per_s
        self.slow = takes_s > (QUICK_S if self.slow else SLOW_S) or self._now() < self._blocked_until_s

    def room(self) -> float:
        """How many bytes may be sent now."""
        return self.bytes_per_s * SLICE_S - self._still_on_way()

    def wait_s(self) -> float:
        """Until there is room for half a slice."""
        return max(self._still_on_way() / self.bytes_per_s - SLICE_S / 2, 0.02)

    def _still_on_way(self) -> float:
        gone = self.bytes_per_s * (self._now() - self._on_way_at_s) if self._on_way else 0.0
        return max(self._on_way - gone, 0.0)
