"""Segments: spans with every dial fixed in both lanes, without the settling time at their start.

A second counts when it is settled, both lanes are up, and the client was not the limit in either. A session feeds its
segment a second at a time; reports, windows and exports feed theirs from tables.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tui.judge.comparable import Work
from tui.judge.tables import Bools, Floats, Ints, Requests, Seconds, Span, for_lane
from tui.model.dials import DIALS, Dials, DialSpec, DialValue, dial_text
from tui.model.metrics import NS_PER_S, REQUEST_LATENCIES
from tui.model.profile import Limits
from tui.model.rows import LANES, EventRow, Lane, SecondRow
from tui.stats.latency import Latencies, counts_in

MIN_SETTLING_S: Final = 5.0
MAX_SETTLING_S: Final = 60.0
AGREE_WINDOW_S: Final = 5
AGREE_WINDOWS: Final = 3
AGREE_WITHIN: Final = 0.10
MAX_REQUESTS: Final = 40_000  # a lane; 2.2 MB, and a percentile of them takes 2 ms. Beyond it the oldest half goes
MAX_SECONDS: Final = 14_400  # four hours; beyond it the oldest hour goes, whole batches of 20 s
FORGOTTEN_S: Final = 3_600


def _floats() -> array[float]:
    return array("d")


def _ints() -> array[int]:
    return array("q")


# Pairs of counts of a lane's seconds that are equal in the long run: what goes into answers comes out of them. The
# third is Little's law.
BALANCES: Final = (("ended", "tps"), ("begun", "ended_prompts"), ("in_flight", "flown_s"))


@dataclass(slots=True)
class LaneSegment:
    """One lane's share of a segment: growing columns of the seconds that count, and of requests."""

    tps: array[float] = field(default_factory=_floats)  # output tokens of each second that counts
    at_s: array[float] = field(default_factory=_floats)  # when it began
    begun: array[float] = field(default_factory=_floats)  # prompt tokens of the answers that began in it
    in_flight: array[float] = field(default_factory=_floats)  # requests at its end
    ended: array[float] = field(default_factory=_floats)  # tokens of the answers that ended in it
    ended_prompts: array[float] = field(default_factory=_floats)  # tokens of their prompts
    flown_s: array[float] = field(default_factory=_floats)  # how long they were in flight, in all
    sent_ns: array[int] = field(default_factory=_ints)
    end_ns: array[int] = field(default_factory=_ints)
    ok: array[int] = field(default_factory=_ints)
    doubts: array[int] = field(default_factory=_ints)
    ms: Mapping[str, array[float]] = field(default_factory=lambda: {name: _floats() for name in REQUEST_LATENCIES})
    work: Work = field(default_factory=Work)  # of those sent in settled time that ended well
    forgotten: tuple[int, int] = (0, 0)  # requests no longer kept that ended well, and that failed
    _requests: Requests | None = None  # those kept, as columns; None: made anew when asked for

    def add(self, requests: Requests) -> None:
        self._requests = None
        self.sent_ns.frombytes(requests.sent_ns.tobytes())
        self.end_ns.frombytes(requests.end_ns.tobytes())
        self.ok.frombytes(requests.ok.astype(np.int64).tobytes())
        self.doubts.frombytes(requests.doubts.tobytes())
        for name, column in self.ms.items():
            column.frombytes(requests.ms[name].astype(np.float64).tobytes())

    def add_seconds(self, seconds: Seconds, counts: Bools) -> None:
        """Those that count; what ended in them comes with the requests."""
        self.tps.extend(seconds.tokens[counts].astype(float))
        self.at_s.extend(seconds.t_ns[counts] / NS_PER_S)
        self.begun.extend(seconds.begun[counts].astype(float))
        self.in_flight.extend(seconds.in_flight[counts].astype(float))
        for column in (self.ended, self.ended_prompts, self.flown_s):
            column.frombytes(bytes(8 * int(counts.sum())))

    def add_ended(self, requests: Requests) -> None:
        """To the seconds that count in which they ended."""
        if requests.tokens is None or not self.at_s:
            return
        at_s, end_s = np.array(self.at_s), requests.end_ns / NS_PER_S
        place = np.searchsorted(at_s, end_s, side="right") - 1
        inside = (place >= 0) & (end_s - at_s[np.maximum(place, 0)] < 1)
        flown_s = (requests.end_ns - requests.sent_ns) / NS_PER_S
        for column, values in zip(
            (self.ended, self.ended_prompts, self.flown_s), (*requests.tokens, flown_s), strict=True
        ):
            np.add.at(np.frombuffer(column), place[inside], values[inside])

    def forget_seconds(self, count: int) -> None:
        """The oldest."""
        for name in ("tps", "at_s", *{name for pair in BALANCES for name in pair if name != "tps"}):
            del getattr(self, name)[:count]

    @property
    def requests(self) -> Requests:
        """Those kept, as columns."""
        if self._requests is None:
            ms = {name: np.array(column) for name, column in self.ms.items()}
            sent_ns, end_ns, doubts = map(np.array, (self.sent_ns, self.end_ns, self.doubts))
            self._requests = Requests(sent_ns, end_ns, np.array(self.ok, dtype=bool), doubts, ms)
        return self._requests

    def forget(self, count: int) -> None:
        """The oldest requests, which the caller has counted."""
        self._requests = None
        for whole_numbers in (self.sent_ns, self.end_ns, self.ok, self.doubts):
            del whole_numbers[:count]
        for column in self.ms.values():
            del column[:count]


@dataclass(slots=True)
class Segment:
    """One span of fixed dials. Lanes that take turns each have their own seconds that count.

    A latency belongs to the segment in whose settled time its request was sent, however late that ended; a request
    is counted as done or failed where it was both sent and ended in settled time.
    """

    start_ns: int = 0
    settled_ns: int | None = None  # from here on it counts; None: not settled yet
    end_ns: int = 0  # of the last second it was fed
    number: int = 0
    lanes: dict[Lane, LaneSegment] = field(default_factory=lambda: {lane: LaneSegment() for lane in LANES})
    bound_s: int = 0  # settled seconds left out because the client was the limit
    down_s: int = 0  # settled seconds left out because a lane was down
    in_turns: bool = False  # the lanes were never measured in the same second
    finished: set[Lane] = field(default_factory=set)  # lanes in which a request of this segment ended well

    @property
    def settled_s(self) -> int:
        """How many seconds count."""
        return min((len(lane.tps) for lane in self.lanes.values()), default=0)

    def lane(self, lane: Lane) -> LaneSegment:
        """The share of a lane; nothing of one that has none."""
        return self.lanes.get(lane) or LaneSegment()

    def settle(self, rows: Mapping[Lane, SecondRow], requests: Mapping[Lane, Requests], slow_ms: float) -> None:
        """Settle once the time is up and a request of this segment has ended in every lane that has any.

        `rows` are those of one second, `requests` ended in it, `slow_ms` is the recent p95 of E2E in the slower lane.
        Lanes that take turns are settled at once: their seconds of ramp and drain are `resting` and never count.
        """
        for lane, ended in requests.items():
            if np.any(ended.ok & (ended.sent_ns >= self.start_ns)):
                self.finished.add(lane)
        if self.settled_ns is not None:
            return
        end_ns = next(iter(rows.values())).t_ns + NS_PER_S
        age_s = (end_ns - self.start_ns) / NS_PER_S
        waiting = {lane for lane, row in rows.items() if row.up and row.in_flight} - self.finished
        if any(row.resting for row in rows.values()):
            self.settled_ns = self.start_ns
        elif age_s >= settling_s(slow_ms) and (not waiting or age_s >= MAX_SETTLING_S):
            self.settled_ns = end_ns

    def settling_s(self, now_ns: int, slow_ms: float) -> float:
        """About how long until it is settled; 0 when it is."""
        if self.settled_ns is not None:
            return 0.0
        return max(0.0, settling_s(slow_ms) - (now_ns - self.start_ns) / NS_PER_S)

    def add_seconds(self, seconds: Mapping[Lane, Seconds]) -> None:
        """Count the same whole seconds of every lane."""
        t_ns = next(iter(seconds.values())).t_ns
        if not t_ns.size:
            return
        self.end_ns = int(t_ns[-1]) + NS_PER_S
        if self.settled_ns is None:
            return
        bound = np.any([lane.bound & ~lane.resting for lane in seconds.values()], axis=0)
        up = np.all([lane.up | lane.resting for lane in seconds.values()], axis=0)
        settled = t_ns >= self.settled_ns
        self.bound_s += int(np.sum(settled & bound))
        self.down_s += int(np.sum(settled & ~up))
        self.in_turns |= any(bool(lane.resting.any()) for lane in seconds.values())
        for name, lane in seconds.items():
            counts = settled & up & ~bound & ~lane.resting
            self.lanes[name].add_seconds(lane, counts)

    def add_requests(self, lane: Lane, requests: Requests) -> None:
        """Keep requests that were sent or ended in this segment."""
        if self.settled_ns is None:
            return
        self.lanes[lane].add(requests)
        self.lanes[lane].add_ended(requests)
        if requests.work is not None:
            ended_well = requests.ok & self.measured(lane, requests.sent_ns)
            self.lanes[lane].work += Work.of_requests(requests.work[:, ended_well])

    def forget_oldest(self) -> None:
        """Keep to the limits of memory."""
        for name, lane in self.lanes.items():
            if len(lane.sent_ns) >= MAX_REQUESTS:
                first = np.arange(len(lane.sent_ns)) < MAX_REQUESTS // 2
                ok, failed = self._outcomes(name, lane.requests[first])
                lane.forgotten = (lane.forgotten[0] + ok, lane.forgotten[1] + failed)
                lane.forget(MAX_REQUESTS // 2)
            if len(lane.tps) >= MAX_SECONDS:
                lane.forget_seconds(FORGOTTEN_S)

    def spans(self, lane: Lane) -> list[Span]:
        """When the lane was measured: from the settled moment to the end, or its turns."""
        if not self.in_turns:
            settled_ns = self.end_ns if self.settled_ns is None else self.settled_ns
            return [(settled_ns, self.end_ns)] if settled_ns < self.end_ns else []
        if not (starts_ns := self._starts_ns(lane)).size:
            return []
        gaps = np.flatnonzero(np.diff(starts_ns) != NS_PER_S)
        begins, ends = starts_ns[np.append(0, gaps + 1)], starts_ns[np.append(gaps, -1)] + NS_PER_S
        return list(zip(begins.tolist(), ends.tolist(), strict=True))

    def measured(self, lane: Lane, t_ns: Ints) -> Bools:
        """Which moments (n,) lie in the time in which the lane was measured."""
        if self.settled_ns is None:
            return np.zeros(t_ns.size, dtype=bool)
        if not self.in_turns:
            return (t_ns >= self.settled_ns) & (t_ns < self.end_ns)
        starts_ns = self._starts_ns(lane)
        place = np.searchsorted(starts_ns, t_ns, side="right") - 1
        return (place >= 0) & (t_ns - starts_ns[np.maximum(place, 0)] < NS_PER_S) if starts_ns.size else place >= 0

    def outcomes(self, lane: Lane) -> tuple[int, int]:
        """Requests sent and ended in settled time that ended well, and that failed."""
        ok, failed = self._outcomes(lane, self.lane(lane).requests)
        before = self.lane(lane).forgotten
        return before[0] + ok, before[1] + failed

    def doubts(self, lane: Lane) -> Ints:
        """The doubts about each request sent in settled time that ended well, as bits."""
        requests = self.lane(lane).requests
        return requests.doubts[self.measured(lane, requests.sent_ns) & requests.ok]

    def latencies(self, lane: Lane, metric: str) -> Latencies:
        """One latency of the requests sent in settled time, in the order in which they were sent."""
        requests = self.lane(lane).requests
        sent = requests[self.measured(lane, requests.sent_ns)]
        ms = sent.ms[metric]
        known = sent.ok & ~np.isnan(ms)
        order = np.argsort(sent.sent_ns[known], kind="stable")
        t_s: Floats = sent.sent_ns[known][order] / 1e9
        return Latencies(t_s, ms[known][order], int(np.sum(~sent.ok)))

    def good(self, lane: Lane, limits: Limits) -> list[float]:
        """How many requests ended within every limit in each second that counts, whenever they were sent."""
        requests, at_s = self.lane(lane).requests, self.lane(lane).at_s
        return counts_in(requests.end_ns[requests.good(limits)] / 1e9, at_s)

    def good_share(self, lane: Lane, limits: Limits) -> tuple[int, int]:
        """Of the requests counted (see `outcomes`), how many ended within every limit, and how many they are."""
        counted = self._counted(lane, self.lane(lane).requests)
        return int(np.sum(counted.good(limits))), counted.ok.size

    def _counted(self, lane: Lane, requests: Requests) -> Requests:
        return requests[self.measured(lane, requests.sent_ns) & self.measured(lane, requests.end_ns)]

    def _outcomes(self, lane: Lane, requests: Requests) -> tuple[int, int]:
        counted = self._counted(lane, requests).ok
        return int(np.sum(counted)), int(np.sum(~counted))

    def _starts_ns(self, lane: Lane) -> Ints:
        return np.round(np.array(self.lane(lane).at_s) * NS_PER_S).astype(np.int64)


def segments(seconds: pl.DataFrame, requests: pl.DataFrame, settled_events_ns: Sequence[int] = ()) -> list[Segment]:
    """All segments of the tables `seconds` and `requests`, in order of time; those of one lane where there is one.

    `settled_events_ns`: the moments at which the recording says that the dials had settled. Without any, as in
    another tool's result, they are worked out from the requests.
    """
    lanes, numbers = common_seconds(seconds)
    if not numbers.size:
        return []
    columns = {lane: Requests.from_frame(for_lane(requests, lane)) for lane in lanes}
    borders = np.flatnonzero(np.diff(numbers)) + 1
    starts = [0, *borders.tolist()]
    estimate = _SettlingEstimate(requests)
    parts = []
    for first, end in zip(starts, [*starts[1:], numbers.size], strict=True):
        part = {lane: whole[first:end] for lane, whole in lanes.items()}
        t_ns = next(iter(part.values())).t_ns
        start_ns, end_ns, number = int(t_ns[0]), int(t_ns[-1]) + NS_PER_S, int(numbers[first])
        in_turns = any(bool(lane.resting.any()) for lane in part.values())
        estimate_ns = estimate.settled_ns(number, start_ns, [lane.tokens.astype(float) for lane in part.values()])
        settled_ns = settled_at(settled_events_ns, start_ns, end_ns, estimate_ns, in_turns=in_turns)
        segment = Segment(start_ns, settled_ns, number=number, lanes={lane: LaneSegment() for lane in part})
        segment.add_seconds(part)
        for lane, lane_requests in columns.items():
            touching = (lane_requests.end_ns >= start_ns) & (lane_requests.sent_ns < end_ns)
            segment.add_requests(lane, lane_requests[touching])
        parts.append(segment)
    return parts


def settled_at(events_ns: Sequence[int], start_ns: int, end_ns: int, estimate_ns: int, *, in_turns: bool) -> int:
    """When a segment was settled, by the events of the recording; its end where only earlier ones were.

    A recording without such events, or a part that begins after its first segment settled, has the estimate.
    """
    if in_turns:
        return start_ns
    said_ns = next((t_ns for t_ns in events_ns if start_ns < t_ns <= end_ns), None)
    if said_ns is not None:
        return said_ns
    return end_ns if any(t_ns <= start_ns for t_ns in events_ns) else estimate_ns


def settling_s(slow_e2e_ms: float = 0.0) -> float:
    """The shortest settling time: twice the p95 of E2E, within 5 to 60 s."""
    return min(max(2 * slow_e2e_ms / 1000, MIN_SETTLING_S), MAX_SETTLING_S)


def agreed_s(lanes: Sequence[NDArray[np.float64]]) -> float:
    """When three windows of 5 s in a row first lie within ±10 % of their mean in every lane (seconds,).

    0 when they never do within the first minute: that is noise, and waiting longer would not settle it.
    """
    whole = min((len(lane) for lane in lanes), default=0) // AGREE_WINDOW_S
    windows = [lane[: whole * AGREE_WINDOW_S].reshape(whole, AGREE_WINDOW_S).sum(axis=1) for lane in lanes]
    for first in range(min(whole - AGREE_WINDOWS + 1, int(MAX_SETTLING_S) // AGREE_WINDOW_S)):
        if all(_agree(lane[first : first + AGREE_WINDOWS]) for lane in windows):
            return float(first * AGREE_WINDOW_S)
    return 0.0


def _agree(windows: NDArray[np.float64]) -> bool:
    mean = windows.mean()
    return bool(np.all(np.abs(windows - mean) <= AGREE_WITHIN * mean))


def common_seconds(seconds: pl.DataFrame) -> tuple[dict[Lane, Seconds], Ints]:
    """The seconds that every lane has, in order of time, and the number of the segment of each."""
    lanes: dict[Lane, pl.DataFrame] = {}
    for lane in LANES:
        rows = seconds.filter(pl.col("lane") == lane).unique("t_ns", keep="last").sort("t_ns")
        if rows.height:
            lanes[lane] = rows
    for other in list(lanes.values()):
        lanes = {lane: rows.join(other, on="t_ns", how="semi", maintain_order="left") for lane, rows in lanes.items()}
    numbers = [rows["segment"].to_numpy().astype(np.int64) for rows in lanes.values()]
    return {lane: Seconds.from_frame(rows) for lane, rows in lanes.items()}, numbers[0] if numbers else np.empty(
        0, int
    )


class _SettlingEstimate:
    """When segments settled, from the requests of the whole session."""

    def __init__(self, requests: pl.DataFrame) -> None:
        ends = requests.group_by("segment").agg(pl.col("t_end_ns").max())
        self._drained_ns = dict(zip(ends["segment"].to_list(), ends["t_end_ns"].to_list(), strict=True))
        e2e_ms = (pl.col("t_last_ns") - pl.col("t_send_ns")) / 1e6
        slow = (
            requests.filter(pl.col("outcome") == "ok")
            .group_by("segment", "lane")
            .agg(e2e_ms.quantile(0.95, interpolation="higher").alias("p95"))
            .group_by("segment")
            .agg(pl.col("p95").max())
            .drop_nulls()
        )
        self._slow_ms = dict(zip(slow["segment"].to_list(), slow["p95"].to_list(), strict=True))

    def settled_ns(self, number: int, start_ns: int, tokens: Sequence[NDArray[np.float64]]) -> int:
        """Once the time is up, throughput agrees with itself and every request of earlier segments has ended."""
        drained_ns = [t_ns for earlier, t_ns in self._drained_ns.items() if earlier < number]
        cut_s = max(settling_s(self._slow_ms.get(number, 0.0)), agreed_s(tokens))
        settled_ns: int = max(start_ns + int(cut_s * NS_PER_S), *drained_ns, start_ns)
        return settled_ns


Setting = Mapping[str, str]  # each dial's value as the operator reads it, by the dial's name; empty: not known
Settings = Mapping[Lane, Setting]


def first_settings(profile: Mapping[str, Any], lanes: Iterable[str]) -> dict[Lane, dict[str, str]]:
    """The dials of each lane as the session began, from the profile in `session.toml`; empty where not known."""
    present = set(lanes)
    settings: dict[Lane, dict[str, str]] = {}
    for lane in LANES:
        if lane in present:
            dials = {**profile.get("load", {}), **(profile.get(lane) or {}).get("dials", {})}
            settings[lane] = {spec.name: _text(spec, dials.get(spec.name, _untouched(spec))) for spec in DIALS}
    return settings


def dial_texts(dials: Dials) -> dict[str, str]:
    """Each dial's value as the operator reads it."""
    return {spec.name: dial_text(spec, getattr(dials, spec.name)) for spec in DIALS}


def _untouched(spec: DialSpec) -> DialValue | None:
    """Of a dial of traffic files, which recordings made before there were any do not have."""
    return getattr(Dials(), spec.name) if spec.needs else None


def _text(spec: DialSpec, value: DialValue | None) -> str:
    return "" if value is None else dial_text(spec, value)


def settings_at(
    profile: Mapping[str, Any], lanes: Iterable[str], events: Iterable[EventRow], moments_ns: Iterable[int]
) -> list[dict[Lane, dict[str, str]]]:
    """The dials of each lane at each of `moments_ns`, which rise."""
    now = first_settings(profile, lanes)
    moves = iter(sorted((event for event in events if event.kind == "dial"), key=lambda event: event.t_ns))
    move = next(moves, None)
    settings = []
    for moment_ns in moments_ns:
        while move is not None and move.t_ns <= moment_ns:
            for lane, setting in now.items():
                if move.lane in ("", lane):
                    setting[move.name] = move.new
            move = next(moves, None)
        settings.append({lane: dict(setting) for lane, setting in now.items()})
    return settings
