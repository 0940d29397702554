"""Plans made from what an operator did or asked for: his moves, a sweep. A step is as in a profile."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import polars as pl

from tui.analysis.expressions import lane_of
from tui.analysis.settings import settings_at
from tui.analysis.sweep import doubling
from tui.analysis.tables import Tables
from tui.records.dials import ARRIVALS, DIAL, DialSpec, DialValue
from tui.records.errors import UserError
from tui.records.rows import LANES, Lane
from tui.records.units import NS_PER_S

SWEPT: Final = ("concurrency", "prompt_tokens", "output_tokens")
_SWEEP: Final = re.compile(r"(\w+)=(\d+\.\.\d+|\d+(?:,\d+)*)")


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """Dials held for a time, the same in both lanes."""

    dials: Mapping[str, DialValue]
    for_s: float


def plan_of_moves(tables: Tables) -> list[PlannedStep]:
    """The moves of a session as a plan: each rest of the hand is a step with the dials that differ from the last.

    The first step has every dial. Where the lanes' dials were apart, those of lane A are taken: a plan turns both.
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
            name: value_of(DIAL[name], text) for name, text in dials.items() if text and before.get(name) != text
        }
        if (held_s := _held_s(tables, lane, start_ns, end_ns)) > 0:
            steps.append(PlannedStep(moved, held_s))
            before = dials
    return steps


def _held_s(tables: Tables, lane: Lane, start_ns: int, end_ns: int) -> float:
    """How long a setting was held; of lanes that take turns the lane's own share, which is what a step gives each."""
    rests = pl.col("resting").fill_null(value=False)
    own = lane_of(tables.seconds, lane)
    if not own.select(rests.any()).item():
        return round((end_ns - start_ns) / NS_PER_S, 1)
    return float(own.filter(~rests & pl.col("t_ns").is_between(start_ns, end_ns, closed="left")).height)


def value_of(spec: DialSpec, text: str) -> DialValue:
    """A dial's value from what the operator read: the reverse of `records.dials.dial_text`."""
    if text in ARRIVALS:
        return text
    number = float(text)
    if spec.unit == "%":
        return number / 100
    return number if spec.name in {"request_rate", "temperature"} else int(number)


def sweep_plan(text: str, for_s: float) -> list[PlannedStep]:
    """The first pass of `concurrency=1..256`, or all of `concurrency=1,8,64`, each setting held for `for_s`.

    Raises UserError that says how a sweep is written.
    """
    match = _SWEEP.fullmatch(text.replace(" ", ""))
    if match is None or match[1] not in SWEPT:
        known = ", ".join(SWEPT)
        raise UserError(
            f"{text!r} is no sweep: write for example concurrency=1..256 or concurrency=1,8,64, or one of {known}"
        )
    name, span = match.groups()
    values, spec = [int(value) for value in re.findall(r"\d+", span)], DIAL[name]
    low = max(spec.low, 1)
    rising = is_refined(text) or all(one < next_one for one, next_one in pairwise(values))
    if not low <= values[0] <= values[-1] <= spec.high or not rising:
        raise UserError(f"a sweep of {name} goes upwards within {low:g} to {spec.high:g}, not {span}")
    return [PlannedStep({name: value}, for_s) for value in (doubling(*values) if is_refined(text) else values)]


def is_refined(sweep: str) -> bool:
    """Whether a sweep is a range, to be refined where it matters, not a list of the settings wanted."""
    return ".." in sweep
