"""When requests come due under a rate. Gaps depend on the seed alone, so both lanes have the same ones.

Streams of a closed loop that begin one after another, evenly far apart along an answer.

Begun together, answers of about one length end together and their next prompts come in one heap, for many answers on
end. A span that is not a whole number of answers long then catches more of the one or of the other, and what it says
of tokens a second is off by a tenth and more. Engines decode all streams at one pace, so streams that begin as the
first of them gets along are spread as evenly as they would be after an hour. No time has to be guessed for that.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, repeat

from tui.load.stream import Stream
from tui.model.dials import Arrival

BURST = 8  # requests that come due at one moment


def unit_gaps(arrival: Arrival, seed: int) -> Iterator[float]:
    """Gaps from each due time to the next in mean gaps, without end: at a rate of 1 a second they are seconds.

    `poisson`: exponential gaps. `constant` and `stagger` (the study's word): all the same. `burst`: 8 at once, then a
    gap of 8.
    """
    if arrival == "poisson":
        numbers = random.Random(f"arrivals {seed}")
        while True:
            yield numbers.expovariate(1.0)
    elif arrival == "burst":
        while True:
            yield from chain([float(BURST)], repeat(0.0, BURST - 1))
    else:
        yield from repeat(1.0)


class Arrivals:
    """Due times in seconds of a clock. A turn of another dial does not touch them; a new rate stretches what is left.

    Were the series begun anew at each turn, an operator who turns a dial quickly would never see a request come due.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._arrival: Arrival = "closed"
        self._rate = 0.0
        self._gaps: Iterator[float] = repeat(1.0)
        self.next_due_s = 0.0

    def ask(self, arrival: Arrival, rate: float, now_s: float) -> None:
        """Follow the dials. `rate` in requests a second, above 0 but in a closed loop, which has no due times."""
        if arrival == self._arrival and rate == self._rate:
            return
        if arrival == self._arrival and self._rate > 0 and rate > 0:
            left_s = max(0.0, self.next_due_s - now_s)
            self.next_due_s = now_s + left_s * self._rate / rate
            self._rate = rate
            return
        self._arrival, self._rate = arrival, rate
        if arrival != "closed" and rate > 0:
            self._gaps = unit_gaps(arrival, self._seed)
            self.next_due_s = now_s
            self.step()

    @property
    def are_due(self) -> bool:
        """Whether requests come due at all."""
        return self._arrival != "closed" and self._rate > 0

    def step(self) -> None:
        """Go on to the next due time."""
        self.next_due_s += next(self._gaps) / self._rate


@dataclass(slots=True)
class Spread:
    """While streams are added to `before` slots that were in use, until `pace`, the first one added, is over."""

    before: int
    pace: Stream | None = None

    @property
    def is_over(self) -> bool:
        """Whether the first one ended, however it did: the slots that are still empty are filled at once."""
        return self.pace is not None and self.pace.is_over

    def slots(self, wanted: int) -> int:
        """Of the wanted slots those that may be filled by now."""
        return slots_by_now(self.before, wanted, 0.0 if self.pace is None else self.pace.progress)


def slots_by_now(before: int, wanted: int, progress: float) -> int:
    """Slots that may be filled once `progress` (0 to 1) of the first added stream's answer has come."""
    return min(wanted, before + 1 + int(max(wanted - before, 0) * progress))
