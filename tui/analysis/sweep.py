"""A sweep of one dial: which settings to visit, and the curve of throughput against latency that comes of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

FINEST: Final = 8  # a step is not halved below an eighth of the knee: 12 % of load is within the noise of a minute


@dataclass(frozen=True, slots=True)
class Point:
    """One setting of the swept dial in one lane, each value with its 95 % interval where it is known."""

    setting: float
    throughput: float  # more is better, as output tok/s
    latency: float  # less is better, as TTFT p95 in ms
    throughput_low: float | None = None
    throughput_high: float | None = None
    latency_low: float | None = None
    latency_high: float | None = None
    beaten: bool = False  # another setting of the same lane has more throughput at less latency


def doubling(low: int, high: int) -> list[int]:
    """The first pass: from `low` by doubling, and `high`. Raises ValueError unless 1 <= low <= high."""
    if not 1 <= low <= high:
        raise ValueError(f"a sweep goes from at least 1 upwards, not from {low} to {high}")
    steps = []
    while low < high:
        steps.append(low)
        low *= 2
    return [*steps, high]


def dominated(points: Sequence[Point]) -> list[bool]:
    """For each point, whether another has more throughput at less latency, or equals one and betters the other."""

    def beats(one: Point, other: Point) -> bool:
        as_good = one.throughput >= other.throughput and one.latency <= other.latency
        return as_good and (one.throughput > other.throughput or one.latency < other.latency)

    return [any(beats(one, other) for one in points) for other in points]


def knee(points: Sequence[Point]) -> float | None:
    """The setting after which latency grows faster than throughput: where their quotient, the power, is largest.

    Kleinrock 1979, "Power and deterministic rules of thumb". None of no points.
    """
    measured = [point for point in points if point.latency > 0 and point.throughput > 0]
    best = max(measured, key=lambda point: point.throughput / point.latency, default=None)
    return None if best is None else best.setting


def halving(visited: Collection[int], knees: Collection[float]) -> list[int]:
    """The next pass: the middle of the steps below and above each knee, rising; empty when they are fine enough."""
    ladder = sorted(visited)
    wanted: set[int] = set()
    for at in knees:
        place = min(range(len(ladder)), key=lambda i: abs(ladder[i] - at), default=None)
        if place is None:
            continue
        for low, high in ((place - 1, place), (place, place + 1)):
            if low >= 0 and high < len(ladder) and ladder[high] - ladder[low] > max(1, ladder[place] / FINEST):
                wanted.add((ladder[low] + ladder[high]) // 2)
    return sorted(wanted - set(ladder))
