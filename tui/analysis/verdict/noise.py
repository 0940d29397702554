"""The noise floor: how far apart two lanes on one server are measured, and so the δ under which nothing is said."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tui.analysis.verdict.throughput import throughput_verdict
from tui.records.errors import UserError

LEAST_DELTA: Final = 0.01  # even where the noise is less: two launches of one engine differ by more


@dataclass(frozen=True, slots=True)
class Noise:
    """What an A/A run measured: the ratio of the lanes with its 95 % interval, and the δ that covers it."""

    delta: float
    ratio: float
    low: float
    high: float
    seconds: int

    @property
    def biased(self) -> bool:
        """Whether the lanes differ although the server is one: then one lane has an advantage."""
        return not self.low <= 1 <= self.high


def noise_floor(a: Sequence[float], b: Sequence[float]) -> Noise:
    """δ from the tokens of each settled second of both lanes on one server (an A/A run).

    The farther end of the interval, so that a bias between the lanes is in it too. Raises UserError when the run
    was too short to tell.
    """
    found = throughput_verdict(a, b, frozen=True)
    if found.ratio is None or found.low is None or found.high is None:
        raise UserError(f"no noise floor can be told: the run {found.reason}; run it longer")
    delta = math.expm1(max(-math.log(found.low), math.log(found.high)))
    return Noise(max(delta, LEAST_DELTA), found.ratio, found.low, found.high, min(len(a), len(b)))
