"""The figures of a session by name (`a.ttft_p95`, `b.output_tps`), whole and in ten spans, for what compares them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from tui.judge.ledger import VisitedSetting, main_setting, visited
from tui.judge.obstacles import Circumstances, joined_lanes, obstacle, work_note
from tui.judge.tables import LATENCY, Requests, Span, Tables, for_lane, within
from tui.model.metrics import PERCENTILES
from tui.model.profile import Limits
from tui.model.rows import LANES, Lane
from tui.model.units import NS_PER_S
from tui.stats.batches import MIN_PAIRS, Pair
from tui.stats.distributions import percentiles
from tui.stats.latency import SECTIONS

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
