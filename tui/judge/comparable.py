"""What makes two servers incomparable: their settings side by side.

Whether both lanes did the same work: prompts and answers as long, as many cut or ended early, as much cached.

Compared are means over the requests that ended well. Where they differ by more than the tolerance, and by more than
chance explains, figures of whole requests have no verdict; rates of tokens keep theirs, with the sentence added.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from tui.model.rows import Lane, RequestRow
from tui.model.settings import ENGINE_SETTING, ENGINE_SETTINGS, EngineSetting, Severity
from tui.model.text import UserError
from tui.stats.distributions import t_quantile

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting in which the lanes differ."""

    key: str
    label: str
    a: object
    b: object
    effect: str  # on the result
    severity: Severity
    waived: bool = False
    words: str = ""  # said instead of both values

    @property
    def sentence(self) -> str:
        """`KV tokens differ (1,048,576 against 65,536)`."""
        if self.words:
            return self.words
        verb = "differ" if self.label.endswith("s") else "differs"
        return f"{self.label} {verb} ({format_value(self.a, self.key)} against {format_value(self.b, self.key)})"


def differences(
    a: Mapping[str, object],
    b: Mapping[str, object],
    *,
    streams: int | None = None,
    waived: Collection[str] = (),
) -> list[Difference]:
    """The settings in which `a` and `b` differ, the most serious first. Keys are those of `model.settings`.

    A key that is missing on one side makes no difference: it is not known to be one. With the load's number of
    `streams`, a limit that neither reaches is a note. UserError when `waived` holds a key that does not exist.
    """
    check_waived(waived)
    differing = [
        Difference(
            term.key,
            term.label,
            a[term.key],
            b[term.key],
            term.effect,
            _severity(term, a[term.key], b[term.key], streams),
            term.key in waived,
        )
        for term in ENGINE_SETTINGS
        if term.key in a and term.key in b and not same_setting(term, a, b)
    ]
    return sorted(differing, key=lambda difference: difference.severity)


def check_waived(names: Iterable[str]) -> None:
    """UserError when one of these is no key of `model.settings`."""
    for name in names:
        if name not in ENGINE_SETTING:
            near = difflib.get_close_matches(name, ENGINE_SETTING, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(ENGINE_SETTING)}"
            raise UserError(f"nothing is called {name} to waive; {hint}")


def shared_gpus(gpus: Iterable[int], *, waived: Collection[str] = ()) -> Difference:
    """Both lanes' engines at work on the same GPUs at the same time."""
    term, which = ENGINE_SETTING["shared_gpu"], ", ".join(map(str, sorted(gpus)))
    return Difference(
        term.key, term.label, which, which, term.effect, term.severity, term.key in waived,
        words=f'both use GPU {which} at once: set mode = "alternate"',
    )  # fmt: skip


def grave(differing: Iterable[Difference]) -> list[Difference]:
    """Those that make the lanes incomparable and are not waived."""
    return [difference for difference in differing if difference.severity == "incomparable" and not difference.waived]


def reason(differing: Iterable[Difference]) -> str:
    """`not comparable because …`, or an empty string."""
    sentences = [difference.sentence for difference in grave(differing)]
    return f"not comparable because {' and '.join(sentences)}" if sentences else ""


def same_setting(term: EngineSetting, a: Mapping[str, object], b: Mapping[str, object]) -> bool:
    """Whether a setting that both know is the same in both, or close enough."""
    left, right = a[term.key], b[term.key]
    if left == right:
        return True
    if term.key == "model":
        return a.get("weights") is not None and a.get("weights") == b.get("weights")
    if isinstance(left, int | float) and isinstance(right, int | float):
        return abs(left - right) <= term.tolerance * max(abs(left), abs(right))
    return False


def format_value(value: object, key: str = "") -> str:
    """A setting as people read it."""
    if key == "seed":
        return str(value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _severity(term: EngineSetting, left: object, right: object, streams: int | None) -> Severity:
    if term.per_stream and streams is not None and isinstance(left, int) and isinstance(right, int):
        return "note" if streams <= min(left, right) else term.severity
    return term.severity


Floats = NDArray[np.float64]

TOLERANCE: Final = 0.02  # of mean tokens, as a share of the larger
TOLERANCE_POINTS: Final = 0.05  # of shares
# Ten of one length show it; where lengths vary the t quantile asks for more. Of fewer, all may be alike by chance.
MIN_REQUESTS: Final = 10
# A running session looks every second: so strict, under one segment in 1,000 of equal lanes is ever called different,
# by simulation of 5,000 with lengths of ±10 %, of exponential lengths and of shares.
ALPHA: Final = 1e-5
MOSTLY: Final = 0.5  # of a lane's answers; where fewer tell a number, it is unknown

_WORDS: Final = {
    "prompt_tokens": "A's prompts have {} prompt tokens on average, B's {}",
    "output_tokens": "A's answers have {} output tokens on average, B's {}",
    "cut": "{} of A's answers were cut before the length asked for, {} of B's",
    "early": "{} of A's answers ended early, {} of B's",
    "cached": "{} of A's prompt tokens were cached, {} of B's",
}

Sentence = Callable[[Mapping[Lane, "Work"]], str]


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums of one value per request, as far as it is known."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.n + other.n, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        return self.total / self.n if self.n else math.nan

    @property
    def error2(self) -> float:
        """The variance of the mean."""
        return max(self.squares - self.n * self.mean**2, 0.0) / (self.n - 1) / self.n


@dataclass(frozen=True, slots=True)
class Work:
    """What the requests of one lane that ended well had to do; a part added for each second."""

    requests: int = 0
    prompt_tokens: Moments = Moments()
    output_tokens: Moments = Moments()
    cut: Moments = Moments()  # finished by length before the length asked for: 0 or 1
    early: Moments = Moments()  # ended by themselves before it: 0 or 1
    cached: Moments = Moments()  # share of the prompt tokens

    @classmethod
    def of_requests(cls, values: Floats) -> Work:
        """From the columns of `work_values`."""
        known = ~np.isnan(values)
        counted = np.where(known, values, 0.0)
        sums = zip(known.sum(axis=1), counted.sum(axis=1), (counted**2).sum(axis=1), strict=True)
        return cls(values.shape[1], *(Moments(int(n), float(total), float(squares)) for n, total, squares in sums))

    def __add__(self, other: Work) -> Work:
        names = [one.name for one in fields(self)]
        return Work(*(getattr(self, name) + getattr(other, name) for name in names))


def work_values(requests: pl.DataFrame | Sequence[RequestRow]) -> Floats:
    """The values of `Work` (5, n) of requests, as rows or as the table `requests`; nan where one is unknown."""
    names = ("prompt_tokens", "cached_tokens", "output_tokens", "output_tokens_asked")
    if isinstance(requests, Sequence):
        columns = [np.array([getattr(row, name) for row in requests], dtype=np.float64) for name in names]
        at_length = np.array([row.finish_reason == "length" for row in requests], dtype=bool)
        counted = np.array([row.tokens_from != "chunks" for row in requests], dtype=bool)
    else:
        columns = [requests[name].cast(float).fill_null(math.nan).to_numpy() for name in names]
        at_length = (requests["finish_reason"] == "length").to_numpy()
        counted = (requests["tokens_from"] != "chunks").to_numpy()
    prompt, cached, output, asked = columns
    output = np.where(counted, output, np.nan)
    short = np.where(counted, output < (1 - TOLERANCE) * asked, np.nan)
    share = np.divide(cached, prompt, out=np.full_like(prompt, np.nan), where=prompt > 0)
    return np.stack([prompt, output, short * at_length, short * ~at_length, share])


def different(name: str) -> Sentence:
    """The sentence of one of the values of `Work`, with both figures; empty where it does not differ."""
    written = _tokens if name.endswith("_tokens") else _percent

    def sentence(work: Mapping[Lane, Work]) -> str:
        if len(work) < 2:
            return ""
        a, b = (getattr(one, name) for one in work.values())
        tolerance = TOLERANCE * max(a.mean, b.mean) if name.endswith("_tokens") else TOLERANCE_POINTS
        return (
            f"different work: {_WORDS[name].format(written(a.mean), written(b.mean))}"
            if _differ(a, b, tolerance)
            else ""
        )

    return sentence


def unknown_work(work: Mapping[Lane, Work]) -> str:
    """Which lane does not tell what would show that the work was the same."""
    if len(work) < 2 or min(one.requests for one in work.values()) < MIN_REQUESTS:
        return ""
    silent = [lane.upper() for lane, one in work.items() if _is_unknown(one, one.prompt_tokens)]
    if silent:
        verb = "reports" if len(silent) == 1 else "report"
        return f"unknown whether the work was the same: {' and '.join(silent)} {verb} no prompt tokens"
    for lane, other in zip(work, reversed(list(work)), strict=True):
        cached = work[lane].cached
        if cached.n and cached.mean > TOLERANCE_POINTS and _is_unknown(work[other], work[other].cached):
            known = f"{_percent(cached.mean)} of {lane.upper()}'s prompt tokens were cached"
            return f"unknown whether the work was the same: {known}, {other.upper()} does not report it"
    return ""


def _is_unknown(work: Work, value: Moments) -> bool:
    return value.n < MOSTLY * work.requests


def _differ(a: Moments, b: Moments, tolerance: float) -> bool:
    """Whether two means lie further apart than the tolerance, and than chance explains (Welch's t)."""
    fewest = min(a.n, b.n)
    if fewest < MIN_REQUESTS or not abs(a.mean - b.mean) > tolerance:
        return False
    return abs(a.mean - b.mean) > t_quantile(1 - ALPHA / 2, fewest - 1) * math.sqrt(a.error2 + b.error2)


def _tokens(mean: float) -> str:
    return f"{mean:,.0f}" if mean >= 100 else f"{mean:.1f}"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"
