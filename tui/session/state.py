"""The state of a session: what is known of each lane, folded from batches, a second at a time, live and replayed.

Latencies are counted in buckets of 1 %, so that percentiles of a moving window cost the same however many values.

Percentiles are of values, never of percentiles: histograms of seconds are merged and the sum is asked. Values kept
whole would cost a sort of a million gaps for a window of five minutes at 3,000 tokens/s.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tui.judge.itl import ChunkGaps
from tui.judge.plausible import Answers, Ints, doubts_of
from tui.model.metrics import NS_PER_S, REQUEST_LATENCIES
from tui.model.profile import Limits, limits_from_text
from tui.model.rows import LANES, Batch, Chunks, EventRow, GaugeRow, Lane, RequestRow, SecondRow
from tui.session.seconds import Bools, ChunkArrays, Floats
from tui.session.verdicts import LiveVerdicts
from tui.session.view import HISTORY_S
from tui.stats.distributions import percentile
from tui.stats.latency import within_limits

LOW_MS: Final = 1e-3
HIGH_MS: Final = 1e6
WIDTH: Final = 1.01  # the value given is the geometric middle of a bucket: at most sqrt(1.01) - 1 = 0.5 % off
_LOG_WIDTH: Final = math.log(WIDTH)
_INSIDE: Final = math.ceil(math.log(HIGH_MS / LOW_MS) / _LOG_WIDTH)
BUCKETS: Final = _INSIDE + 2  # the first holds what lies under LOW_MS, the last what lies over HIGH_MS


@dataclass(frozen=True, slots=True)
class Bucketed:
    """The filled buckets of a batch of values: about 1 kB for a second, where a whole histogram takes 16 kB."""

    place: NDArray[np.int16]
    count: NDArray[np.int64]


def bucketed(values_ms: ArrayLike, weights: ArrayLike | None = None) -> Bucketed:
    """Count values (n,) in ms, each as often as its whole-number weight (n,) says, or once."""
    dense = np.bincount(
        _places(values_ms), weights=None if weights is None else np.asarray(weights, dtype=np.float64)
    )
    return _filled(dense)


def bucketed_by(group: NDArray[np.int64], groups: int, values_ms: ArrayLike, weights: ArrayLike) -> list[Bucketed]:
    """The same of `groups` batches at once: `group` (n,) says which one a value belongs to."""
    dense = np.bincount(
        group * BUCKETS + _places(values_ms),
        weights=np.asarray(weights, dtype=np.float64),
        minlength=groups * BUCKETS,
    )
    return [_filled(row) for row in dense.reshape(groups, BUCKETS)]


def _places(values_ms: ArrayLike) -> NDArray[np.int64]:
    values = np.asarray(values_ms, dtype=np.float64)
    place = np.floor(np.log(np.maximum(values, LOW_MS / 2) / LOW_MS) / _LOG_WIDTH) + 1
    return np.asarray(np.clip(place, 0, BUCKETS - 1), dtype=np.int64)


def _filled(dense: NDArray[Any]) -> Bucketed:
    filled = np.flatnonzero(dense)
    return Bucketed(filled.astype(np.int16), dense[filled].astype(np.int64))


class LatencyHistogram:
    """Counts of latencies from 1 µs to 1,000 s in buckets of 1 %."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(BUCKETS, dtype=np.int64)

    @property
    def n(self) -> int:
        """How many values, or the sum of their weights."""
        return int(self.counts.sum())

    def add(self, values_ms: ArrayLike, weights: ArrayLike | None = None) -> None:
        """Count values (n,) in ms; infinity, a request that never answered, is counted beyond the end."""
        self.merge(bucketed(values_ms, weights))

    def merge(self, other: LatencyHistogram | Bucketed) -> None:
        """Count in everything that `other` holds."""
        if isinstance(other, Bucketed):
            self.counts[other.place] += other.count
        else:
            self.counts += other.counts

    def percentile(self, share: float) -> float | None:
        """The nearest-rank percentile in ms at `share` (0 to 1), at most 0.5 % off; None of nothing.

        Values under 1 µs are given as 1 µs, values over 1,000 s as infinity.
        """
        cumulative = np.cumsum(self.counts)
        if cumulative[-1] <= 0:
            return None
        rank = max(math.ceil(share * int(cumulative[-1]) - 1e-9), 1)
        place = int(np.searchsorted(cumulative, rank))
        if place == 0:
            return LOW_MS
        return math.inf if place == BUCKETS - 1 else LOW_MS * math.exp((place - 0.5) * _LOG_WIDTH)


LONGEST_WINDOW_S = 300
SLOW_OVER_S = 60
EVENTS_KEPT = 500


class Readings(Sequence[tuple[int, float]]):
    """The last readings of one gauge, when in ns and the value: 16 bytes each, where two Python numbers take 110."""

    __slots__ = ("_t_ns", "_values")

    def __init__(self) -> None:
        self._t_ns, self._values = array("q"), array("d")

    def append(self, reading: tuple[int, float]) -> None:
        """The oldest of more than `HISTORY_S` is forgotten."""
        if len(self._t_ns) >= HISTORY_S:
            self.popleft()
        self._t_ns.append(reading[0])
        self._values.append(reading[1])

    def popleft(self) -> None:
        """Forget the oldest."""
        del self._t_ns[0], self._values[0]

    def extend(self, readings: Iterable[tuple[int, float]]) -> None:
        for reading in readings:
            self.append(reading)

    def __len__(self) -> int:
        return len(self._t_ns)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return zip(self._t_ns, self._values, strict=True)

    def __reversed__(self) -> Iterator[tuple[int, float]]:
        return zip(reversed(self._t_ns), reversed(self._values), strict=True)

    @overload
    def __getitem__(self, at: int) -> tuple[int, float]: ...

    @overload
    def __getitem__(self, at: slice) -> list[tuple[int, float]]: ...

    def __getitem__(self, at: int | slice) -> tuple[int, float] | list[tuple[int, float]]:
        if isinstance(at, slice):
            return list(zip(self._t_ns[at], self._values[at], strict=True))
        return self._t_ns[at], self._values[at]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Readings) and (self._t_ns, self._values) == (other._t_ns, other._values)

    __hash__ = None  # type: ignore[assignment]


@dataclass(slots=True)
class SecondDetail:
    """The values behind one second's row: of requests that ended well in it, and of chunks that arrived in it."""

    t_ns: int
    latencies: dict[str, Floats]  # by name, of one length: nan where a request has no such latency
    itl: Bucketed
    in_segment: Bools  # of these requests those that began under the dials of this second
    prompt_tokens: Floats  # one value for each of those, as the server counted
    output_tokens: Floats
    doubts: Ints  # about each request, as bits
    totals: dict[str, tuple[float, int]] = field(init=False)  # sum and number of each latency of `in_segment`
    _good: tuple[Limits, int] | None = None

    def __post_init__(self) -> None:
        counts = self.in_segment.any()
        self.totals = {name: _total(ms[self.in_segment]) for name, ms in self.latencies.items()} if counts else {}

    def good(self, limits: Limits) -> int:
        """How many of `in_segment` met every limit."""
        if self._good is None or self._good[0] is not limits:
            met = within_limits(self.latencies, limits.by_metric)[self.in_segment]
            self._good = (limits, int(met.sum()))
        return self._good[1]


@dataclass(slots=True)
class LaneState:
    """One lane so far."""

    seconds: deque[SecondRow] = field(default_factory=lambda: deque(maxlen=HISTORY_S))
    details: deque[SecondDetail] = field(default_factory=lambda: deque(maxlen=LONGEST_WINDOW_S))
    gauges: dict[tuple[str, str], Readings] = field(default_factory=lambda: defaultdict(Readings))
    done: int = 0
    failed: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    last_error: str = ""
    tokens_from_chunks: bool = False
    stamp: str = ""
    down: EventRow | None = None  # the event that took the lane down, while it is down
    fault: dict[str, str] = field(default_factory=dict)  # by source: what is wrong outside the load
    _gaps: ChunkGaps = field(default_factory=ChunkGaps)
    _slow: tuple[int, int, float] = (0, 0, 0.0)  # the newest detail and their number, and the p95 of E2E with them

    def take_second(self, row: SecondRow, requests: list[RequestRow], chunks: list[Chunks]) -> None:
        """Fold one second in."""
        self.seconds.append(row)
        good = [r for r in requests if r.outcome == "ok"]
        counted = [r for r in good if r.segment == row.segment]
        gaps = self._gaps.feed(_joined(chunks))
        self._gaps.forget([r.request for r in requests])
        self.details.append(
            SecondDetail(
                t_ns=row.t_ns,
                latencies={name: _values(good, value) for name, value in REQUEST_LATENCIES.items()},
                itl=bucketed(gaps.itl_ms, gaps.tokens),
                in_segment=np.array([r.segment == row.segment for r in good], dtype=bool),
                prompt_tokens=np.array(
                    [r.prompt_tokens for r in counted if r.prompt_tokens is not None], dtype=float
                ),
                output_tokens=np.array([r.output_tokens for r in counted], dtype=float),
                doubts=doubts_of(Answers.from_rows(good)),
            )
        )
        self._count(requests)

    def stream_on(self, gaps: ChunkGaps, ended: list[int]) -> None:
        """Streams that are open go on from the last chunks in `gaps`; those of requests that have ended do not."""
        gaps.forget(ended)
        self._gaps = gaps

    @property
    def e2e_p95_ms(self) -> float:
        """Over the last minute; 0 before a request ended. Worked out once a second, however often it is asked for."""
        newest = self.details[-1].t_ns if self.details else 0
        if self._slow[:2] != (newest, len(self.details)):
            self._slow = (newest, len(self.details), self._e2e_p95_ms())
        return self._slow[2]

    def _e2e_p95_ms(self) -> float:
        recent = [second.latencies["e2e"] for second in list(self.details)[-SLOW_OVER_S:]]
        ms = np.concatenate(recent or [np.empty(0)])
        return percentile(ms[~np.isnan(ms)], 0.95) or 0.0

    def _count(self, requests: list[RequestRow]) -> None:
        for r in requests:
            if r.outcome == "ok":
                self.stamp = r.stamp
                self.done += 1
                self.tokens_from_chunks = r.tokens_from.startswith("chunks")
            elif r.outcome in ("failed", "refused"):
                self.failed += r.outcome == "failed"
                self.causes[r.cause] += 1
                self.last_error = f"{r.cause}: {r.detail}" if r.detail else r.cause

    def take_gauge(self, row: GaugeRow) -> None:
        """Keep a reading; a source that reads again has no fault any more."""
        self.gauges[row.source, row.name].append((row.t_ns, row.value))
        self.fault.pop("gpu" if row.source.startswith("gpu") else row.source, None)

    def take_event(self, row: EventRow) -> None:
        """Follow the lane down and up, and faults outside the load."""
        if row.kind == "down":
            self.down = row
        elif row.kind == "up":
            self.down = None
        elif row.kind == "fault":
            self.fault[row.name] = row.text  # empty: it is over


@dataclass(slots=True)
class SessionState:
    """Both lanes so far, and what happened."""

    t0_ns: int
    lanes: dict[Lane, LaneState] = field(default_factory=lambda: {lane: LaneState() for lane in LANES})
    events: deque[EventRow] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    dial_events: list[EventRow] = field(default_factory=list)
    incomparable: str = ""
    limits: Limits | None = None  # as set from the screen; None: those of the profile
    segment: int = 0
    t_ns: int = 0
    live_verdicts: LiveVerdicts | None = None  # None in a replay, which knows from elsewhere what was said

    def begin(self, t0_ns: int) -> None:
        """The load starts: second 0 is from here."""
        self.t0_ns = self.t_ns = t0_ns
        if self.live_verdicts is not None:
            self.live_verdicts.restart(t0_ns)

    @property
    def elapsed_s(self) -> float:
        """How long the complete seconds are."""
        return (self.t_ns - self.t0_ns) / NS_PER_S

    @property
    def settled_ns(self) -> int | None:
        """From when the figures are of the dials now in force; None before that."""
        return None if self.live_verdicts is None else self.live_verdicts.segment.settled_ns

    @property
    def slow_ms(self) -> float:
        """The p95 of E2E over the last minute in the slower lane; 0 before a request ended."""
        return max(lane.e2e_p95_ms for lane in self.lanes.values())

    def apply(self, batch: Batch) -> None:
        """Fold in a batch that holds whole seconds."""
        self.t_ns = max(self.t_ns, batch.t_ns)
        for event in batch.events:
            self.take_event(event)
        for gauge in batch.gauges:
            self.lanes[gauge.lane].take_gauge(gauge)
        requests: dict[Lane, list[RequestRow]] = {lane: [] for lane in LANES}
        for request in batch.requests:
            requests[request.lane].append(request)
        for row in batch.seconds:
            self.lanes[row.lane].take_second(
                row, requests[row.lane], [chunks for lane, chunks in batch.chunks if lane == row.lane]
            )
        if batch.seconds and self.live_verdicts is not None:
            self.live_verdicts.take(batch.seconds, batch.requests, self.slow_ms)

    def take_event(self, event: EventRow) -> None:
        self.events.append(event)
        if event.kind == "dial":
            self.dial_events.append(event)
            self.segment += 1
            if self.live_verdicts is not None:
                self.live_verdicts.turn(event)
        elif event.kind == "incomparable":
            self.incomparable = event.text
        elif event.kind == "limits":
            self.limits = limits_from_text(event.new)
            if self.live_verdicts is not None:
                self.live_verdicts.limit(self.limits)
        for lane in LANES:
            if event.lane in ("", lane):
                self.lanes[lane].take_event(event)


def _total(ms: Floats) -> tuple[float, int]:
    known = ms[~np.isnan(ms)]
    return float(known.sum()), len(known)


def _joined(chunks: list[Chunks]) -> Chunks:
    return chunks[0] if len(chunks) == 1 else ChunkArrays.of(chunks).pack()


def _values(requests: list[RequestRow], value: Callable[[RequestRow], float | None]) -> Floats:
    return np.array([value(r) for r in requests], dtype=float)
