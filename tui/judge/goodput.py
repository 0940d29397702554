"""Goodput: requests a second that met every limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, cast

import numpy as np
import polars as pl

from tui.model.metrics import MLPERF_LIMITS_MS
from tui.model.text import UserError
from tui.stats.distributions import Met, share_met, wilson
from tui.stats.turns import Pair
from tui.stats.verdict import DELTA, Verdict, Word, throughput_verdict, turns_verdict

DEFAULT_SHARE: Final = 0.99
DECIDES_ALONE: Final = 20  # good requests against none: 20 to 0 has a chance of 2 in a million between equals


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a request may take; None is no limit."""

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    e2e_ms: float | None = None

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return any(getattr(self, field.name) is not None for field in fields(self))


@dataclass(frozen=True, slots=True)
class Goodput:
    """How many of the requests of one lane met every limit."""

    good: int
    total: int  # ended well or failed; not those cut off by the end
    per_s: float
    share: float | None
    low: float
    high: float
    met: Met  # of `DEFAULT_SHARE` of all requests, at 99 % confidence


PRESETS: Final[Mapping[str, Limits]] = {name: Limits(*both) for name, both in MLPERF_LIMITS_MS.items()}
_NAMES: Final = {"ttft": "ttft_ms", "tpot": "tpot_ms", "e2e": "e2e_ms", "e2el": "e2e_ms"}


def parse_limits(text: str) -> Limits:
    """Read `ttft:500 tpot:30` (milliseconds; the field's `--goodput`) or the name of a preset.

    Raises UserError that says what is wrong with it.
    """
    if text.strip() in PRESETS:
        return PRESETS[text.strip()]
    limits = Limits()
    for part in text.replace(",", " ").split():
        name, colon, number = part.partition(":")
        if name not in _NAMES or not colon:
            known = ", ".join(PRESETS)
            raise UserError(f"{part!r} is no limit: write ttft:500 tpot:30 e2e:2000 in ms, or a preset: {known}")
        try:
            value = float(number)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise UserError(f"the limit {part!r} needs a number of milliseconds above 0 after the colon")
        limits = replace(limits, **{_NAMES[name]: value})
    if not limits.any:
        raise UserError("no limit given: write for example ttft:500 tpot:30")
    return limits


def limits_of(profile: Mapping[str, Any]) -> Limits | None:
    """Those of a session, from the profile in its `session.toml`; None where it has none."""
    slo = profile.get("slo") or {}
    limits = Limits(*(slo.get(field.name) for field in fields(Limits)))
    return limits if limits.any else None


def good(limits: Limits) -> pl.Expr:
    """Whether a row of `requests` ended well within every limit. One of a single chunk has no TPOT and meets its."""
    start = pl.col("t_send_ns")
    more = pl.col("output_tokens") - pl.col("k_first")
    met = pl.col("outcome") == "ok"
    if limits.ttft_ms is not None:
        met &= pl.col("t_first_ns") - start <= limits.ttft_ms * 1e6
    if limits.e2e_ms is not None:
        met &= pl.col("t_last_ns") - start <= limits.e2e_ms * 1e6
    if limits.tpot_ms is not None:
        met &= (more <= 0) | (pl.col("t_last_ns") - pl.col("t_first_ns") <= limits.tpot_ms * 1e6 * more)
    return met.fill_null(value=False)


def goodput(requests: pl.DataFrame, limits: Limits, at_s: Sequence[float]) -> Goodput:
    """Goodput of one lane's rows of `requests`. The rate is of those that ended in the seconds that begin `at_s`: of
    a lane that takes turns its own ones.
    """
    counted = requests.filter(pl.col("outcome") != "cancelled")
    met = int(counted.select(good(limits).sum()).item() or 0)
    low, high = wilson(met, counted.height)
    return Goodput(
        good=met,
        total=counted.height,
        per_s=sum(good_in(requests, limits, at_s)) / len(at_s) if at_s else 0.0,
        share=met / counted.height if counted.height else None,
        low=low,
        high=high,
        met=share_met(counted.height - met, counted.height, DEFAULT_SHARE),
    )


def good_in(requests: pl.DataFrame, limits: Limits, at_s: Sequence[float]) -> list[float]:
    """How many of one lane's requests ended within every limit in each of the seconds that begin `at_s`."""
    seconds = np.asarray(at_s)
    ends_s = requests.filter(good(limits))["t_end_ns"].to_numpy() / 1e9
    places = np.searchsorted(seconds, ends_s, side="right") - 1
    inside = places[(places >= 0) & (ends_s - seconds[np.maximum(places, 0)] < 1)] if seconds.size else places[:0]
    found: list[float] = np.bincount(inside, minlength=seconds.size).astype(float).tolist()
    return found


def goodput_verdict(
    a: Sequence[float],
    b: Sequence[float],
    *,
    delta: float = DELTA,
    frozen: bool = False,
    pairs: Sequence[Pair] | None = None,
) -> Verdict:
    """Compare the good requests of each settled second, as `throughput_verdict` does tokens.

    A lane of which no request met the limits has no ratio: the other is ahead once `DECIDES_ALONE` of its own did.
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
        found = turns_verdict(a, b, pairs, delta=delta, frozen=frozen)
    else:
        found = throughput_verdict(a, b, delta=delta, frozen=frozen)
    found = replace(found, metric="goodput")
    if found.word == "not comparable":
        return replace(found, word="undecided", reason="too few requests met the limits")
    return found
