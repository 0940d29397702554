"""Sweeps of one dial: which settings to visit, the curve of throughput against latency, where the lead changes hands.

Also the moves of a session as a plan. A step is as in a profile.

Pure, and the same of a running head-to-head (`View.ledger`) and of a recording (`judge.ledger.ledger`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import polars as pl

from tui.judge.ledger import CURVE_PERCENTILES, LaneFigures, LedgerRow
from tui.judge.segments import settings_at
from tui.judge.tables import Tables, for_lane
from tui.model.dials import DIAL, DIALS, dial_value
from tui.model.metrics import NS_PER_S
from tui.model.profile import Step
from tui.model.rows import LANES, Lane
from tui.model.text import UserError
from tui.stats.verdict import holm

FINEST: Final = 8  # a step is not halved below an eighth of the knee: 12 % of load is within the noise of a minute


@dataclass(frozen=True, slots=True)
class Point:
    """One setting of the swept dial in one lane, each value with its 95 % interval where it is known."""

    setting: float
    throughput: float  # more is better, as output tok/s
    latency: float  # less is better, as TTFT p95 in ms
    throughput_low: float | None = None
    throughput_high: float | None = None
    latency_low: float | None = None
    latency_high: float | None = None
    beaten: bool = False  # another setting of the same lane has more throughput at less latency


def doubling(low: int, high: int) -> list[int]:
    """The first pass: from `low` by doubling, and `high`. Raises ValueError unless 1 <= low <= high."""
    if not 1 <= low <= high:
        raise ValueError(f"a sweep goes from at least 1 upwards, not from {low} to {high}")
    steps = []
    while low < high:
        steps.append(low)
        low *= 2
    return [*steps, high]


def dominated(points: Sequence[Point]) -> list[bool]:
    """For each point, whether another has more throughput at less latency, or equals one and betters the other."""

    def beats(one: Point, other: Point) -> bool:
        as_good = one.throughput >= other.throughput and one.latency <= other.latency
        return as_good and (one.throughput > other.throughput or one.latency < other.latency)

    return [any(beats(one, other) for one in points) for other in points]


def knee(points: Sequence[Point]) -> float | None:
    """The setting after which latency grows faster than throughput: where their quotient, the power, is largest.

    Kleinrock 1979, "Power and deterministic rules of thumb". None of no points.
    """
    measured = [point for point in points if point.latency > 0 and point.throughput > 0]
    best = max(measured, key=lambda point: point.throughput / point.latency, default=None)
    return None if best is None else best.setting


def halving(visited: Collection[int], knees: Collection[float]) -> list[int]:
    """The next pass: the middle of the steps below and above each knee, rising; empty when they are fine enough."""
    ladder = sorted(visited)
    wanted: set[int] = set()
    for at in knees:
        place = min(range(len(ladder)), key=lambda i: abs(ladder[i] - at), default=None)
        if place is None:
            continue
        for low, high in ((place - 1, place), (place, place + 1)):
            if low >= 0 and high < len(ladder) and ladder[high] - ladder[low] > max(1, ladder[place] / FINEST):
                wanted.add((ladder[low] + ladder[high]) // 2)
    return sorted(wanted - set(ladder))


SWEPT: Final = ("concurrency", "prompt_tokens", "output_tokens")
_SWEEP: Final = re.compile(r"(\w+)=(\d+\.\.\d+|\d+(?:,\d+)*)")


def plan_of_moves(tables: Tables) -> list[Step]:
    """The moves of a session as a plan: each rest of the hand is a step with the dials that differ from the last.

    The first step has every dial. Where the lanes' dials differed, those of lane A are taken: a plan turns both.
    """
    session = tables.session
    lane: Lane | None = next((lane for lane in LANES if lane in session.lanes), None)
    if lane is None:  # neither server was ever reached
        return []
    turns = sorted({event.t_ns for event in tables.events if event.kind == "dial" and event.lane in ("", lane)})
    moments = [session.t0_ns, *turns]
    ends = [*turns, session.t0_ns + round(session.duration_s * NS_PER_S)]
    before: Mapping[str, str] = {}
    steps = []
    for setting, start_ns, end_ns in zip(
        settings_at(session.profile, session.lanes, tables.events, moments), moments, ends, strict=True
    ):
        dials = setting[lane]
        moved = {
            name: dial_value(DIAL[name], text) for name, text in dials.items() if text and before.get(name) != text
        }
        if (held_s := _held_s(tables, lane, start_ns, end_ns)) > 0:
            steps.append(Step(dials=moved, for_s=held_s))
            before = dials
    return steps


def _held_s(tables: Tables, lane: Lane, start_ns: int, end_ns: int) -> float:
    """How long a setting was held; of lanes that take turns the lane's own share, which is what a step gives each."""
    rests = pl.col("resting").fill_null(value=False)
    rows = for_lane(tables.seconds, lane)
    if not rows.select(rests.any()).item():
        return round((end_ns - start_ns) / NS_PER_S, 1)
    return float(rows.filter(~rests & pl.col("t_ns").is_between(start_ns, end_ns, closed="left")).height)


def sweep_plan(text: str, for_s: float) -> list[Step]:
    """The first pass of `concurrency=1..256`, or all of `concurrency=1,8,64`, each setting held for `for_s`.

    Raises UserError that says how a sweep is written.
    """
    match = _SWEEP.fullmatch(text.replace(" ", ""))
    if match is None or match[1] not in SWEPT:
        known = ", ".join(SWEPT)
        raise UserError(
            f"{text!r} is not a sweep: write for example concurrency=1..256 or concurrency=1,8,64, or one of {known}"
        )
    name, span = match.groups()
    values, spec = [int(value) for value in re.findall(r"\d+", span)], DIAL[name]
    low = max(spec.low, 1)
    rising = is_refined(text) or all(one < next_one for one, next_one in pairwise(values))
    if not low <= values[0] <= values[-1] <= spec.high or not rising:
        raise UserError(f"a sweep of {name} goes upwards within {low:g} to {spec.high:g}, not {span}")
    return [Step(dials={name: value}, for_s=for_s) for value in (doubling(*values) if is_refined(text) else values)]


def is_refined(sweep: str) -> bool:
    """Whether a sweep is a range, to be refined where it matters, not a list of the settings wanted."""
    return ".." in sweep


def varied(rows: Sequence[LedgerRow]) -> str:
    """The dial that was tried at most settings while the others stood still; empty when none was."""
    best = {spec.name: len(ladder(rows, spec.name)) for spec in DIALS if spec.name != "arrival"}
    name = max(best, key=lambda dial: best[dial])
    return name if best[name] > 1 else ""


def crossover(rows: Sequence[LedgerRow]) -> str:
    """Who is ahead up to which setting of the dial that was varied: `A ahead up to 24 streams, B from 48`.

    Settings without a decision are passed over, and those whose word does not stand among all of them; empty when
    fewer than two settings are left.
    """
    name = varied(rows)
    steps = ladder(rows, name) if name else []
    significant = holm([row.verdict for _, row in steps])
    said = [(value, str(row.verdict.word)) for (value, row), holds in zip(steps, significant, strict=True) if holds]
    decided = [(value, word) for value, word in said if word in {"A ahead", "B ahead", "level"}]
    if len(decided) < 2:
        return ""
    runs: list[tuple[str, float, float]] = []
    for value, word in decided:
        if runs and runs[-1][0] == word:
            runs[-1] = (word, runs[-1][1], value)
        else:
            runs.append((word, value, value))
    unit = DIAL[name].unit
    unit = f" {unit}" if unit == "streams" else f" {DIAL[name].label} {unit}".rstrip()
    if len(runs) == 1:
        word, low, high = runs[0]
        return f"{word} at every setting from {low:g} to {high:g}{unit}"
    parts = [f"{runs[0][0]} up to {runs[0][2]:g}{unit}"]
    parts += [f"{word.removesuffix(' ahead')} from {low:g}" for word, low, _ in runs[1:]]
    return ", ".join(parts)


def ladder(rows: Sequence[LedgerRow], name: str) -> list[tuple[float, LedgerRow]]:
    """The largest set of rows that differ in dial `name` alone, with its values, rising."""
    groups: dict[str, list[tuple[float, LedgerRow]]] = {}
    for row in rows:
        if row.linked and row.dials:
            setting = dict(next(iter(row.dials.values())))
            value = setting.get(name, "")
            if not value or value in DIAL[name].special.values():
                continue
            groups.setdefault(repr({**setting, name: ""}), []).append((float(value), row))
    largest = max(groups.values(), key=len, default=[])
    return sorted(largest, key=lambda step: step[0])


LEAST_S: Final = 5  # settled seconds of a point: of fewer the mean says nothing


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of points a lane, rising with the dial that was varied.

    Each `Point` has the dial's value as `setting`, output tok/s as `throughput` and TTFT in ms as `latency`, both
    with their 95 % intervals (None where too few seconds tell one), and `beaten` where another setting of the same
    lane is better on both axes. A setting without the percentile or five settled seconds yet has
    no point.
    """

    dial: str  # a name in `model.dials.DIAL`
    percentile: str  # of TTFT: p95, or p50 while a setting has too few requests for a p95
    lines: Mapping[Lane, Sequence[Point]]


def curve(rows: Sequence[LedgerRow], dial: str = "") -> Curve | None:
    """The curve along `dial`, or along the one that was varied most; None where fewer than two settings differ."""
    name = dial or varied(rows)
    steps = ladder(rows, name) if name else []
    if len(steps) < 2:
        return None
    percentile = _percentile([row for _, row in steps])
    lanes = [lane for lane in LANES if any(lane in row.figures for _, row in steps)]
    return Curve(name, percentile, {lane: _line(steps, lane, percentile) for lane in lanes})


def _percentile(rows: Sequence[LedgerRow]) -> str:
    """One for all points: the p95 where every setting that has a median has it too."""
    low, high = CURVE_PERCENTILES
    known = [figures.ttft for row in rows for figures in row.figures.values() if figures.ttft[low].value is not None]
    return high if known and all(ttft[high].value is not None for ttft in known) else low


def _line(steps: Sequence[tuple[float, LedgerRow]], lane: Lane, percentile: str) -> list[Point]:
    measured = [_point(value, row.figures[lane], percentile) for value, row in steps if lane in row.figures]
    points = [point for point in measured if point is not None]
    return [replace(point, beaten=out) for point, out in zip(points, dominated(points), strict=True)]


def _point(setting: float, figures: LaneFigures, percentile: str) -> Point | None:
    tps, ttft = figures.tps, figures.ttft[percentile]
    if ttft.value is None or tps.n < LEAST_S:
        return None
    return Point(setting, tps.mean, ttft.value, tps.low, tps.high, ttft.low, ttft.high)
