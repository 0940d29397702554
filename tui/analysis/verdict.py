"""Who is ahead, by how much, how sure. Four words, and `not comparable` where no word may be said."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from tui.analysis.together import holds_among
from tui.records.metrics import METRICS

if TYPE_CHECKING:
    from tui.analysis.turns import Pair

Better = Literal["higher", "lower"]
Word = Literal["A ahead", "B ahead", "level", "undecided", "not comparable"]

DELTA: Final = 0.03
ALPHA: Final = 0.05
HOLD_LOOKS: Final = 3
_LONGEST_BATCHES: Final = 4000


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
    holds_among: int = 0  # of so many judged at once the word would still be said; see `analysis.together`


def word_of(low: float, high: float, delta: float, better: Better = "higher") -> Word:
    """The word that an interval of log ratios allows. Level goes before ahead: 1 % ahead within ±3 % is level."""
    border = math.log1p(delta)
    if -border < low and high < border:
        return "level"
    if low > 0:
        return "A ahead" if better == "higher" else "B ahead"
    if high < 0:
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

    from tui.analysis.batches import BATCH_S, MIN_BATCHES, half_width, log_ratio

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
    from tui.analysis.turns import MIN_PAIRS, USUAL_PAIR_S, half_width, log_ratios

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


@dataclass(frozen=True, slots=True)
class Calm:
    """The word on the screen, which follows the verdict without flicker. Start a new one with each segment.

    Another word is shown once it has held for three looks, and a word that was shown gives way to `undecided` only
    when the interval is a tenth of its width beyond the border. `not comparable` is shown at once.
    """

    shown: Word = "undecided"
    candidate: Word = "undecided"
    held: int = 0

    def look(self, verdict: Verdict, delta: float = DELTA) -> "Calm":
        """The state after one more look, once a second."""
        word = verdict.word
        if word in {"not comparable", self.shown} or self._holds(verdict, delta):
            kept = word if word == "not comparable" else self.shown
            return Calm(kept, kept, 0)
        held = self.held + 1 if word == self.candidate else 1
        return Calm(word, word, 0) if held >= HOLD_LOOKS else Calm(self.shown, word, held)

    def _holds(self, verdict: Verdict, delta: float) -> bool:
        """Whether the shown word would still be said of a slightly narrower interval."""
        if verdict.word != "undecided" or verdict.low is None or verdict.high is None:
            return False
        low, high = math.log(verdict.low), math.log(verdict.high)
        slack = 0.1 * (high - low)
        return word_of(low + slack, high - slack, delta, better_of(verdict.metric)) == self.shown != "undecided"
