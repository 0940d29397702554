"""The verdict on output tokens a second: of lanes measured in the same seconds, and of lanes that take turns."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from tui.analysis.verdict.together import holds_among
from tui.analysis.verdict.word import ALPHA, DELTA, Verdict, not_comparable, said, word_of

if TYPE_CHECKING:
    from tui.analysis.intervals.turns import Pair

_LONGEST_BATCHES: Final = 4000


def throughput_verdict(
    a: Sequence[float],
    b: Sequence[float],
    *,
    delta: float = DELTA,
    alpha: float = ALPHA,
    frozen: bool = False,
) -> Verdict:
    """Compare the tokens of each settled second of one segment, paired in time; the longer lane is cut at its end.

    `frozen`: this is the only look, so the narrower t interval holds. Else the interval holds at every look.
    Raises ValueError unless delta > 0 and 0 < alpha < 1.
    """
    if delta <= 0 or not 0 < alpha < 1:
        raise ValueError(f"delta must be above 0 and alpha between 0 and 1, not {delta:g} and {alpha:g}")
    metric = "output_tps"
    import numpy as np

    from tui.analysis.intervals.batches import BATCH_S, MIN_BATCHES, half_width, log_ratio

    seconds = min(len(a), len(b))
    if seconds < BATCH_S * MIN_BATCHES:
        reason = f"needs {BATCH_S * MIN_BATCHES} settled seconds, has {seconds}"
        missing_s = float(BATCH_S * MIN_BATCHES - seconds)
        return Verdict(metric, "undecided", n_batches=seconds // BATCH_S, need_s=missing_s, reason=reason)
    lanes = [np.asarray(lane[:seconds], dtype=np.float64)[None] for lane in (a, b)]
    found = log_ratio(lanes[0], lanes[1], alpha, frozen=frozen)
    mean, width, batches = float(found.mean[0]), float(found.half_width[0]), int(found.batches[0])
    batch_s = int(found.batch_s[0])
    if not math.isfinite(width):
        return not_comparable(metric, f"a lane put out nothing for {batch_s} s")
    word = word_of(mean - width, mean + width, delta)
    sd = float(found.sd[0])
    need = batches_needed(mean, lambda count: float(half_width(sd, count, alpha, frozen)), batches, delta)
    need_s = None if need is None else float(need * batch_s)
    ratio, low, high = math.exp(mean), math.exp(mean - width), math.exp(mean + width)

    def stands(among: int) -> bool:
        half = float(half_width(sd, batches, alpha / among, frozen))
        return said(word, (mean - half, mean + half), delta)

    among = holds_among(stands)
    return Verdict(metric, word, ratio, low, high, batches, need_s, f"{batches} batches of {batch_s} s", among)


def turns_verdict(
    a: Sequence[float], b: Sequence[float], pairs: "Sequence[Pair]", *, delta: float = DELTA, frozen: bool = False
) -> Verdict:
    """The same of lanes that take turns: `pairs` are their blocks side by side, by the places in `a` and `b`."""
    metric = "output_tps"
    from tui.analysis.intervals.turns import MIN_PAIRS, USUAL_PAIR_S, half_width, log_ratios

    count = len(pairs)
    pair_s = sum(pair.length_s for pair in pairs) / count if count else USUAL_PAIR_S
    if count < MIN_PAIRS:
        reason = f"needs {MIN_PAIRS} turns of each lane side by side, has {count}"
        return Verdict(metric, "undecided", n_batches=count, need_s=(MIN_PAIRS - count) * pair_s, reason=reason)
    ratios = log_ratios(pairs, a, b)
    mean = float(ratios.mean())
    if not math.isfinite(mean):
        return not_comparable(metric, "a lane put out nothing in a whole turn")

    def width_at(count: int, alpha: float = ALPHA) -> float:
        return half_width(ratios, count, alpha, frozen=frozen)

    def stands(among: int) -> bool:
        half = width_at(count, ALPHA / among)
        return said(word, (mean - half, mean + half), delta)

    low, high = mean - width_at(count), mean + width_at(count)
    word = word_of(low, high, delta)
    need = batches_needed(mean, width_at, count, delta)
    return Verdict(
        metric,
        word,
        math.exp(mean),
        math.exp(low),
        math.exp(high),
        count,
        None if need is None else need * pair_s,
        f"{count} pairs of turns, {pair_s / 2:.0f} s of each lane",
        holds_among(stands),
    )


def batches_needed(mean: float, width_at: Callable[[int], float], batches: int, delta: float) -> int | None:
    """How many batches more until a word is said of a log ratio that stays as it is, `width_at` so many batches.

    None: a word is said already, or none would be within a day.
    """

    def decided(count: int) -> bool:
        return word_of(mean - width_at(count), mean + width_at(count), delta) != "undecided"

    if decided(batches):
        return None
    few, many = batches, batches + 1
    while not decided(many):
        few, many = many, many * 2
        if many > _LONGEST_BATCHES:
            return None
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if decided(middle) else (middle, many)
    return many - batches
