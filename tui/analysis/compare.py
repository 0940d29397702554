"""Several sessions compared: each is one draw, because launches of one engine differ by more than its seconds do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from tui.analysis.figures import NAMES, Measured, measured
from tui.analysis.goodput import Limits
from tui.analysis.ledger import Visited, visited
from tui.analysis.settings import Setting
from tui.analysis.student import t_quantile
from tui.analysis.tables import Tables
from tui.analysis.verdict import ALPHA, DELTA, Verdict, better_of, not_comparable, word_of


@dataclass(frozen=True, slots=True)
class Compared:
    """One dial setting that every session visited, with a verdict for each figure that all of them have."""

    dials: Setting
    sessions: Sequence[str]
    a: dict[str, float]  # geometric mean over the sessions, by figure
    b: dict[str, float]
    verdicts: Sequence[Verdict]


def compare(sessions: Sequence[Tables], limits: Limits | None = None, *, delta: float = DELTA) -> list[Compared]:
    """Lane A against lane B over all sessions, at each setting that all of them visited in both lanes.

    The interval is Student's t on the log ratios, one a session (Kalibera & Jones 2013, at the level of the restart).
    With one session there is no such interval, and the words are `undecided`: its own verdict is in its ledger.
    """
    by_setting = [_linked(tables) for tables in sessions]
    names = [tables.session.name for tables in sessions]
    shared = [key for key in (by_setting[0] if by_setting else {}) if all(key in visits for visits in by_setting)]
    found = []
    for key in shared:
        visits = [visits[key] for visits in by_setting]
        figures = [measured(t, visit, limits) for t, visit in zip(sessions, visits, strict=True)]
        found.append(_compared(visits[0].dials["a"], names, figures, delta))
    return found


def _linked(tables: Tables) -> dict[str, Visited]:
    """The settings at which both lanes were asked for the same."""
    visits = [visit for visit in visited(tables) if visit.settled_s]
    return {repr(v.dials["a"]): v for v in visits if len(v.dials) == 2 and v.dials["a"] == v.dials["b"]}


def _compared(dials: Setting, names: Sequence[str], figures: Sequence[Measured], delta: float) -> Compared:
    lanes: dict[str, dict[str, float]] = {"a": {}, "b": {}}
    verdicts = []
    for name in NAMES:
        values = {lane: [one.whole.get(f"{lane}.{name}", math.nan) for one in figures] for lane in lanes}
        if any(math.isnan(value) for lane in values.values() for value in lane):
            continue
        if name == "failed_share" or min(*values["a"], *values["b"]) <= 0:
            lanes["a"][name], lanes["b"][name] = fmean(values["a"]), fmean(values["b"])
            if name != "failed_share":
                verdicts.append(not_comparable(name, "it is 0 in a session"))
            continue
        lanes["a"][name], lanes["b"][name] = (math.exp(fmean(map(math.log, values[lane]))) for lane in ("a", "b"))
        verdicts.append(draws_verdict(name, values["a"], values["b"], delta=delta))
    return Compared(dials, names, lanes["a"], lanes["b"], verdicts)


def draws_verdict(figure: str, a: Sequence[float], b: Sequence[float], *, delta: float = DELTA) -> Verdict:
    """Compare a figure measured once in each of several sessions; values are above 0 and paired by session."""
    ratios = [math.log(one / other) for one, other in zip(a, b, strict=True)]
    mean, n = fmean(ratios), len(ratios)
    if n < 2:
        return Verdict(figure, "undecided", math.exp(mean), n_batches=n, reason="one session is one draw")
    half = stdev(ratios) / math.sqrt(n) * t_quantile(1 - ALPHA / 2, n - 1)
    word = word_of(mean - half, mean + half, delta, better_of(figure))
    low, high = math.exp(mean - half), math.exp(mean + half)
    return Verdict(figure, word, math.exp(mean), low, high, n, reason=f"{n} sessions")
