"""The ratio of two lanes' throughput from paired batches of seconds, and how far it can be off.

Batches, because seconds are correlated: a t-test on seconds at lag-1 correlation 0.8 calls two equal lanes different
in half of all runs. A confidence sequence, because an operator watches and stops when he likes what he sees.

Everything here takes many runs at once (runs, seconds), so that tests can simulate what it promises.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tui.stats.distributions import normal_quantile, t_quantile

Floats = NDArray[np.float64]

BATCH_S: Final = 20
MIN_BATCHES: Final = 4
EARLY_LOOKS_S: Final = (20, 30, 40, 60, 80, 100)  # before there are four batches
# Of the error, to each early look: 0.25 % of 5 %. So few seconds hardly show how strongly they correlate: they are
# taken to do so as strongly as they may, three standard errors above what they show, and by 0.8 at most. Two equal
# lanes at correlation 0.8 then get a winner from an early look in 0.3 % of runs, and a lead of 25 % is named within
# 60 s in 93 %.
EARLY_SHARE: Final = 1 / 20
_EARLY_ERRORS: Final = 3.0
_EARLY_PHI: Final = 0.8
# Batches hold at least 1.25 correlation times, and there are 18 at most: a level that wanders slowly shows in
# long batches alone.
_TIMES: Final = 1.25
_MOST_BATCHES: Final = 18
# An autoregression is believed within half a standard error of the variance that batches give.
_AGREES: Final = 0.5
# Overlapping batches estimate the variance as well as 1.5 times as many disjoint ones (Meketon & Schmeiser 1984); the
# correlation within them takes part of it back. By simulation 1.25 keeps four batches at 95 %.
_DOF: Final = 1.25
# The boundary of a sequence, in standard errors, by seconds: wide while few batches say how noisy a lane is, narrow
# from four to twelve minutes, when an operator waits for a small lead, then widening so that its error stays finite
# however long one looks (the chance to cross falls with the square of the logarithm of time).
_FIRST_STRETCH: Final = 3.4
_STRETCH: Final = 2.8
_WIDE_UNTIL_S: Final = 240
_NARROW_UNTIL_S: Final = 720


@dataclass(frozen=True, slots=True)
class LogRatio:
    """The natural logarithm of A's throughput over B's, one value a run; nan where there is too little data."""

    mean: Floats
    error: Floats  # standard error of the mean
    dof: Floats  # degrees of freedom with which it is known
    half_width: Floats
    batches: NDArray[np.int64]
    batch_s: NDArray[np.int64]
    early: NDArray[np.bool_]  # whether the interval is that of an early look, at its own level
    seconds: int  # at the last look


def looked_at(seconds: int) -> int:
    """How many of so many seconds the last look saw; 0 before the first. Looking every second adds nothing."""
    if seconds >= BATCH_S * MIN_BATCHES:
        return seconds // BATCH_S * BATCH_S
    return max((look for look in EARLY_LOOKS_S if look <= seconds), default=0)


def stretch(batches: float, dof: float, alpha: float, frozen: bool) -> float:
    """How many standard errors the interval at level 1 - alpha reaches to each side after `batches` batches of 20 s.

    `frozen`: Student's t, right for one look. Else a boundary that a Brownian motion seen every 20 s crosses with
    probability alpha, however long it is seen, times t / z because the standard error is estimated with `dof` degrees
    of freedom.
    """
    t = t_quantile(1 - alpha / 2, dof)
    return t if frozen else _boundary(batches * BATCH_S, alpha) * t / normal_quantile(1 - alpha / 2)


@lru_cache(maxsize=4096)
def _boundary(seconds: float, alpha: float) -> float:
    early = max(0.0, 1 - (seconds - BATCH_S * MIN_BATCHES) / (_WIDE_UNTIL_S - BATCH_S * MIN_BATCHES))
    late = math.log1p(math.log(max(seconds / _NARROW_UNTIL_S, 1.0)))
    usual = math.sqrt((_STRETCH + (_FIRST_STRETCH - _STRETCH) * early) ** 2 + 4 * late)
    # The chance to cross c is about proportional to c φ(c) (Siegmund, Sequential Analysis, 1985, chapter 4).
    stretched = usual
    for _ in range(8):
        squared = usual**2 + 2 * math.log(0.05 / alpha) + 2 * math.log(stretched / usual)
        stretched = math.sqrt(max(squared, 0.25))
    return stretched


def early_stretch(dof: float, alpha: float) -> float:
    """The same of one of the early looks, whose level is 1 - alpha / 20."""
    return t_quantile(1 - alpha * EARLY_SHARE / 2, dof)


def stepped(dof: float) -> float:
    """Down to a step of a twentieth, so that few quantiles need to be computed."""
    return math.exp(math.floor(20 * math.log(max(dof, 1.0))) / 20)


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


def log_ratio(
    a: Floats, b: Floats, alpha: float = 0.05, *, frozen: bool = False, balances: Sequence[Balance] = ()
) -> LogRatio:
    """ln(A/B) from the tokens of each second (runs, seconds), paired in time, at the last look.

    `balances` (of the same seconds) explain part of the noise; they are used from the first look of the sequence on,
    where they narrow the interval. What one run was worth at its last look is remembered until the next.
    """
    seconds = looked_at(a.shape[1])
    if a.shape[0] > 1 or not seconds:
        return _log_ratio(a, b, alpha, frozen, balances)
    cut = [balance.until(seconds) for balance in balances]
    rows = [a[:, :seconds], b[:, :seconds], *(count for each in cut for count in (*each.a, *each.b))]
    return _of_one_run(tuple(row.astype(np.float64).tobytes() for row in rows), alpha, frozen)


@lru_cache(maxsize=16)
def _of_one_run(rows: tuple[bytes, ...], alpha: float, frozen: bool) -> LogRatio:
    """`rows`: the tokens of both lanes, then four counts for each balance."""
    a, b, *counts = (np.frombuffer(row)[None] for row in rows)
    fours = zip(*(counts[at::4] for at in range(4)), strict=True)
    return _log_ratio(a, b, alpha, frozen, [Balance((one, two), (three, four)) for one, two, three, four in fours])


def _log_ratio(a: Floats, b: Floats, alpha: float, frozen: bool, balances: Sequence[Balance]) -> LogRatio:
    runs, seconds = a.shape[0], looked_at(a.shape[1])
    if not seconds:
        nothing = np.full(runs, np.nan)
        ones = np.ones(runs, dtype=np.int64)
        return LogRatio(nothing, nothing, nothing, nothing, ones, ones * BATCH_S, ones > 0, 0)
    a, b = a[:, :seconds], b[:, :seconds]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.log(a.mean(axis=1)) - np.log(b.mean(axis=1))
    noise = _relative(a) - _relative(b)
    known = _at_most_correlated(noise)
    width = known.half_width(early_stretch, alpha)
    early: NDArray[np.bool_] = np.ones(runs, dtype=np.bool_)
    if seconds >= BATCH_S * MIN_BATCHES:
        before, early_width = (mean, known), width
        known = _known(noise)
        if balances:
            mean, known = _balanced(noise, mean, known, [balance.until(seconds) for balance in balances])
        width = known.half_width(lambda dof, level: stretch(seconds / BATCH_S, dof, level, frozen), alpha)
        early = np.asarray(early_width < width)
        if frozen or seconds > EARLY_LOOKS_S[-1]:
            early[:] = False
        mean, width = np.where(early, before[0], mean), np.where(early, early_width, width)
        known = known.or_else(before[1], early)
    stalled = _stalled(a) | _stalled(b)
    error, width = (np.where(stalled, np.nan, value) for value in (np.sqrt(known.variance), width))
    return LogRatio(mean, error, known.dof, width, known.batches, known.batch_s, early, seconds)


def _relative(tokens: Floats) -> Floats:
    mean = tokens.mean(axis=1, keepdims=True)
    relative: Floats = np.divide(tokens, mean, out=np.zeros_like(tokens), where=mean > 0)
    return relative


def _stalled(tokens: Floats) -> NDArray[np.bool_]:
    """Whether a lane put out nothing for the time of a batch."""
    return np.asarray(_sums(tokens, BATCH_S).min(axis=1) <= 0)


def _sums(tokens: Floats, batch_s: int) -> Floats:
    """The sum of every `batch_s` seconds on end."""
    total = np.concatenate((np.zeros((tokens.shape[0], 1)), np.cumsum(tokens, axis=1)), axis=1)
    sums: Floats = total[:, batch_s:] - total[:, :-batch_s]
    return sums


@dataclass(frozen=True, slots=True)
class _Known:
    """The variance of the mean of seconds, each value a run, and with how many degrees of freedom it is known."""

    variance: Floats
    dof: Floats
    batches: NDArray[np.int64]
    batch_s: NDArray[np.int64]

    def or_else(self, other: _Known, chosen: NDArray[np.bool_]) -> _Known:
        """The other where it is chosen."""
        return _Known(
            np.where(chosen, other.variance, self.variance),
            np.where(chosen, other.dof, self.dof),
            np.where(chosen, other.batches, self.batches),
            np.where(chosen, other.batch_s, self.batch_s),
        )

    def half_width(self, stretched: Callable[[float, float], float], alpha: float = 0.05) -> Floats:
        """So many standard errors, which depend on the degrees of freedom."""
        by_dof = {dof: stretched(dof, alpha) for dof in set(self.dof.tolist())}
        width: Floats = np.sqrt(self.variance) * np.array([by_dof[dof] for dof in self.dof.tolist()])
        return width


def _t(dof: float, alpha: float) -> float:
    return t_quantile(1 - alpha / 2, dof)


def _at_most_correlated(noise: Floats) -> _Known:
    """Of few seconds. By simulation n / 3 - 1 degrees of freedom keep the level of each look."""
    runs, seconds = noise.shape
    squares, lag_1, phi = _lag_1(noise)
    phi = np.clip(phi + _EARLY_ERRORS * np.sqrt(np.maximum(1 - lag_1**2, 0) / seconds), 0, _EARLY_PHI)
    times = (1 + phi) / (1 - phi)
    batches = np.full(runs, seconds // BATCH_S)
    variance = squares / (seconds - times) * times / seconds
    return _Known(variance, np.full(runs, seconds / 3 - 1), batches, np.full(runs, BATCH_S))


def _lag_1(noise: Floats) -> tuple[Floats, Floats, Floats]:
    """The sum of squares, the correlation of seconds next to each other, and that without its bias.

    The bias is -(1 + 3φ) / n (Marriott & Pope 1954).
    """
    squares = (noise**2).sum(axis=1)
    products = (noise[:, 1:] * noise[:, :-1]).sum(axis=1)
    lag_1 = np.divide(products, squares, out=np.zeros_like(squares), where=squares > 0)
    return squares, lag_1, lag_1 + (1 + 3 * np.maximum(lag_1, 0)) / noise.shape[1]


def _known(noise: Floats, fitted: int = 0) -> _Known:
    """Of seconds (runs, n) of mean 0 to which `fitted` coefficients were fitted.

    As of a first-order autoregression, which needs two numbers only, as far as the deviation of batches agrees. It
    alone would be wrong for seconds that wander slowly or come in steps, and batches alone know too little: by
    simulation at correlation 0.8 the sequence then covers in 92 % of runs instead of 94.
    """
    by_batches = _of_batches(noise, fitted)
    variance, dof = _of_autoregression(noise)
    within = 1 + _AGREES * np.sqrt(2 / by_batches.dof)
    clipped = np.clip(variance, by_batches.variance / within, by_batches.variance * within)
    dof = np.where(clipped == variance, np.maximum(dof - fitted, 1.0), by_batches.dof)
    return _Known(clipped, np.vectorize(stepped)(dof), by_batches.batches, by_batches.batch_s)


def variance_of_mean(noise: Floats) -> tuple[float, float]:
    """Of at least 80 seconds (n,) of mean 0, from batches alone, with the degrees of freedom with which it is known.

    For noise that is no autoregression, as of streams that prefill together again and again.
    """
    known = _of_batches(noise[None], 0)
    return float(known.variance[0]), stepped(float(known.dof[0]))


def _of_autoregression(noise: Floats) -> tuple[Floats, Floats]:
    """σ² τ / n with τ = (1 + φ) / (1 - φ); degrees of freedom from the errors of σ² and φ (delta method)."""
    n = noise.shape[1]
    squares, _, phi = _lag_1(noise)
    phi = np.clip(phi, 0, 0.97)
    times = (1 + phi) / (1 - phi)
    variance = squares / np.maximum(n - times, n / 2) * times / n
    relative = (2 * (1 + phi**2) + 4) / (n * (1 - phi**2))
    return variance, np.maximum(2 / relative, 2.0)


def _of_batches(noise: Floats, fitted: int) -> _Known:
    """From the deviation of the means of all overlapping batches."""
    runs, seconds = noise.shape
    times = correlation_time(noise)
    wanted = np.ceil(np.maximum(_TIMES * times, seconds / _MOST_BATCHES) / BATCH_S).astype(np.int64)
    joined = np.minimum(wanted, seconds // BATCH_S // MIN_BATCHES)
    variance = np.empty(runs)
    for size in np.unique(joined).tolist():
        same = joined == size
        variance[same] = _overlapping(noise[same], size * BATCH_S) * _bias(times[same], size * BATCH_S)
    dof = _DOF * (seconds / (joined * BATCH_S) - 1)
    left = np.maximum(dof - fitted, 1.0)
    return _Known(variance * dof / left, left, seconds // (joined * BATCH_S), joined * BATCH_S)


def _overlapping(noise: Floats, batch_s: int) -> Floats:
    """The variance of the mean, from all batches of that length."""
    means = _sums(noise, batch_s) / batch_s
    count = noise.shape[1] / batch_s
    variance: Floats = (means**2).mean(axis=1) / (count - 1)
    return variance


def _bias(times: Floats, batch_s: int) -> Floats:
    """How much the variance of batch means understates that of the mean, for AR(1) seconds of that correlation time.

    Var(batch mean) = σ²/n (τ - 2φ(1 - φⁿ) / (n (1 - φ)²)) with φ = (τ - 1) / (τ + 1), against σ²τ/n.
    """
    phi = (times - 1) / (times + 1)
    return times / (times - 2 * phi * (1 - phi**batch_s) / (batch_s * (1 - phi) ** 2))


# One balance is used at most: that which explains most of the noise of 5 s, and at least this share of it. Chosen by
# the width of the interval, which is itself an estimate, the luckiest would win: by simulation at correlation 0.8 the
# sequence then covers in 90 % of runs, and so in 93 %.
_EXPLAINED: Final = 0.35
_NOT_WIDER: Final = 1.25
_LIKELY: Final = 3.0  # standard errors that a balance may be off
_EXPLAINED_S: Final = 5


@dataclass(frozen=True, slots=True)
class Balance:
    """Two counts of a lane's seconds that are equal in the long run, as tokens put out and those of ended answers.

    What one exceeds the other by is noise that is known, and what of the tokens goes with it can be taken out: a
    control variate, whose mean is known to be 0. Each array is (runs, seconds) or (seconds,).
    """

    a: tuple[Floats, Floats]
    b: tuple[Floats, Floats]

    def until(self, seconds: int) -> Balance:
        """Of the first seconds."""
        cut = [tuple(np.atleast_2d(count)[:, :seconds] for count in lane) for lane in (self.a, self.b)]
        return Balance((cut[0][0], cut[0][1]), (cut[1][0], cut[1][1]))

    @property
    def noise(self) -> Floats:
        """By how much it is off in each second, of mean 0."""
        a, b = ([_relative(count) for count in lane] for lane in (self.a, self.b))
        noise: Floats = a[0] - a[1] - b[0] + b[1]
        return noise

    @property
    def mean(self) -> Floats:
        """By how much it is off in all, as a logarithm; nan where a count is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            a, b = ([np.log(count.mean(axis=1)) for count in lane] for lane in (self.a, self.b))
            mean: Floats = a[0] - a[1] - b[0] + b[1]
        return np.where(np.isfinite(mean), mean, np.nan)


def _balanced(noise: Floats, mean: Floats, known: _Known, balances: Sequence[Balance]) -> tuple[Floats, _Known]:
    """Mean and variance with the best balance taken out in the runs where it is worth it."""
    fits = [_Fit.of(noise, balance) for balance in balances]
    explained = np.array([fit.explained for fit in fits])
    best, runs = explained.argmax(axis=0), np.arange(len(noise))
    worth = explained[best, runs] >= _EXPLAINED
    if not worth.any():
        return mean, known
    rest = (
        noise
        - np.where(worth, np.array([fit.share for fit in fits])[best, runs], 0.0)[:, None]
        * np.array([fit.noise for fit in fits])[best, runs]
    )
    less = _known(rest, 1)
    less = replace(less, variance=less.variance * (1 + np.array([fit.leverage for fit in fits])[best, runs]))
    worth &= less.half_width(_t) < _NOT_WIDER * known.half_width(_t)
    off = np.array([fit.share * fit.mean for fit in fits])[best, runs]
    return np.where(worth, mean - off, mean), known.or_else(less, worth)


@dataclass(frozen=True, slots=True)
class _Fit:
    """The noise of tokens as far as that of a balance explains it: the share of the latter that is in the former."""

    noise: Floats  # of the balance
    mean: Floats
    share: Floats
    explained: Floats  # of the variance; 0 where a count of the balance is 0
    leverage: Floats  # how much the error of `share` adds to the variance of the mean

    @classmethod
    def of(cls, noise: Floats, balance: Balance) -> _Fit:
        tokens, other = (_sums(one, _EXPLAINED_S) / _EXPLAINED_S for one in (noise, balance.noise))
        both, squares, all_squares = (
            (x * y).mean(axis=1) for x, y in ((tokens, other), (other, other), (tokens, tokens))
        )
        off = balance.mean
        # A count that says the same differently in both lanes, as a server that counts another prompt than was asked.
        likely = np.abs(off) <= _LIKELY * np.sqrt(_known(balance.noise).variance)
        known = np.isfinite(off) & likely & (squares > 0) & (all_squares > 0)
        share, off = np.divide(both, squares, out=np.zeros_like(both), where=known), np.nan_to_num(off)
        explained = np.divide(share * both, all_squares, out=np.zeros_like(both), where=known)
        leverage = np.divide(off**2, squares, out=np.zeros_like(off), where=known)
        return cls(balance.noise, off, share, explained, leverage)


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
