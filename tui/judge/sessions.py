"""Several sessions compared. Each is one sample: launches of one engine differ by more than its seconds do.

The figures of a session by name (`a.ttft_p95`, `b.output_tps`), whole and in ten spans, for what compares them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, geometric_mean
from typing import Final

import numpy as np
import polars as pl

from tui.judge.ledger import VisitedSetting, main_setting, visited
from tui.judge.obstacles import Circumstances, joined_lanes, obstacle, work_note
from tui.judge.segments import Setting
from tui.judge.tables import LATENCY, Requests, Span, Tables, for_lane, within
from tui.model.metrics import NS_PER_S, PERCENTILES
from tui.model.profile import Limits
from tui.model.rows import LANES, Lane
from tui.stats.distributions import percentiles, t_quantile
from tui.stats.latency import SECTIONS
from tui.stats.turns import MIN_PAIRS, Pair
from tui.stats.verdict import DELTA, Estimate, Verdict, not_comparable, widest_margin

LATENCY_NAMES: Final = tuple(f"{metric}_{name}" for metric in LATENCY for name in PERCENTILES)
RATE_NAMES: Final = ("output_tps", "total_tps", "request_rate", "goodput", "failed_share")
NAMES: Final = (*RATE_NAMES, *LATENCY_NAMES)


UNHINDERED: Final = Circumstances(lanes=LANES)
Figures = Mapping[str, float]
LaneSpans = Mapping[Lane, Sequence[Span]]


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one setting of one session, and the same of each of ten spans of it."""

    whole: Figures
    sections: Sequence[Figures]
    circumstances: Circumstances = UNHINDERED


def measured(tables: Tables, visit: VisitedSetting | None = None, limits: Limits | None = None) -> Measured:
    """The figures over the settled time of one setting; without `visit`, of the main one (`main_setting`).

    A percentile with too few values (`PERCENTILES`) is not there; a section has it all the same, because only
    its spread is used. Goodput is there when there are limits: those given, else the session's.
    """
    visit, limits = visit or main_setting(visited(tables)), limits or tables.limits
    lanes = tables.session.lanes
    spans = {lane: [] if visit is None else visit.spans(lane) for lane in LANES if lane in lanes}
    whole = _figures(tables, spans, limits)
    for lane in tables.session.lanes:
        n = whole.get(f"{lane}.requests", 0)
        for percentile in (name for name, needs in PERCENTILES.items() if n < needs.samples):
            for metric in LATENCY:
                whole.pop(f"{lane}.{metric}_{percentile}", None)
    pairs = None if visit is None else visit.pairs
    cuts = _sections(next(iter(spans.values()), [])) if pairs is None else []
    parts = [dict.fromkeys(spans, cut) for cut in cuts] if pairs is None else _turn_sections(pairs, spans)
    at = tables.circumstances if visit is None else visit.circumstances(tables.circumstances)
    return Measured(whole, [_figures(tables, part, limits) for part in parts], at)


def joined(sessions: Sequence[Measured]) -> list[Measured]:
    """Two sessions of one lane each become one of two lanes, the first as A and the second as B; others stay."""
    lanes = [{name.split(".")[0] for name in one.whole} for one in sessions]
    if len(sessions) != 2 or any(len(names) != 1 for names in lanes):
        return list(sessions)
    first, second = sessions
    spans = zip(first.sections, second.sections, strict=False)  # a session too short to cut has none
    whole = {**_as_lane(first.whole, "a"), **_as_lane(second.whole, "b")}
    sections = [{**_as_lane(a, "a"), **_as_lane(b, "b")} for a, b in spans]
    return [Measured(whole, sections, joined_lanes(first.circumstances, second.circumstances))]


def obstacle_of_any(sessions: Sequence[Measured], figure: str) -> str:
    """Why a figure may not be compared over several sessions: what forbids it in one of them; else empty."""
    return next(filter(None, (obstacle(one.circumstances, figure) for one in sessions)), "")


def note_of_any(sessions: Sequence[Measured]) -> str:
    """What must be said with a figure that is compared over several sessions; else empty."""
    return next(filter(None, (work_note(one.circumstances) for one in sessions)), "")


def _as_lane(figures: Figures, lane: str) -> dict[str, float]:
    return {f"{lane}.{name.split('.', 1)[1]}": value for name, value in figures.items()}


def _sections(spans: Sequence[Span]) -> list[list[Span]]:
    """Ten parts of equal length; a part may reach over the time between two spans."""
    lengths = np.array([until - start for start, until in spans], dtype=np.int64)
    if not lengths.sum():
        return []
    borders = np.linspace(0, lengths.sum(), SECTIONS + 1).astype(np.int64)
    begins = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    parts = []
    for low, high in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
        part = []
        for (start, _), begin, length in zip(spans, begins.tolist(), lengths.tolist(), strict=True):
            first, end = max(low, begin), min(high, begin + length)
            if first < end:
                part.append((start + first - begin, start + end - begin))
        parts.append(part)
    return parts


def _turn_sections(pairs: Sequence[Pair], spans: LaneSpans) -> list[LaneSpans]:
    """At most ten parts of whole pairs of turns, each lane with what it was measured in."""
    groups = np.array_split(np.arange(len(pairs)), SECTIONS) if len(pairs) >= MIN_PAIRS else []
    parts: list[LaneSpans] = []
    for group in groups:
        if group.size:
            spans_s = [pairs[place].span_s for place in group.tolist()]
            parts.append({lane: _cut(spans[lane], [one[lane] for one in spans_s]) for lane in spans})
    return parts


def _cut(spans: Sequence[Span], parts_s: Sequence[tuple[float, float]]) -> list[Span]:
    """What of the spans lies in parts of the time, which are in seconds."""
    parts = []
    for start_s, end_s in parts_s:
        low = spans[0][0] if start_s == -math.inf else round(start_s * NS_PER_S)
        for start, until in spans:
            first, end = max(start, low), min(until, round(end_s * NS_PER_S))
            if first < end:
                parts.append((first, end))
    return parts


def _figures(tables: Tables, spans: LaneSpans, limits: Limits) -> dict[str, float]:
    figures_by_name: dict[str, float] = {}
    for lane, lane_spans in spans.items():
        duration_s = sum(until - start for start, until in lane_spans) / NS_PER_S
        if not duration_s:
            return {}
        # A request counts where it ended, a second where it began.
        requests = for_lane(tables.requests, lane).filter(within(lane_spans, "t_end_ns"))
        seconds = for_lane(tables.seconds, lane).filter(within(lane_spans, "t_ns"))
        figures = _lane_figures(requests, seconds, duration_s, limits)
        figures_by_name |= {f"{lane}.{name}": value for name, value in figures.items()}
    return figures_by_name


def _lane_figures(
    requests: pl.DataFrame, seconds: pl.DataFrame, duration_s: float, limits: Limits
) -> dict[str, float]:
    ok = requests.filter(pl.col("outcome") == "ok")
    failed = int((requests["outcome"] == "failed").sum())
    # The seconds that lie in the spans, not the spans' length: a settled moment lies within a second.
    rows = max(seconds.height, 1)
    output, prompt = int(seconds["output_tokens"].sum()), int(seconds["prompt_tokens"].sum())
    figures = {
        "output_tps": output / rows,
        "total_tps": (output + prompt) / rows,
        "request_rate": ok.height / duration_s,
        "requests": float(ok.height),
        "failed_share": failed / max(ok.height + failed, 1),
    }
    if limits.by_metric:
        figures["goodput"] = int(Requests.from_frame(requests).good(limits).sum()) / duration_s
    values, shares = ok.select(**LATENCY), tuple(percentile.share for percentile in PERCENTILES.values())
    for metric in LATENCY:
        values_ms = percentiles(values[metric].drop_nulls().to_numpy(), shares)
        figures |= {f"{metric}_{name}": ms for name, ms in zip(PERCENTILES, values_ms, strict=True) if ms is not None}
    return figures


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
    One session is compared from ten spans of it, as a condition on it is, and says nothing of another launch. So are
    two sessions of one lane each, as A and B, at the main setting of each. δ is the widest of the sessions'; without
    `limits` goodput is under those of each session's profile.
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
        if len(figures) == 1:
            verdicts = [spans_verdict(name, figures[0], delta=delta) for name in lanes["a"] if name != "failed_share"]
        else:
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
        return Verdict(figure, "undecided", reason="a span has no value of it", watched=False)
    reason = f"{len(spans)} spans of one launch"
    verdict = _verdict(figure, whole, [span - whole for span in spans], reason, delta)
    return replace(verdict, note=work_note(one.circumstances))


def _verdict(figure: str, mean: float, off: Sequence[float], reason: str, delta: float) -> Verdict:
    """Student's t on log ratios that lie `off` their mean."""
    n = len(off)
    error = math.sqrt(sum(d * d for d in off) / (n - 1) / n)

    def width_at(_: int, level: float) -> float:
        return error * t_quantile(1 - level / 2, n - 1)

    return replace(Estimate(mean, width_at, n).verdict(figure, delta, reason), watched=False)
