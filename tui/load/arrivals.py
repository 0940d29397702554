"""When requests come due under a rate. Gaps depend on the seed alone, so both lanes have the same ones."""

import random
from collections.abc import Iterator

from tui.records.dials import Arrival

BURST = 8  # requests that come due at one moment


def gaps_s(arrival: Arrival, rate: float, seed: int) -> Iterator[float]:
    """Seconds from each due time to the next, without end; `rate` in requests a second.

    `poisson`: exponential gaps. `constant` and `stagger` (the study's word): 1/rate. `burst`: 8 at once, then a
    gap of 8/rate.
    """
    if rate <= 0:
        raise ValueError("a rate must be above 0")
    numbers = random.Random(f"arrivals {seed}")
    while True:
        if arrival == "poisson":
            yield numbers.expovariate(rate)
        elif arrival == "burst":
            yield BURST / rate
            yield from (0.0 for _ in range(BURST - 1))
        else:
            yield 1 / rate
