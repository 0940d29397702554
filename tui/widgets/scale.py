"""The vertical scale that both lanes share, in steps of 1, 2 or 5."""

import math
from collections.abc import Iterable, Sequence

import msgspec


class Scale(msgspec.Struct, frozen=True):
    """From 0 to `top`, with a tick every `step`."""

    top: float
    step: float

    @property
    def ticks(self) -> Sequence[float]:
        """Every tick, 0 first."""
        return [self.step * n for n in range(round(self.top / self.step) + 1)]


def scale_for(series: Iterable[Iterable[float | None]], ticks: int = 4) -> Scale:
    """The smallest scale of at most `ticks` 1-2-5 steps that holds every value."""
    highest = max((value for values in series for value in values if value is not None), default=0.0)
    if highest <= 0:
        return Scale(10.0, 5.0)
    power = 10 ** math.floor(math.log10(highest / ticks))
    step = next(power * m for m in (1, 2, 5, 10) if math.ceil(highest / (power * m)) <= ticks)
    return Scale(step * math.ceil(highest / step), step)


def tick_text(value: float) -> str:
    """A tick in at most five characters."""
    if value >= 100_000:
        return f"{value / 1000:.0f}k"
    return f"{value:g}"
