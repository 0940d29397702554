"""Goodput: requests a second that met every limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final, cast

import polars as pl

from tui.analysis.fractions import Met, share_met, wilson
from tui.analysis.turns import Pair
from tui.analysis.verdict import DELTA, Verdict, Word, throughput_verdict, turns_verdict
from tui.records.errors import UserError

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


# Of the server scenario, at the 99th percentile: MLPerf Inference, loadgen/mlperf.conf.
PRESETS: Final[Mapping[str, Limits]] = {
    "llama2-70b": Limits(2000, 200),
    "llama2-70b-interactive": Limits(450, 40),
    "llama3.1-8b": Limits(2000, 100),
    "llama3.1-8b-interactive": Limits(500, 30),
    "llama3.1-405b": Limits(6000, 175),
    "llama3.1-405b-interactive": Limits(4500, 80),
    "deepseek-r1": Limits(2000, 80),
    "deepseek-r1-interactive": Limits(1500, 15),
    "gpt-oss-120b": Limits(3000, 80),
}
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


def good(limits: Limits, *, from_due: bool = False) -> pl.Expr:
    """Whether a row of `requests` ended well within every limit.

    `from_due`: TTFT and E2E run from when the request was due, which is right when requests come at a rate. A
    request of one chunk has no TPOT and meets its limit.
    """
    start = pl.col("t_sched_ns") if from_due else pl.col("t_send_ns")
    more = pl.col("output_tokens") - pl.col("k_first")
    met = pl.col("outcome") == "ok"
    if limits.ttft_ms is not None:
        met &= pl.col("t_first_ns") - start <= limits.ttft_ms * 1e6
    if limits.e2e_ms is not None:
        met &= pl.col("t_last_ns") - start <= limits.e2e_ms * 1e6
    if limits.tpot_ms is not None:
        met &= (more <= 0) | (pl.col("t_last_ns") - pl.col("t_first_ns") <= limits.tpot_ms * 1e6 * more)
    return met.fill_null(value=False)


def goodput(requests: pl.DataFrame, limits: Limits, duration_s: float, *, from_due: bool = False) -> Goodput:
    """Goodput of one lane's rows of `requests`, over `duration_s`."""
    counted = requests.filter(pl.col("outcome") != "cancelled")
    met = int(counted.select(good(limits, from_due=from_due).sum()).item() or 0)
    low, high = wilson(met, counted.height)
    return Goodput(
        good=met,
        total=counted.height,
        per_s=met / duration_s if duration_s > 0 else 0.0,
        share=met / counted.height if counted.height else None,
        low=low,
        high=high,
        met=share_met(counted.height - met, counted.height, DEFAULT_SHARE),
    )


def good_per_second(requests: pl.DataFrame, limits: Limits, start_ns: int, seconds: int) -> list[float]:
    """How many of one lane's requests ended within every limit in each of `seconds` seconds from `start_ns`."""
    place = ((pl.col("t_end_ns") - start_ns) // 1_000_000_000).alias("second")
    counted = requests.filter(good(limits)).select(place).filter(pl.col("second").is_between(0, seconds - 1))
    found = [0.0] * seconds
    for second, count in counted.group_by("second").len().iter_rows():
        found[second] = float(count)
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
