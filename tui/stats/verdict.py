"""The verdict on output tokens a second: of lanes measured in the same seconds, and of lanes that take turns.

A verdict says who is ahead, by how much and how sure: one of four words, or `not comparable`. Two lanes are level
within the equivalence margin δ, which comes from the profile of the session, or from an A/A run (`noise_floor`).

Each word is right at 95 % by itself; among twenty equal pairs one would name a winner. Holm's step-down rule (1979)
keeps the chance that any word is wrong at 5 %: the surest must hold among all, the next among all but one, and so on.
A word is wrong only where its interval misses the truth, so `ahead` and `level` are one claim per figure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

from tui.model.metrics import METRICS
from tui.model.text import UserError

if TYPE_CHECKING:
    from tui.stats.batches import Balance
    from tui.stats.turns import Pair


Better = Literal["higher", "lower"]
Word = Literal["A ahead", "B ahead", "level", "undecided", "not comparable"]
State = Literal["settling", "measuring", "decided", "cannot_tell"]

DELTA: Final = 0.03
ALPHA: Final = 0.05
# The number of these rules: of when a word is said, and of how an interval is made. 1: no verdict before 80 settled
# seconds, latencies judged from ten spans of the time.
METHOD: Final = 2
MIN_SETTLED_S: Final = 20  # of lanes measured together: before it no verdict is given
USUAL_MARGIN: Final = "the usual one"
SETTLING: Final = "settling"
LONG_ENOUGH_S: Final = 720  # by then a lead of 5 % is named, also of seconds that hang together (correlation 0.8)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One figure compared. `ratio` is A over B with its interval; None where there is too little data.

    `need_s` is about how many settled seconds more would decide, None when it is decided or cannot be estimated.
    """

    metric: str
    word: Word
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    n_batches: int = 0
    need_s: float | None = None
    reason: str = ""
    holds_among: int = 0  # of so many judged at once the word would still be said; see `holm`
    note: str = ""  # what must be said with it
    level: float = 1 - ALPHA  # of the interval
    # Settled seconds that it rests on; while it settles, those since the dials moved. 0: it rests on something else.
    measured_s: int = 0
    watched: bool = True  # the interval holds at every look; else at the one look that there was, at the end
    method: int = METHOD
    state: State = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", _state(self))


def _state(verdict: Verdict) -> State:
    """It cannot tell where the lanes may not be compared, or once it has looked long enough."""
    if verdict.word == "undecided":
        if verdict.reason == SETTLING:
            return "settling"
        return "measuring" if verdict.measured_s < LONG_ENOUGH_S else "cannot_tell"
    return "cannot_tell" if verdict.word == "not comparable" else "decided"


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
    """Whether an interval allows just this word, and the word is a decision."""
    return word not in {"undecided", "not comparable"} and word_of(*interval, delta, better) == word


def better_of(metric: str) -> Better:
    """Which way is better for the figure a verdict is about: `output_tps`, `ttft_p95`, …"""
    metric_declared = METRICS.get(metric) or METRICS.get(metric.split("_", maxsplit=1)[0])
    return metric_declared.better if metric_declared is not None else "higher"


def not_comparable(metric: str, reason: str) -> Verdict:
    """No verdict on this figure, and why."""
    return Verdict(metric, "not comparable", reason=reason.removeprefix("not comparable because "))


@dataclass(frozen=True, slots=True)
class Margin:
    """δ as a share, and its source: `calibrated 2026-11-23`, `set in the profile`, `the usual one`."""

    delta: float
    source: str

    @property
    def text(self) -> str:
        """`±1.2 %, calibrated 2026-11-23`."""
        return f"±{self.delta * 100:.2g} %, {self.source}"


def margin_of(profile: Mapping[str, Any]) -> Margin:
    """The margin of a session, from the profile in its `session.toml`."""
    delta = profile.get("delta")
    if not isinstance(delta, float | int) or not 0 < delta < 1:
        return Margin(DELTA, USUAL_MARGIN)
    return Margin(float(delta), str(profile.get("delta_from") or "set in the profile"))


def widest_margin(profiles: Sequence[Mapping[str, Any]]) -> Margin:
    """The widest margin of several sessions: what is level in one of them is no lead over all."""
    margins = [margin_of(profile) for profile in profiles]
    return max(margins, key=lambda margin: margin.delta, default=margin_of({}))


HOLD_LOOKS: Final = 3


@dataclass(frozen=True, slots=True)
class Hysteresis:
    """The word on the screen, which must not flicker at the border. Start a new one with each segment.

    Another word is shown once it has held for three looks, and a word that was shown gives way to `undecided` only
    when the interval is a tenth of its width beyond the border. `not comparable` is shown at once.
    """

    shown: Word = "undecided"
    candidate: Word = "undecided"
    held: int = 0

    def look(self, verdict: Verdict, delta: float = DELTA) -> Hysteresis:
        """The state after one more look, once a second."""
        word = verdict.word
        if word in {"not comparable", self.shown} or self._holds(verdict, delta):
            kept = word if word == "not comparable" else self.shown
            return Hysteresis(kept, kept, 0)
        held = self.held + 1 if word == self.candidate else 1
        return Hysteresis(word, word, 0) if held >= HOLD_LOOKS else Hysteresis(self.shown, word, held)

    def _holds(self, verdict: Verdict, delta: float) -> bool:
        """Whether the shown word would still be said of a slightly narrower interval."""
        if verdict.word != "undecided" or verdict.low is None or verdict.high is None:
            return False
        low, high = math.log(verdict.low), math.log(verdict.high)
        slack = 0.1 * (high - low)
        return word_of(low + slack, high - slack, delta, better_of(verdict.metric)) == self.shown != "undecided"


MAX_JUDGED: Final = 1024


def holds_among(holds: Callable[[int], bool]) -> int:
    """Among how many verdicts the word still holds, at most `MAX_JUDGED`; 0 where it does not hold at all.

    `holds(n)` says whether it holds at 1 / n of the level.
    """
    if not holds(1):
        return 0
    if holds(MAX_JUDGED):
        return MAX_JUDGED
    few, many = 1, MAX_JUDGED
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (middle, many) if holds(middle) else (few, middle)
    return few


def holm(verdicts: Sequence[Verdict]) -> list[bool]:
    """For each verdict whether its word holds among all of them. One without an interval is not one of many."""
    tested = sum(verdict.ratio is not None for verdict in verdicts)
    places = [place for place, verdict in enumerate(verdicts) if verdict.ratio is not None]
    holds = [verdict.ratio is None for verdict in verdicts]
    for passed, place in enumerate(sorted(places, key=lambda place: -verdicts[place].holds_among)):
        if verdicts[place].holds_among < min(tested - passed, MAX_JUDGED):
            break
        holds[place] = True
    return holds


def throughput_verdict(  # noqa: PLR0913 - what is compared, and the rule by which
    a: Sequence[float],
    b: Sequence[float],
    *,
    delta: float = DELTA,
    alpha: float = ALPHA,
    frozen: bool = False,
    balances: Sequence[Balance] = (),
) -> Verdict:
    """Compare the tokens of each settled second of one segment, paired in time; the longer lane is cut at its end.

    `frozen`: this is the only look, so the narrower t interval holds. Else the interval holds at every look. One of
    `balances`, of the same seconds, is used where it explains enough of the noise.
    Raises ValueError unless delta > 0 and 0 < alpha < 1.
    """
    if delta <= 0 or not 0 < alpha < 1:
        raise ValueError(f"delta must be above 0 and alpha between 0 and 1, not {delta:g} and {alpha:g}")
    metric = "output_tps"
    import numpy as np

    from tui.stats.batches import BATCH_S, EARLY_SHARE, early_stretch, log_ratio, stepped, stretch

    seconds = min(len(a), len(b))
    if seconds < MIN_SETTLED_S:
        reason = f"needs {MIN_SETTLED_S} settled seconds, has {seconds}"
        return Verdict(metric, "undecided", need_s=float(MIN_SETTLED_S - seconds), reason=reason)
    lanes = [np.asarray(lane[:seconds], dtype=np.float64)[None] for lane in (a, b)]
    ratio = log_ratio(lanes[0], lanes[1], alpha, frozen=frozen, balances=balances)
    mean, error, dof = float(ratio.mean[0]), float(ratio.error[0]), float(ratio.dof[0])
    if not math.isfinite(error):
        return not_comparable(metric, f"a lane put out nothing for {BATCH_S} s")
    count = ratio.seconds // BATCH_S
    if ratio.early[0]:
        estimate = Estimate(mean, lambda _, level: error * early_stretch(dof, level), count, alpha=alpha)
        reason = f"early look at {ratio.seconds} s"
        return replace(estimate.verdict(metric, delta, reason), level=1 - alpha * EARLY_SHARE)

    def width_at(then: int, level: float) -> float:
        return error * math.sqrt(count / then) * stretch(then, stepped(dof * then / count), level, frozen)

    reason = f"{ratio.batches[0]} batches of {ratio.batch_s[0]} s"
    estimate = Estimate(mean, width_at, count, float(BATCH_S), alpha, error)
    return replace(estimate.verdict(metric, delta, reason), n_batches=int(ratio.batches[0]))


def turns_verdict(
    a: Sequence[float], b: Sequence[float], pairs: Sequence[Pair], *, delta: float = DELTA, frozen: bool = False
) -> Verdict:
    """The same of lanes that take turns: `pairs` are their blocks side by side, by the places in `a` and `b`."""
    metric = "output_tps"
    from tui.stats.turns import MIN_PAIRS, USUAL_PAIR_S, log_ratios, pairs_half_width

    count = len(pairs)
    pair_s = sum(pair.length_s for pair in pairs) / count if count else USUAL_PAIR_S
    if count < MIN_PAIRS:
        reason = f"needs {MIN_PAIRS} turns of each lane side by side, has {count}"
        return Verdict(metric, "undecided", n_batches=count, need_s=(MIN_PAIRS - count) * pair_s, reason=reason)
    ratios = log_ratios(pairs, a, b)
    mean = float(ratios.mean())
    if not math.isfinite(mean):
        return not_comparable(metric, "a lane put out nothing in a whole turn")

    def width_at(count: int, level: float) -> float:
        return pairs_half_width(ratios, count, level, frozen=frozen)

    reason = f"{count} pairs of turns, {pair_s / 2:.0f} s of each lane"
    error = float(ratios.std(ddof=1)) / math.sqrt(count)
    return Estimate(mean, width_at, count, pair_s, error=error).verdict(metric, delta, reason)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A log ratio of A over B, known from `batches` batches.

    `width_at(count, alpha)` is half of its interval after so many batches at level 1 - alpha. `batch_s` is how long
    one takes, None where no more will come; `error` is the standard error after these batches.
    """

    mean: float
    width_at: Callable[[int, float], float]
    batches: int
    batch_s: float | None = None
    alpha: float = ALPHA
    error: float = math.nan

    def verdict(self, metric: str, delta: float, reason: str) -> Verdict:
        """What it says of a figure."""
        better = better_of(metric)
        low, high = self._ends(self.alpha)
        word = word_of(low, high, delta, better)
        among = holds_among(lambda many: said(word, self._ends(self.alpha / many), delta, better))
        ratio, low, high = math.exp(self.mean), math.exp(low), math.exp(high)
        return Verdict(metric, word, ratio, low, high, self.batches, self._need_s(delta), reason, among)

    def _ends(self, level: float) -> tuple[float, float]:
        half = self.width_at(self.batches, level)
        return self.mean - half, self.mean + half

    def _need_s(self, delta: float) -> float | None:
        if self.batch_s is None or not math.isfinite(self.error):
            return None
        half = self.width_at(self.batches, self.alpha)
        if word_of(self.mean - half, self.mean + half, delta) != "undecided":
            return None
        need = batches_needed(
            self.mean, self.error, self.batches, lambda count: self.width_at(count, self.alpha), math.log1p(delta)
        )
        return None if need is None else float(need * self.batch_s)


WITHIN: Final = 1.5  # what is said of the time still needed is right within this factor …
SURE: Final = 0.85  # … in so many of the courses that the figures may take; in 80 % of runs, as the noise is a guess
_COURSES: Final = 256
_NEXT_LOOKS: Final = 30  # of which each is foreseen, and from there on steps of 7 %
_FARTHEST: Final = 60


def batches_needed(
    mean: float, error: float, batches: int, width_at: Callable[[int], float], border: float
) -> int | None:
    """How many batches more until a word is said of a log ratio, where that can be foreseen; else None.

    The true ratio lies about `mean` with the standard error after `batches` of them, so that the mean of more is a
    martingale whose variance grows by the difference of the squares of both errors: courses of it are drawn, and
    the number is that which most of them lie within a factor of 1.5 of.
    """
    import numpy as np

    counts = batches + np.array(_looks_ahead())
    before = np.concatenate(([batches], counts[:-1]))
    steps = error * np.sqrt(batches * (1 / before - 1 / counts))
    shocks = np.random.default_rng(1).standard_normal((_COURSES, len(counts)))
    means = np.abs(mean + np.cumsum(steps * shocks, axis=1))
    widths = np.array([width_at(int(count)) for count in counts])
    decided = ((means > widths) & (means > border)) | (means + widths < border)
    first = np.where(decided.any(axis=1), (counts - batches)[decided.argmax(axis=1)], np.inf)
    tries = np.unique(first[np.isfinite(first)])
    if not tries.size:
        return None
    tries = np.unique(np.ceil(np.concatenate((tries, tries * WITHIN))))
    right = ((first * WITHIN >= tries[:, None]) & (first <= tries[:, None] * WITHIN)).mean(axis=1)
    return int(tries[right.argmax()]) if right.max() >= SURE else None


@lru_cache(maxsize=1)
def _looks_ahead() -> tuple[int, ...]:
    looks = list(range(1, _NEXT_LOOKS + 1))
    while len(looks) < _FARTHEST:
        looks.append(math.ceil(looks[-1] * 1.07))
    return tuple(looks)


LEAST_NOISE_S: Final = 80
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
    was too short.
    """
    seconds = min(len(a), len(b))
    if seconds < LEAST_NOISE_S:
        reason = f"needs {LEAST_NOISE_S} settled seconds, has {seconds}"
        raise UserError(f"no noise floor can be estimated: the run {reason}; run it longer")
    verdict = throughput_verdict(a, b, frozen=True)
    if verdict.ratio is None or verdict.low is None or verdict.high is None:
        raise UserError(f"no noise floor can be estimated: the run {verdict.reason}; run it longer")
    delta = math.expm1(max(-math.log(verdict.low), math.log(verdict.high)))
    return Noise(max(delta, LEAST_DELTA), verdict.ratio, verdict.low, verdict.high, seconds)
