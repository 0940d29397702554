"""Goodput: requests a second that met every limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from tui.stats.batches import Pair
from tui.stats.distributions import Met, share_met, wilson
from tui.stats.verdict import DELTA, Verdict, Word, throughput_verdict, turns_verdict

SHARE: Final = 0.99  # of all requests, that is to be within the limits
DECIDES_ALONE: Final = 20  # good requests against none: 20 to 0 has a chance of 2 in a million between equals

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def within_limits(ms: Mapping[str, Floats], limits_ms: Mapping[str, float]) -> Bools:
    """Which requests (n,) exceed no limit, by metric; nan, as the TPOT of an answer of one chunk, exceeds none."""
    exceeded = [ms[metric] > limit for metric, limit in limits_ms.items()]
    return ~np.logical_or.reduce(exceeded) if exceeded else np.ones(len(next(iter(ms.values()))), dtype=bool)


@dataclass(frozen=True, slots=True)
class Goodput:
    """How many of the requests of one lane met every limit."""

    good: int
    total: int  # ended well or failed; not those cut off by the end
    per_s: float
    share: float | None
    low: float
    high: float
    met: Met  # by `SHARE` of all requests, at 99 % confidence


def goodput(ends_s: Floats, total: int, at_s: Sequence[float]) -> Goodput:
    """Goodput of one lane of whose `total` requests the good ones ended at `ends_s`.

    The rate is of those that ended in the seconds that begin `at_s`: of a lane that takes turns its measured ones.
    """
    good = ends_s.size
    low, high = wilson(good, total)
    return Goodput(
        good=good,
        total=total,
        per_s=sum(counts_in(ends_s, at_s)) / len(at_s) if at_s else 0.0,
        share=good / total if total else None,
        low=low,
        high=high,
        met=share_met(total - good, total, SHARE),
    )


def counts_in(moments_s: Floats, at_s: Sequence[float]) -> list[float]:
    """How many of the moments lie in each of the seconds that begin `at_s`."""
    seconds = np.asarray(at_s)
    places = np.searchsorted(seconds, moments_s, side="right") - 1
    inside = places[(places >= 0) & (moments_s - seconds[np.maximum(places, 0)] < 1)] if seconds.size else places[:0]
    counts: list[float] = np.bincount(inside, minlength=seconds.size).astype(float).tolist()
    return counts


def goodput_verdict(
    a: Sequence[float],
    b: Sequence[float],
    *,
    delta: float = DELTA,
    frozen: bool = False,
    pairs: Sequence[Pair] | None = None,
) -> Verdict:
    """Compare the good requests of each settled second, as `throughput_verdict` does tokens.

    A lane of which no request met the limits has no ratio: the other is ahead once `DECIDES_ALONE` of its did.
    """
    seconds = max(len(a), len(b)) if pairs is not None else min(len(a), len(b))
    sums = {"a": sum(a[:seconds]), "b": sum(b[:seconds])}
    for lane, other, word in (("a", "b", "B ahead"), ("b", "a", "A ahead")):
        if sums[lane] == 0 and sums[other] >= DECIDES_ALONE:
            reason = (
                f"no request of lane {lane.upper()} met the limits, {sums[other]:.0f} of lane {other.upper()} did"
            )
            return Verdict("goodput", cast("Word", word), reason=reason)
    if pairs is not None:
        verdict = turns_verdict(a, b, pairs, delta=delta, frozen=frozen)
    else:
        verdict = throughput_verdict(a, b, delta=delta, frozen=frozen)
    verdict = replace(verdict, metric="goodput")
    if verdict.word == "not comparable":
        return replace(verdict, word="undecided", reason="too few requests met the limits")
    return verdict
