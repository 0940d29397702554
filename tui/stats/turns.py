"""Lanes that take turns (A B B A …): never measured in the same second, they are compared block by block.

Where one lane hands over to the other, the second half of its turn and the first half of the other's turn adjoin:
they are a pair. Every other pair is B before A, so that a drift adds to the noise of the ratios but not to
their mean, and no block belongs to two pairs. The log ratio of a pair is what a batch of 20 s is to lanes that run
together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tui.model.rows import LANES, Lane
from tui.stats.batches import stretch

Floats = NDArray[np.float64]

MIN_PAIRS: Final = 4
LEAST_BLOCK_S: Final = 5
USUAL_PAIR_S: Final = 60.0

Times = Mapping[Lane, Sequence[float]]  # when each second that counts began, in seconds, rising


@dataclass(frozen=True, slots=True)
class Pair:
    """Adjoining blocks of both lanes: which of the lane's seconds they are, and their spans of time."""

    seconds: Mapping[Lane, slice]
    span_s: Mapping[Lane, tuple[float, float]]  # with the time before it in which the turn's first requests were sent

    @property
    def length_s(self) -> int:
        """The counted seconds of both blocks."""
        return sum(block.stop - block.start for block in self.seconds.values())

    def moved(self, by: Mapping[Lane, int]) -> Pair:
        """The same, so many seconds further on in each lane."""
        seconds = {lane: slice(block.start + by[lane], block.stop + by[lane]) for lane, block in self.seconds.items()}
        return Pair(seconds, self.span_s)


@dataclass(frozen=True, slots=True)
class _Turn:
    lane: Lane
    first: int  # of the lane's seconds
    end: int

    def half(self, *, later: bool, whole: bool) -> tuple[int, int]:
        middle = (self.first + self.end) // 2
        if whole:
            return self.first, self.end
        return (middle, self.end) if later else (self.first, middle)


def pairs_of(at_s: Times) -> list[Pair]:
    """The pairs in order of time. The turn that still runs has one once it is as long as the half next to it."""
    turns = _turns(at_s)
    pairs = []
    for place in range(1, len(turns)):
        pair = _pair(turns, place)
        if pair is not None:
            pairs.append(Pair(pair, {lane: _span(at_s[lane], block) for lane, block in pair.items()}))
    return pairs


def pairs_of_visits(visits: Sequence[Times]) -> list[Pair]:
    """The pairs of several visits to one setting, whose seconds are joined end to end; none holds two visits."""
    pairs: list[Pair] = []
    before: dict[Lane, int] = dict.fromkeys(LANES, 0)
    for at_s in visits:
        pairs += [pair.moved(before) for pair in pairs_of(at_s)]
        before = {lane: count + len(at_s[lane]) for lane, count in before.items()}
    return pairs


def _turns(at_s: Times) -> list[_Turn]:
    times = np.concatenate([np.asarray(at_s[lane], dtype=np.float64) for lane in LANES])
    owner = np.repeat([0, 1], [len(at_s[lane]) for lane in LANES])[np.argsort(times, kind="stable")]
    borders = [0, *(np.flatnonzero(np.diff(owner)) + 1).tolist(), len(owner)] if len(owner) else []
    seen = [0, 0]
    turns = []
    for first, end in pairwise(borders):
        lane = int(owner[first])
        turns.append(_Turn(LANES[lane], seen[lane], seen[lane] + end - first))
        seen[lane] += end - first
    return turns


def _pair(turns: Sequence[_Turn], place: int) -> dict[Lane, slice] | None:
    """The blocks next to the hand-over to turn `place`. A turn at either end is not halved but cut to its partner."""
    before, after = turns[place - 1], turns[place]
    first, stop = before.half(later=True, whole=place == 1)
    begin, end = after.half(later=False, whole=place == len(turns) - 1)
    if place == 1 and place < len(turns) - 1:
        first = max(first, stop - (end - begin))
    if place == len(turns) - 1:
        end = min(end, begin + stop - first)
    lengths = stop - first, end - begin
    if min(lengths) < LEAST_BLOCK_S or 2 * min(lengths) < max(lengths):
        return None
    return {before.lane: slice(first, stop), after.lane: slice(begin, end)}


def _span(at_s: Sequence[float], block: slice) -> tuple[float, float]:
    begin = at_s[block.start - 1] + 1 if block.start else -math.inf
    return begin, at_s[block.stop - 1] + 1


def log_ratios(pairs: Sequence[Pair], a: Sequence[float], b: Sequence[float]) -> Floats:
    """ln(A/B) of each pair (n,), from the values of each lane's seconds; not finite where a block is all 0."""
    lanes: Mapping[Lane, Floats] = {"a": np.asarray(a, dtype=np.float64), "b": np.asarray(b, dtype=np.float64)}
    means = [[lanes[lane][pair.seconds[lane]].mean() for pair in pairs] for lane in LANES]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios: Floats = np.log(means[0]) - np.log(means[1])
    return ratios


def pairs_half_width(ratios: Floats, count: int, alpha: float, *, frozen: bool) -> float:
    """Half of the interval for the mean of `count` pairs that deviate as these do; see `batches.stretch`."""
    return float(ratios.std(ddof=1)) / math.sqrt(count) * stretch(count, count - 1, alpha, frozen)
