"""Several sessions compared. Each is one sample: launches of one engine differ by more than its seconds do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, geometric_mean

from tui.judge.ledger import VisitedSetting, main_setting, visited
from tui.judge.metrics_of import NAMES, Measured, joined, measured, note_of_any, obstacle_of_any
from tui.judge.obstacles import obstacle, work_note
from tui.judge.segments import Setting
from tui.judge.tables import Tables
from tui.model.profile import Limits
from tui.stats.distributions import t_quantile
from tui.stats.verdict import DELTA, Estimate, Verdict, not_comparable, widest_margin


@dataclass(frozen=True, slots=True)
class Compared:
    """One dial setting that every session visited, with a verdict for each figure that all of them have."""

    dials: Setting
    sessions: Sequence[str]
    a: dict[str, float]  # geometric mean over the sessions, by figure
    b: dict[str, float]
    verdicts: Sequence[Verdict]


def compare(sessions: Sequence[Tables], limits: Limits | None = None) -> list[Compared]:
    """Lane A against lane B over all sessions, at each setting that all of them visited in both lanes.

    The interval is Student's t on the log ratios, one a session (Kalibera & Jones 2013, at the level of the restart).
    With one session there is no such interval, and the words are `undecided`: its own verdict is in its ledger. Two
    sessions of one lane each are compared as A and B from ten spans of each, at the main setting of each. δ is
    the widest of the sessions'; without `limits` goodput is under those of each session's profile.
    """
    names = [tables.session.name for tables in sessions]
    delta = widest_margin([tables.session.profile for tables in sessions]).delta
    if _one_lane_each(sessions):
        return _compare_one_lane_each(sessions, names, limits, delta)
    by_setting = [_linked(tables) for tables in sessions]
    shared = [key for key in (by_setting[0] if by_setting else {}) if all(key in visits for visits in by_setting)]
    compared = []
    for key in shared:
        visits = [visits[key] for visits in by_setting]
        figures = [measured(t, visit, limits) for t, visit in zip(sessions, visits, strict=True)]
        lanes = _means(figures)
        verdicts = [_over_sessions(name, figures, delta) for name in lanes["a"] if name != "failed_share"]
        compared.append(Compared(visits[0].dials["a"], names, lanes["a"], lanes["b"], verdicts))
    return compared


def _one_lane_each(sessions: Sequence[Tables]) -> bool:
    """Whether these are two sessions that stand for A and B."""
    return len(sessions) == 2 and all(len(tables.session.lanes) == 1 for tables in sessions)


def _compare_one_lane_each(
    sessions: Sequence[Tables], names: Sequence[str], limits: Limits | None, delta: float
) -> list[Compared]:
    """Two sessions of one lane each."""
    one, other = (main_setting(visited(tables)) for tables in sessions)
    if one is None or other is None or not one.settled_s or not other.settled_s:
        return []
    dials = next(iter(one.dials.values()))
    figures = joined([measured(tables, visit, limits) for tables, visit in zip(sessions, (one, other), strict=True)])
    lanes = _means(figures)
    verdicts = [spans_verdict(name, figures[0], delta=delta) for name in lanes["a"] if name != "failed_share"]
    return [Compared(dials, names, lanes["a"], lanes["b"], verdicts)]


def _linked(tables: Tables) -> dict[str, VisitedSetting]:
    """The settings at which both lanes were asked for the same."""
    visits = [visit for visit in visited(tables) if visit.settled_s]
    return {repr(v.dials["a"]): v for v in visits if len(v.dials) == 2 and v.dials["a"] == v.dials["b"]}


def _means(figures: Sequence[Measured]) -> dict[str, dict[str, float]]:
    """Of each figure that every session has in both lanes: the geometric mean, or the plain one where it can be 0."""
    lanes: dict[str, dict[str, float]] = {"a": {}, "b": {}}
    for name in NAMES:
        if all(f"{lane}.{name}" in one.whole for one in figures for lane in lanes):
            for lane, means in lanes.items():
                values = [one.whole[f"{lane}.{name}"] for one in figures]
                means[name] = geometric_mean(values) if min(values) > 0 else fmean(values)
    return lanes


def _over_sessions(name: str, figures: Sequence[Measured], delta: float) -> Verdict:
    if why := obstacle_of_any(figures, name):
        return not_comparable(name, why)
    a, b = ([one.whole[f"{lane}.{name}"] for one in figures] for lane in ("a", "b"))
    return replace(draws_verdict(name, a, b, delta=delta), note=note_of_any(figures))


def draws_verdict(figure: str, a: Sequence[float], b: Sequence[float], *, delta: float = DELTA) -> Verdict:
    """Compare a figure measured once in each of several sessions; the values are paired by session."""
    if min(*a, *b) <= 0:
        return not_comparable(figure, "it is 0 in a session")
    ratios = [math.log(one / other) for one, other in zip(a, b, strict=True)]
    mean, n = fmean(ratios), len(ratios)
    if n < 2:
        return Verdict(figure, "undecided", math.exp(mean), n_batches=n, reason="one session is one sample")
    return _verdict(figure, mean, [ratio - mean for ratio in ratios], f"{n} sessions", delta)


def spans_verdict(figure: str, one: Measured, *, delta: float = DELTA) -> Verdict:
    """Compare a figure of two lanes from the spans of one launch each, by sectioning; nothing of another launch."""
    if why := obstacle(one.circumstances, figure):
        return not_comparable(figure, why)
    pairs = [(spans.get(f"a.{figure}", 0.0), spans.get(f"b.{figure}", 0.0)) for spans in (one.whole, *one.sections)]
    whole, *spans = [math.log(a / b) for a, b in pairs if a > 0 and b > 0] or [math.nan]
    if math.isnan(whole) or len(spans) < len(one.sections) or len(spans) < 2:
        return Verdict(figure, "undecided", reason="a span has no value of it")
    verdict = _verdict(
        figure, whole, [span - whole for span in spans], f"{len(spans)} spans of one launch each", delta
    )
    return replace(verdict, note=work_note(one.circumstances))


def _verdict(figure: str, mean: float, off: Sequence[float], reason: str, delta: float) -> Verdict:
    """Student's t on log ratios that lie `off` their mean."""
    n = len(off)
    error = math.sqrt(sum(d * d for d in off) / (n - 1) / n)

    def width_at(_: int, level: float) -> float:
        return error * t_quantile(1 - level / 2, n - 1)

    return Estimate(mean, width_at, n).verdict(figure, delta, reason)
