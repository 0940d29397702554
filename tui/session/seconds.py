"""Frames of one lane in, whole seconds out: everything is put into the second in which it happened."""

from dataclasses import dataclass, field

from tui.analysis.intervals.quantiles import percentiles
from tui.records.frame import Chunks, Frame
from tui.records.metrics import e2e_ms, tpot_ms, ttft_ms
from tui.records.rows import Lane, RequestRow, SecondRow
from tui.session.beside import LaneNow
from tui.session.fold.columns import ChunkArrays, int64s
from tui.session.fold.gaps import ChunkGaps

SHARES = (0.50, 0.95, 0.99)


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

    def add(self, frame: Frame) -> None:
        """Take in a frame."""
        self.seen_t_ns, self.streams, self.ramping = frame.t_ns, frame.in_flight, frame.ramping
        self._requests += frame.requests
        self._chunks.append(frame.chunks)
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

    def cut(self, start_ns: int, end_ns: int, segment: int, now: LaneNow) -> LaneSecond:
        """The second from `start_ns` to `end_ns`; later rows stay for the next."""
        chunks, rest = ChunkArrays.of(self._chunks).cut(end_ns)
        self._chunks = [rest.pack()]
        requests = sorted((r for r in self._requests if r.t_end_ns < end_ns), key=lambda r: r.t_end_ns)
        self._requests = [r for r in self._requests if r.t_end_ns >= end_ns]
        started = self._cut_sent(end_ns)
        self._in_flight += started - sum(r.t_send_ns is not None for r in requests)
        packed = chunks.pack()
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
            merged_reads=self._merged_reads,
            reads=len(chunks.tokens),
            bound=self._bound,
            up=now.up and not self._down,
            resting=now.resting,
        )
        self._loop_lag_ms, self._merged_reads, self._bound = 0.0, 0, False
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
        found: dict[str, float | None] = {}
        for name, value_of in (("ttft", ttft_ms), ("tpot", tpot_ms), ("e2e", e2e_ms)):
            values = [v for r in good if (v := value_of(r)) is not None]
            if values:
                found |= _named(name, percentiles(values, SHARES))
        gaps = self._gaps.feed(chunks)
        if len(gaps.itl_ms):
            found |= _named("itl", percentiles(gaps.itl_ms, SHARES, gaps.tokens))
        self._gaps.forget([r.request for r in requests])
        return found


def _named(name: str, values: list[float | None]) -> dict[str, float | None]:
    return {f"{name}_p{round(100 * share)}_ms": value for share, value in zip(SHARES, values, strict=True)}
