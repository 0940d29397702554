"""When requests start: due times at a rate, and closed loops whose streams begin one after another."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat

from tui.load.stream import Stream
from tui.model.dials import Arrival

BURST = 8  # requests due at one moment


def unit_gaps(arrival: Arrival, seed: int) -> Iterator[float]:
    """Endless gaps between due times, of mean 1. They depend on the seed alone, so both lanes have the same ones.

    `poisson`: exponential. `constant` and `stagger` (the study's word): equal. `burst`: 8 at once, then a gap of 8.
    """
    if arrival == "poisson":
        rng = random.Random(f"arrivals {seed}")
        while True:
            yield rng.expovariate(1.0)
    elif arrival == "burst":
        while True:
            yield from chain([float(BURST)], repeat(0.0, BURST - 1))
    else:
        yield from repeat(1.0)


class Arrivals:
    """Due times, in seconds of the event loop's clock.

    Turning another dial does not touch them, and a new rate stretches the wait that is left: if the series restarted
    at each turn, an operator who turns a dial quickly would never see a request come due. `trace_gaps_s` makes the
    gaps of a trace, from where it is; there the rate is the speed of its clock.
    """

    def __init__(self, seed: int, trace_gaps_s: Callable[[], Iterator[float]] = lambda: iter(())) -> None:
        self._seed = seed
        self._trace_gaps_s = trace_gaps_s
        self._arrival: Arrival = "closed"
        self._rate = 0.0
        self._gaps: Iterator[float] = repeat(1.0)
        self.next_due_s = 0.0

    def follow(self, arrival: Arrival, rate: float, now_s: float) -> None:
        """Follow the dials. `rate` is in requests a second, or of a trace its speed; a closed loop may leave it 0."""
        if arrival == self._arrival and rate == self._rate:
            return
        if arrival == self._arrival and self._rate > 0 and rate > 0:
            left_s = max(0.0, self.next_due_s - now_s)
            self.next_due_s = now_s + left_s * self._rate / rate
            self._rate = rate
            return
        self._arrival, self._rate = arrival, rate
        if self.is_open_loop:
            self._gaps = self._trace_gaps_s() if arrival == "trace" else unit_gaps(arrival, self._seed)
            self.next_due_s = now_s
            self.advance()

    @property
    def is_open_loop(self) -> bool:
        return self._arrival != "closed" and self._rate > 0

    def advance(self) -> None:
        """Go on to the next due time; after the end of a trace there is none."""
        self.next_due_s += next(self._gaps, math.inf) / self._rate


@dataclass(slots=True)
class Ramp:
    """Adds streams to a closed loop evenly along the first answer, from `before` slots that were in use.

    Streams that begin together, with answers of about one length, end together, and their next prompts come all at
    once, for many answers in a row. A span that is not a whole number of answers long then catches more of the one or
    of the other, and its tokens a second are off by a tenth and more. Engines decode all streams at one pace, so
    streams that start as the first one progresses are spread as evenly as they would be after an hour, without
    guessing how long an answer takes.
    """

    before: int
    lead_stream: Stream | None = None  # the first one added

    @property
    def is_over(self) -> bool:
        """Whether the lead stream has ended, well or not: then all remaining slots are filled at once."""
        return self.lead_stream is not None and self.lead_stream.is_over

    def slots(self, target: int) -> int:
        """How many of the `target` slots may be filled by now."""
        return slots_by_now(self.before, target, 0.0 if self.lead_stream is None else self.lead_stream.progress)


def slots_by_now(before: int, target: int, progress: float) -> int:
    """Slots that may be filled once `progress` (0 to 1) of the lead stream's answer has arrived."""
    return min(target, before + 1 + int(max(target - before, 0) * progress))
