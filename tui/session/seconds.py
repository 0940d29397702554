"""Frames in, whole seconds out: everything is put into the second in which it happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from tui.judge.itl import ChunkGaps
from tui.judge.live_counts import LiveCounts
from tui.model.dials import Dials
from tui.model.metrics import e2e_ms, tpot_ms, ttft_ms
from tui.model.profile import Profile
from tui.model.rows import Batch, Chunks, EventRow, Frame, GaugeRow, Lane, RequestRow, SecondRow
from tui.model.session import LaneInfo
from tui.stats.distributions import named_percentiles

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def int64s(packed: bytes) -> Int64:
    """An array over packed little-endian int64, without a copy."""
    return np.frombuffer(packed, dtype="<i8")


@dataclass(slots=True)
class ChunkArrays:
    """Output chunks as three arrays of one length. `tokens` are those that count live."""

    request: Int64
    t_ns: Int64
    tokens: Int32

    @classmethod
    def of(cls, frames: list[Chunks]) -> Self:
        """The chunks of several frames, joined in order."""
        return cls(
            int64s(b"".join(c.request for c in frames)),
            int64s(b"".join(c.t_ns for c in frames)),
            np.frombuffer(b"".join(c.live_tokens for c in frames), dtype="<i4"),
        )

    def pack(self) -> Chunks:
        """Back to the form that travels."""
        return Chunks(self.request.tobytes(), self.t_ns.tobytes(), self.tokens.tobytes())

    def cut(self, t_ns: int) -> tuple[ChunkArrays, ChunkArrays]:
        """Those before `t_ns`, and the rest."""
        early = self.t_ns < t_ns
        late = ~early
        return (
            ChunkArrays(self.request[early], self.t_ns[early], self.tokens[early]),
            ChunkArrays(self.request[late], self.t_ns[late], self.tokens[late]),
        )


class ViewContext(msgspec.Struct, frozen=True):
    """What a view needs besides the rows."""

    profile: Profile
    infos: Mapping[Lane, LaneInfo]
    dials: Mapping[Lane, Dials]
    wall_ns: int


class LaneCondition(msgspec.Struct, frozen=True):
    """What a second's row says of its lane, without what happened in it."""

    concurrency: int
    up: bool
    resting: bool


@dataclass(slots=True)
class LaneSecond:
    """All that happened in one lane in one second."""

    row: SecondRow
    requests: list[RequestRow]
    chunks: Chunks


@dataclass(slots=True)
class LaneCutter:
    """Holds what frames brought until the second it belongs to is complete."""

    lane: Lane
    seen_t_ns: int = 0  # nothing before this is still to come
    streams: int = 0  # in flight, as the driver last said
    ramping: bool = False  # whether they are not yet as many as asked for, as it last said
    _chunks: list[Chunks] = field(default_factory=list)
    _requests: list[RequestRow] = field(default_factory=list)
    _sent: list[bytes] = field(default_factory=list)
    _first: list[bytes] = field(default_factory=list)
    _first_prompt: list[bytes] = field(default_factory=list)
    _in_flight: int = 0
    _cpu_s: float | None = None
    _cpu_cut_s: float | None = None
    _loop_lag_ms: float = 0.0
    _merged_reads: int = 0
    _bound: bool = False
    _down: bool = False
    _gaps: ChunkGaps = field(default_factory=ChunkGaps)
    _counts: LiveCounts = field(default_factory=LiveCounts)

    def add(self, frame: Frame) -> Chunks:
        """Take in a frame; returns its chunks, with what they count live."""
        self.seen_t_ns, self.streams, self.ramping = frame.t_ns, frame.in_flight, frame.ramping
        self._requests += frame.requests
        chunks = self._counts.estimate(frame)
        self._chunks.append(chunks)
        self._sent.append(frame.sent_t_ns)
        self._first.append(frame.first_t_ns)
        self._first_prompt.append(frame.first_prompt_tokens)
        if self._cpu_s is not None and frame.cpu_s_total < self._cpu_s:
            self._cpu_cut_s = 0.0  # a driver started afresh
        self._cpu_s = frame.cpu_s_total
        self._loop_lag_ms = max(self._loop_lag_ms, frame.loop_lag_ms)
        self._merged_reads += frame.merged_reads
        self._bound |= bool(frame.bound)
        self._down = bool(frame.down)
        return chunks

    def cut(self, start_ns: int, end_ns: int, segment: int, now: LaneCondition) -> LaneSecond:
        """The second from `start_ns` to `end_ns`; later rows stay for the next."""
        chunks, rest = ChunkArrays.of(self._chunks).cut(end_ns)
        self._chunks = [rest.pack()]
        requests = sorted((r for r in self._requests if r.t_end_ns < end_ns), key=lambda r: r.t_end_ns)
        self._requests = [r for r in self._requests if r.t_end_ns >= end_ns]
        started = self._cut_sent(end_ns)
        self._in_flight += started - sum(r.t_send_ns is not None for r in requests)
        packed = chunks.pack()
        merged = min(self._merged_reads, len(chunks.tokens))  # a frame on the border of two seconds tells of both
        row = SecondRow(
            lane=self.lane,
            t_ns=start_ns,
            segment=segment,
            concurrency=now.concurrency,
            in_flight=max(self._in_flight, 0),
            started=started,
            finished=sum(r.outcome == "ok" for r in requests),
            failed=sum(r.outcome == "failed" for r in requests),
            output_tokens=int(chunks.tokens.sum()),
            prompt_tokens=self._cut_first(end_ns),
            **self._latencies(packed, requests),
            client_cpu_s=self._cut_cpu(),
            loop_lag_ms=self._loop_lag_ms,
            merged_reads=merged,
            reads=len(chunks.tokens),
            bound=self._bound,
            up=now.up and not self._down,
            resting=now.resting,
        )
        self._loop_lag_ms, self._bound = 0.0, False
        self._merged_reads -= merged
        return LaneSecond(row, requests, packed)

    def reset_flight(self) -> None:
        """The driver is gone, and its streams with it."""
        self._in_flight = self.streams = 0
        self.ramping = False

    def _cut_sent(self, end_ns: int) -> int:
        sent = int64s(b"".join(self._sent))
        early = sent < end_ns
        self._sent = [sent[~early].tobytes()]
        return int(early.sum())

    def _cut_first(self, end_ns: int) -> int:
        first, tokens = int64s(b"".join(self._first)), int64s(b"".join(self._first_prompt))
        early = first < end_ns
        self._first, self._first_prompt = [first[~early].tobytes()], [tokens[~early].tobytes()]
        return int(tokens[early].sum())

    def _cut_cpu(self) -> float:
        used = 0.0 if self._cpu_s is None or self._cpu_cut_s is None else self._cpu_s - self._cpu_cut_s
        self._cpu_cut_s = self._cpu_s
        return max(used, 0.0)

    def _latencies(self, chunks: Chunks, requests: list[RequestRow]) -> dict[str, float | None]:
        good = [r for r in requests if r.outcome == "ok"]
        columns: dict[str, float | None] = {}
        for name, value_of in (("ttft", ttft_ms), ("tpot", tpot_ms), ("e2e", e2e_ms)):
            values = [v for r in good if (v := value_of(r)) is not None]
            if values:
                columns |= _columns(name, named_percentiles(values))
        gaps = self._gaps.feed(chunks)
        if len(gaps.itl_ms):
            columns |= _columns("itl", named_percentiles(gaps.itl_ms, gaps.tokens))
        self._gaps.forget([r.request for r in requests])
        return columns


def _columns(metric: str, values: dict[str, float | None]) -> dict[str, float | None]:
    return {f"{metric}_{percentile}_ms": value for percentile, value in values.items()}


@dataclass(slots=True)
class SessionCutter:
    """Holds what happened in all lanes until its second is complete."""

    lanes: Mapping[Lane, LaneCutter]
    gauges: list[GaugeRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)

    def cut(self, start_ns: int, end_ns: int, segment: int, conditions: Mapping[Lane, LaneCondition]) -> Batch:
        """The second from `start_ns` to `end_ns`; later rows stay for the next."""
        batch = Batch(end_ns)
        for lane, condition in conditions.items():
            second = self.lanes[lane].cut(start_ns, end_ns, segment, condition)
            batch.seconds.append(second.row)
            batch.requests += second.requests
            batch.chunks.append((lane, second.chunks))
        batch.gauges = [row for row in self.gauges if row.t_ns < end_ns]
        batch.events = [row for row in self.events if row.t_ns < end_ns]
        self.gauges = [row for row in self.gauges if row.t_ns >= end_ns]
        self.events = [row for row in self.events if row.t_ns >= end_ns]
        return batch
