"""The ratio of two lanes' throughput from paired batches of seconds, and how far it can be off.

Batches, because seconds are correlated: a t-test on seconds at lag-1 correlation 0.8 calls two equal lanes different
in half of all runs. A confidence sequence, because an operator watches and stops when he likes what he sees.

Everything here takes many runs at once (runs, seconds), so that tests can simulate what it promises.

Lanes that take turns (A B B A …): never measured in the same second, they are compared block by block.

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
from tui.stats.distributions import normal_quantile, t_quantile

Floats = NDArray[np.float64]

BATCH_S: Final = 20
MIN_BATCHES: Final = 4
# Where the sequence is tightest: 0.9 makes it so at about 6 batches, two minutes, when an operator wants an answer.
_RHO: Final = 0.9
# Batches hold at least 1.25 correlation times; what still correlates is mended by `_bias`. Five correlation times
# and no mending keeps the same promise (94 % at correlation 0.8) but finds a 10 % lead within five minutes in 81 %
# of runs, this one in 96 %.
_TIMES: Final = 1.25
# Overlapping batches estimate the variance as well as 1.5 times as many disjoint ones (Meketon & Schmeiser 1984); the
# correlation within them takes part of it back. By simulation 1.25 keeps four batches at 95 %.
_DOF: Final = 1.25


@dataclass(frozen=True, slots=True)
class LogRatio:
    """The natural logarithm of A's throughput over B's, one value a run; nan where there is too little data."""

    mean: Floats
    sd: Floats  # of one batch, mended for correlation
    half_width: Floats
    batches: NDArray[np.int64]
    batch_s: NDArray[np.int64]


def stretch(batches: int, dof: float, alpha: float, frozen: bool) -> float:
    """How many standard errors the interval at level 1 - alpha reaches to each side after `batches` batches of 20 s.

    `frozen`: Student's t, right for one look. Else the asymptotic confidence sequence of Waudby-Smith, Arbour,
    Sinha, Kennedy and Ramdas (Annals of Statistics 52, 2024), right for every look there will ever be, times t / z
    because the standard error is estimated with `dof` degrees of freedom.
    """
    t = t_quantile(1 - alpha / 2, dof)
    if frozen:
        return t
    spread = batches * _RHO**2
    sequence = math.sqrt(2 * (spread + 1) / spread * math.log(math.sqrt(spread + 1) / alpha))
    return sequence * t / normal_quantile(1 - alpha / 2)


def half_width(sd: Floats | float, batches: int, alpha: float, frozen: bool) -> Floats | float:
    """Half of the interval for the mean of `batches` batches that deviate by `sd`; see `stretch`."""
    return sd / math.sqrt(batches) * stretch(batches, _DOF * (batches - 1), alpha, frozen)


def correlation_time(series: Floats) -> Floats:
    """Integrated autocorrelation time of each row of (runs, n), in samples, at least 1.

    1 + 2 Σ ρ(lag) up to the first lag that is five times the sum so far: Sokal's automatic window (1997).
    """
    n = series.shape[1]
    centred = series - series.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(centred, 2 * n, axis=1)
    covariance = np.fft.irfft(spectrum * spectrum.conj(), 2 * n, axis=1)[:, : max(min(n // 2, 3 * BATCH_S), 1)]
    variance = covariance[:, :1]
    rho = np.divide(covariance, variance, out=np.zeros_like(covariance), where=variance > 0)
    so_far = 2 * np.cumsum(rho, axis=1) - 1
    far_enough = np.arange(so_far.shape[1]) >= 5 * so_far
    far_enough[:, -1] = True
    chosen: Floats = so_far[np.arange(len(so_far)), far_enough.argmax(axis=1)]
    return np.maximum(chosen, 1.0)


def log_ratio(a: Floats, b: Floats, alpha: float = 0.05, *, frozen: bool = False) -> LogRatio:
    """ln(A/B) from the tokens of each second (runs, seconds), paired in time.

    Only whole batches of 20 s are looked at, so that looking every second is looking every 20 s.
    """
    runs = a.shape[0]
    units = a.shape[1] // BATCH_S
    mean, sd, width = (np.full(runs, np.nan) for _ in range(3))
    joined = np.ones(runs, dtype=np.int64)
    if units >= MIN_BATCHES:
        a, b = a[:, : units * BATCH_S], b[:, : units * BATCH_S]
        times = correlation_time(_relative(a) - _relative(b))
        wanted = np.ceil(_TIMES * times / BATCH_S).astype(np.int64)
        joined = np.minimum(wanted, units // MIN_BATCHES)
        for size in np.unique(joined):
            same = joined == size
            mean[same], sd[same] = _batched(a[same], b[same], int(size) * BATCH_S, times[same], frozen)
            width[same] = half_width(sd[same], int(units // size), alpha, frozen)
    return LogRatio(mean, sd, width, units // joined, joined * BATCH_S)


def _relative(tokens: Floats) -> Floats:
    mean = tokens.mean(axis=1, keepdims=True)
    relative: Floats = np.divide(tokens, mean, out=np.zeros_like(tokens), where=mean > 0)
    return relative


def _batched(a: Floats, b: Floats, batch_s: int, times: Floats, frozen: bool) -> tuple[Floats, Floats]:
    """Mean of the log ratios of batches side by side; their deviation from those of all overlapping batches."""
    count = a.shape[1] // batch_s
    seconds = count * batch_s
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.log(_sums(a[:, :seconds], batch_s)) - np.log(_sums(b[:, :seconds], batch_s))
        mean = ratios[:, ::batch_s].mean(axis=1)
        squares = ((ratios - mean[:, None]) ** 2).sum(axis=1)
        variance = squares * count / ((count - 1) * (seconds - batch_s + 1))
        # Mended in full, the sequence keeps 93.5 % at correlation 0.8 but finds a 10 % lead within five minutes in
        # only 95.0 % of runs; the square root gives 93 and 96.5 %. One look, the t interval, needs all of it.
        mended = variance * _bias(times, batch_s) ** (1.0 if frozen else 0.5)
        return mean, np.sqrt(mended)


def _sums(tokens: Floats, batch_s: int) -> Floats:
    """The sum of every `batch_s` seconds on end."""
    total = np.concatenate((np.zeros((tokens.shape[0], 1)), np.cumsum(tokens, axis=1)), axis=1)
    sums: Floats = total[:, batch_s:] - total[:, :-batch_s]
    return sums


def _bias(times: Floats, batch_s: int) -> Floats:
    """How much the variance of batch means understates that of the mean, for AR(1) seconds of that correlation time.

    Var(batch mean) = σ²/n (τ - 2φ(1 - φⁿ) / (n (1 - φ)²)) with φ = (τ - 1) / (τ + 1), against σ²τ/n.
    """
    phi = (times - 1) / (times + 1)
    return times / (times - 2 * phi * (1 - phi**batch_s) / (batch_s * (1 - phi) ** 2))


SECTIONS: Final = 10


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with standard deviation and 95 % interval; the interval is None of fewer than two values."""

    mean: float
    sd: float
    low: float | None
    high: float | None
    n: int


def mean_of(values: Floats) -> Mean:
    """Mean, deviation and 95 % interval of values (n,) in order of time.

    From 20 values on the interval is of the means of ten sections, because requests that overlap are correlated. That
    of values of which none is negative does not reach below 0, where their mean cannot lie.
    """
    if not values.size:
        return Mean(math.nan, math.nan, None, None, 0)
    mean = float(values.mean())
    if values.size < 2:
        return Mean(mean, 0.0, None, None, 1)
    parts = np.array([part.mean() for part in np.array_split(values, SECTIONS)]) if values.size >= 20 else values
    half = float(parts.std(ddof=1)) / math.sqrt(parts.size) * t_quantile(0.975, parts.size - 1)
    low = mean - half if values.min() < 0 else max(mean - half, 0.0)
    return Mean(mean, float(values.std(ddof=1)), low, mean + half, int(values.size))


def rate_of(values: Floats) -> Mean:
    """The same of one lane's seconds (n,), which are correlated: the interval is that of its batches.

    There is none of fewer than 80 seconds: ten sections of 30 s at correlation 0.8 cover in 69 % of runs.
    """
    if values.size < BATCH_S * MIN_BATCHES or values.min() < 0:
        plain = mean_of(values)
        return Mean(plain.mean, plain.sd, None, None, plain.n)
    mean = float(values.mean())
    half = float(log_ratio(values[None], np.ones((1, values.size)), frozen=True).half_width[0])
    if not math.isfinite(half):
        return Mean(mean, float(values.std(ddof=1)), None, None, values.size)
    return Mean(mean, float(values.std(ddof=1)), mean * math.exp(-half), mean * math.exp(half), values.size)


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
