"""Segments: spans with every dial fixed in both lanes, with what mixes two settings cut off their start.

A second counts when it is settled, both lanes are up, and the client was not the limit in either.

Which dials were in force when, from the profile that a session started with and its dial events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tui.judge.tables import Span
from tui.model.dials import DIALS, Dials, DialSpec, DialValue, dial_text
from tui.model.rows import LANES, EventRow, Lane
from tui.model.units import NS_PER_S

LEAST_SETTLING_S: Final = 5.0
MOST_SETTLING_S: Final = 60.0
AGREE_WINDOW_S: Final = 5
AGREE_WINDOWS: Final = 3
AGREE_WITHIN: Final = 0.10

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Segment:
    """One span of fixed dials. `tps` holds the output tokens of each second that counts, paired between the lanes.

    Of lanes that take turns each has its own seconds; `at_s` tells when each began.
    """

    number: int
    start_ns: int
    settled_ns: int
    end_ns: int
    tps: Mapping[Lane, Sequence[float]]
    bound_s: int  # settled seconds left out because the client was the limit
    down_s: int  # settled seconds left out because a lane was down
    at_s: Mapping[Lane, Sequence[float]] = field(default_factory=dict)
    in_turns: bool = False

    @property
    def settled_s(self) -> int:
        """How many seconds count."""
        return min((len(values) for values in self.tps.values()), default=0)

    def spans(self, lane: Lane) -> list[Span]:
        """When the lane was measured: from the settled moment to the end, or its turns."""
        if not self.in_turns:
            return [(self.settled_ns, self.end_ns)] if self.end_ns > self.settled_ns else []
        if not (starts_ns := [round(at_s * NS_PER_S) for at_s in self.at_s[lane]]):
            return []
        begins = [
            t_ns
            for t_ns, before in zip(starts_ns, [-NS_PER_S, *starts_ns], strict=False)
            if t_ns - before != NS_PER_S
        ]
        ends = [
            t_ns + NS_PER_S
            for t_ns, after in zip(starts_ns, [*starts_ns[1:], -NS_PER_S], strict=True)
            if after - t_ns != NS_PER_S
        ]
        return list(zip(begins, ends, strict=True))


@dataclass(frozen=True, slots=True)
class _Grid:
    """The seconds that every lane has, in order of time."""

    t_ns: Ints
    segment: Ints
    tokens: Mapping[Lane, Ints]
    bound: Bools
    up: Bools
    resting: Mapping[Lane, Bools]


def segments(seconds: pl.DataFrame, requests: pl.DataFrame, told_ns: Sequence[int] = ()) -> list[Segment]:
    """All segments of the tables `seconds` and `requests`, in order of time; those of one lane where there is one.

    `told_ns`: the moments at which the recording says that the dials had settled. Without any, as in another tool's
    result, they are found from the requests.
    """
    grid = _grid(seconds)
    if grid is None:
        return []
    borders = np.flatnonzero(np.diff(grid.segment)) + 1
    starts = np.concatenate(([0], borders))
    ends = np.concatenate((borders, [len(grid.t_ns)]))
    drained_ns, slow_ms = _drained_ns(requests), _slow_e2e_ms(requests)
    found = []
    for first, past in zip(starts.tolist(), ends.tolist(), strict=True):
        number = int(grid.segment[first])
        earlier = [t_ns for older, t_ns in drained_ns.items() if older < number]
        lanes = [tokens[first:past].astype(np.float64) for tokens in grid.tokens.values()]
        settled_s = max(settling_s(slow_ms.get(number)), agreed_s(lanes))
        start_ns = int(grid.t_ns[first])
        settled_ns = max(start_ns + int(settled_s * NS_PER_S), *earlier, start_ns)
        if any(own[first:past].any() for own in grid.resting.values()):
            settled_ns = start_ns  # what a turn begins with rests
        else:
            settled_ns = _as_told(told_ns, start_ns, int(grid.t_ns[past - 1]) + NS_PER_S, settled_ns)
        found.append(_segment(grid, slice(first, past), number, settled_ns))
    return found


def _as_told(told_ns: Sequence[int], start_ns: int, end_ns: int, found_ns: int) -> int:
    """When the segment was settled by what the recording says: never, where it says so of an earlier one alone.

    A part of a recording may begin after its first segment was: then what was found counts.
    """
    own = next((t_ns for t_ns in told_ns if start_ns < t_ns <= end_ns), None)
    if own is not None:
        return own
    return end_ns if any(t_ns <= start_ns for t_ns in told_ns) else found_ns


def settling_s(slow_e2e_ms: float | None) -> float:
    """The least time that is cut off: twice the p95 of E2E, from 5 to 60 s."""
    wanted = 0.0 if slow_e2e_ms is None else 2 * slow_e2e_ms / 1000
    return min(max(wanted, LEAST_SETTLING_S), MOST_SETTLING_S)


def agreed_s(lanes: Sequence[NDArray[np.float64]]) -> float:
    """When three windows of 5 s on end first lie within ±10 % of their mean in every lane (seconds,).

    0 when they never do within the first minute: that is noise, and waiting longer would not settle it.
    """
    whole = min((len(lane) for lane in lanes), default=0) // AGREE_WINDOW_S
    windows = [lane[: whole * AGREE_WINDOW_S].reshape(whole, AGREE_WINDOW_S).sum(axis=1) for lane in lanes]
    for first in range(min(whole - AGREE_WINDOWS + 1, int(MOST_SETTLING_S) // AGREE_WINDOW_S)):
        if all(_agree(lane[first : first + AGREE_WINDOWS]) for lane in windows):
            return float(first * AGREE_WINDOW_S)
    return 0.0


def _agree(windows: NDArray[np.float64]) -> bool:
    mean = windows.mean()
    return bool(np.all(np.abs(windows - mean) <= AGREE_WITHIN * mean))


def _grid(seconds: pl.DataFrame) -> _Grid | None:
    lanes: dict[Lane, pl.DataFrame] = {}
    for lane in LANES:
        rows = seconds.filter(pl.col("lane") == lane).unique("t_ns", keep="last").sort("t_ns")
        if rows.height:
            lanes[lane] = rows
    if not lanes:
        return None
    times = [rows["t_ns"].to_numpy() for rows in lanes.values()]
    t_ns = times[0] if len(times) == 1 else np.intersect1d(times[0], times[1], assume_unique=True)
    if not t_ns.size:
        return None
    common = {lane: rows.filter(pl.col("t_ns").is_in(pl.Series(t_ns).implode())) for lane, rows in lanes.items()}
    rows_of = list(common.values())
    resting = {lane: rows["resting"].fill_null(value=False).to_numpy() for lane, rows in common.items()}
    return _Grid(
        t_ns.astype(np.int64),
        rows_of[0]["segment"].to_numpy().astype(np.int64),
        {lane: rows["output_tokens"].to_numpy().astype(np.int64) for lane, rows in common.items()},
        np.any([rows["bound"].to_numpy() & ~resting[lane] for lane, rows in common.items()], axis=0),
        np.all([rows["up"].to_numpy() | resting[lane] for lane, rows in common.items()], axis=0),
        resting,
    )


def _segment(grid: _Grid, span: slice, number: int, settled_ns: int) -> Segment:
    t_ns, bound, up = grid.t_ns[span], grid.bound[span], grid.up[span]
    settled = t_ns >= settled_ns
    counts = settled & up & ~bound
    own = {lane: counts & ~rests[span] for lane, rests in grid.resting.items()}
    return Segment(
        number=number,
        start_ns=int(t_ns[0]),
        settled_ns=settled_ns,
        end_ns=int(t_ns[-1]) + NS_PER_S,
        tps={lane: tokens[span][own[lane]].astype(float).tolist() for lane, tokens in grid.tokens.items()},
        bound_s=int(np.sum(settled & bound)),
        down_s=int(np.sum(settled & ~up)),
        at_s={lane: (t_ns[counted] / NS_PER_S).tolist() for lane, counted in own.items()},
        in_turns=any(bool(rests[span].any()) for rests in grid.resting.values()),
    )


def _drained_ns(requests: pl.DataFrame) -> dict[int, int]:
    """When the last request started under each segment's dials ended."""
    ends = requests.group_by("segment").agg(pl.col("t_end_ns").max())
    return dict(zip(ends["segment"].to_list(), ends["t_end_ns"].to_list(), strict=True))


def _slow_e2e_ms(requests: pl.DataFrame) -> dict[int, float]:
    """The p95 of E2E of each segment's requests that ended well, in the slower lane."""
    e2e_ms = (pl.col("t_last_ns") - pl.col("t_send_ns")) / 1e6
    slow = (
        requests.filter(pl.col("outcome") == "ok")
        .group_by("segment", "lane")
        .agg(e2e_ms.quantile(0.95, interpolation="higher").alias("p95"))
        .group_by("segment")
        .agg(pl.col("p95").max())
        .drop_nulls()
    )
    return dict(zip(slow["segment"].to_list(), slow["p95"].to_list(), strict=True))


Setting = Mapping[str, str]  # each dial's value as the operator reads it, by the dial's name; empty: not known
Settings = Mapping[Lane, Setting]


def first_settings(profile: Mapping[str, Any], lanes: Iterable[str]) -> dict[Lane, dict[str, str]]:
    """The dials of each lane as the session began. `profile` is that of `session.toml`.

    A dial that it does not tell, as that of another tool's imported result, is empty.
    """
    present = set(lanes)
    found: dict[Lane, dict[str, str]] = {}
    for lane in LANES:
        if lane in present:
            dials = {**profile.get("load", {}), **(profile.get(lane) or {}).get("dials", {})}
            found[lane] = {spec.name: _text(spec, dials.get(spec.name)) for spec in DIALS}
    return found


def dial_texts(dials: Dials) -> dict[str, str]:
    """Each dial's value as the operator reads it."""
    return {spec.name: dial_text(spec, getattr(dials, spec.name)) for spec in DIALS}


def _text(spec: DialSpec, value: DialValue | None) -> str:
    return "" if value is None else dial_text(spec, value)


def settings_at(
    profile: Mapping[str, Any], lanes: Iterable[str], events: Iterable[EventRow], moments_ns: Iterable[int]
) -> list[dict[Lane, dict[str, str]]]:
    """The dials of each lane at each of `moments_ns`, which rise."""
    now = first_settings(profile, lanes)
    moves = iter(sorted((event for event in events if event.kind == "dial"), key=lambda event: event.t_ns))
    move = next(moves, None)
    found = []
    for moment_ns in moments_ns:
        while move is not None and move.t_ns <= moment_ns:
            for lane, setting in now.items():
                if move.lane in ("", lane):
                    setting[move.name] = move.new
            move = next(moves, None)
        found.append({lane: dict(setting) for lane, setting in now.items()})
    return found
