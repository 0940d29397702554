"""Made-up sessions of any length and rate, the same each time for one seed."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tui.model.rows import (
    LANES,
    Batch,
    Chunks,
    EventRow,
    GaugeRow,
    Lane,
    RequestRow,
    SecondRow,
)
from tui.model.session import LaneInfo, SessionInfo
from tui.recording.recorder import BACKLOG_BYTES, Recorder

T0_NS = 86_400_000_000_000
WALL_NS = 1_790_000_000_000_000_000
SECOND_NS = 1_000_000_000
FAST_S = 0.01


def info(name: str = "made-up", **changes: object) -> SessionInfo:
    """A session of two servers that were never there."""
    lanes = {
        "a": LaneInfo(url="http://127.0.0.1:8001", engine="vllm", title="vLLM", version="0.33.0", model="tiny"),
        "b": LaneInfo(url="http://127.0.0.1:8002", engine="sglang", title="SGLang", version="0.5.23", model="tiny"),
    }
    known: dict[str, object] = {
        "name": name,
        "profile": {"name": name, "a": {"url": "http://127.0.0.1:8001"}, "b": {"url": "http://127.0.0.1:8002"}},
        "lanes": lanes,
        "t0_ns": T0_NS,
        "wall_ns": WALL_NS,
        "host": {"name": "here"},
        "version": "0.1.0",
    }
    return SessionInfo(**{**known, **changes})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Load:
    """How much happens in each lane."""

    requests_per_s: int = 10
    tokens: int = 20
    failed_every: int = 9
    step_ns: int = 20_000_000  # of the server: all its streams get a token in each


def batches(seconds: int, load: Load | None = None, seed: int = 1, first: int = 0) -> Iterator[Batch]:
    """One batch for each second from `first` on; a second's content depends on the seed and its number alone."""
    load = load or Load()
    for second in range(first, first + seconds):
        rng = np.random.default_rng((seed, second))
        t_ns = T0_NS + second * SECOND_NS
        batch = Batch(t_ns=t_ns + SECOND_NS)
        for lane in LANES:
            batch.requests += _requests(lane, second, load, rng)
            batch.chunks.append((lane, _chunks(second, load, rng)))
            batch.seconds.append(_second(lane, t_ns, load, rng))
            batch.gauges.append(GaugeRow(lane, "server", "running", t_ns, float(rng.integers(0, 64))))
        if second % 7 == 0:
            batch.events.append(EventRow("a", t_ns, "dial", "concurrency", str(second), str(second + 1)))
        yield batch


def _requests(lane: Lane, second: int, load: Load, rng: np.random.Generator) -> list[RequestRow]:
    end = np.sort(rng.integers(0, SECOND_NS, load.requests_per_s)) + T0_NS + second * SECOND_NS
    took = rng.integers(300_000_000, 900_000_000, load.requests_per_s)
    ttft = rng.integers(30_000_000, 200_000_000, load.requests_per_s)
    rows = []
    for at, (end_ns, took_ns, ttft_ns) in enumerate(zip(end.tolist(), took.tolist(), ttft.tolist(), strict=True)):
        number = second * load.requests_per_s + at
        send_ns = end_ns - took_ns
        bad = load.failed_every and number % load.failed_every == 0
        rows.append(
            RequestRow(
                lane=lane,
                request=number,
                segment=second // 7,
                t_sched_ns=send_ns - 40_000,
                t_send_ns=send_ns,
                t_first_ns=None if bad else send_ns + ttft_ns,
                t_last_ns=None if bad else end_ns - 60_000,
                t_end_ns=end_ns,
                connect_ms=0.25 if number % 50 == 0 else None,
                prompt_tokens_asked=512,
                prompt_tokens=None if bad else 512,
                cached_tokens=None if bad else 16,
                output_tokens_asked=load.tokens,
                output_tokens=0 if bad else load.tokens,
                tokens_from="usage",
                chunks=0 if bad else load.tokens,
                k_first=0 if bad else 1,
                finish_reason="" if bad else "length",
                outcome="failed" if bad else "ok",
                http_status=503 if bad else 200,
                cause="http 5xx" if bad else "",
                detail="no capacity left" if bad else "",
                stamp="kernel",
            )
        )
    return rows


def _chunks(second: int, load: Load, rng: np.random.Generator) -> Chunks:
    """Every stream gets its token in the same step of the server, microseconds after the one before."""
    steps = SECOND_NS // load.step_ns
    streams = max(1, load.requests_per_s * load.tokens // steps)
    start = T0_NS + second * SECOND_NS + np.arange(steps) * load.step_ns + rng.integers(0, load.step_ns // 4, steps)
    t_ns = np.sort((start[:, None] + np.cumsum(rng.exponential(4_000, (steps, streams)), axis=1)).ravel())
    request = np.tile(np.arange(streams), steps) + second * load.requests_per_s
    return Chunks(
        request.astype("<i8").tobytes(), t_ns.astype("<i8").tobytes(), np.ones(t_ns.size, dtype="<i4").tobytes()
    )


def _second(lane: Lane, t_ns: int, load: Load, rng: np.random.Generator) -> SecondRow:
    p50, p95, p99 = np.sort(rng.uniform(20, 300, 3)).round(3).tolist()
    return SecondRow(
        lane=lane,
        t_ns=t_ns,
        segment=(t_ns - T0_NS) // (7 * SECOND_NS),
        concurrency=16,
        in_flight=int(rng.integers(0, 17)),
        started=load.requests_per_s,
        finished=load.requests_per_s - 1,
        failed=1,
        output_tokens=load.requests_per_s * load.tokens,
        prompt_tokens=load.requests_per_s * 512,
        ttft_p50_ms=p50,
        ttft_p95_ms=p95,
        ttft_p99_ms=p99,
        client_cpu_s=float(rng.uniform(0, 0.2)),
    )


def record(
    directory: Path, batches: Iterable[Batch], *, about: SessionInfo | None = None, backlog_bytes: int = BACKLOG_BYTES
) -> Recorder:
    """Record batches one after the other, each on the disk before the next is given."""
    recorder = Recorder(directory, about or info(), flush_every_s=FAST_S, backlog_bytes=backlog_bytes)
    for batch in batches:
        recorder(batch)
        wait_for(lambda at=batch.t_ns: recorder.durable_t_ns == at)  # type: ignore[misc]
    return recorder


def wait_for(done: Callable[[], bool]) -> None:
    """Until another thread has made it so."""
    tick = threading.Event()
    for _ in range(2_000):
        if done():
            return
        tick.wait(0.005)
    raise AssertionError("it never came")
