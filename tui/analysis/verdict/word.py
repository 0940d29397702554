"""Who is ahead, by how much, how sure. Four words, and `not comparable` where no word may be said."""

import math
from dataclasses import dataclass
from typing import Final, Literal

from tui.records.metrics import METRICS

Better = Literal["higher", "lower"]
Word = Literal["A ahead", "B ahead", "level", "undecided", "not comparable"]

DELTA: Final = 0.03
ALPHA: Final = 0.05


@dataclass(frozen=True, slots=True)
class Verdict:
    """One figure compared. `ratio` is A over B with its interval; None where there is too little to tell.

    `need_s` is about how many settled seconds more would bring a decision, None when it is made or cannot be told.
    """

    metric: str
    word: Word
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    n_batches: int = 0
    need_s: float | None = None
    reason: str = ""
    holds_among: int = 0  # of so many judged at once the word would still be said; see `verdict.together`


def word_of(low: float, high: float, delta: float, better: Better = "higher") -> Word:
    """The word that an interval of log ratios allows.

    Ahead is who surely leads, and by more than δ as far as is known: who leads by less would be called ahead while
    the interval is wide, and level once it is narrow.
    """
    border, middle = math.log1p(delta), (low + high) / 2
    if -border < low and high < border:
        return "level"
    if low > 0 and middle > border:
        return "A ahead" if better == "higher" else "B ahead"
    if high < 0 and middle < -border:
        return "B ahead" if better == "higher" else "A ahead"
    return "undecided"


def said(word: Word, interval: tuple[float, float], delta: float, better: Better = "higher") -> bool:
    """Whether an interval allows just this word, and that is one."""
    return word not in {"undecided", "not comparable"} and word_of(*interval, delta, better) == word


def better_of(metric: str) -> Better:
    """Which way is better for the figure a verdict is about: `output_tps`, `ttft_p95`, …"""
    found = METRICS.get(metric) or METRICS.get(metric.split("_", maxsplit=1)[0])
    return found.better if found is not None else "higher"


def not_comparable(metric: str, reason: str) -> Verdict:
    """No verdict on this figure, and why."""
    return Verdict(metric, "not comparable", reason=reason.removeprefix("not comparable because "))
