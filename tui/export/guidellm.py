"""GuideLLM's `benchmarks.json` (schema 2), with GuideLLM 0.8's definitions.

Its clock is the wall clock. Latency runs until the end of the stream; TPOT is `(t_last - t_send) / n`, with the TTFT
in it; ITL is `(t_last - t_first) / (n - 1)`, weighted by `n - 1`; token rates spread a request's tokens evenly from
its first to its last chunk. Cancelled requests are its `incomplete`, failed ones its `errored`.
"""

import platform
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tui.export.exported_lane import (
    NS,
    ExportedLane,
    Floats,
    Ints,
    concurrency,
    distribution,
    exported_lanes,
    exported_setting,
    origin,
    rates,
)
from tui.export.job import ExportedFile, Job, exported, placeholder, write_filled

VERSION = "0.8.1"  # whose definitions these are
OUTCOMES = {"successful": "ok", "incomplete": "cancelled", "errored": "failed"}
_INFO_STATUS = {"ok": "completed", "cancelled": "cancelled", "failed": "errored"}
_NOT_RECORDED = {
    "text": ("tokens", "words", "characters"),
    "image": ("tokens", "images", "pixels", "bytes"),
    "video": ("tokens", "frames", "seconds", "bytes"),
    "audio": ("tokens", "samples", "seconds", "bytes"),
    "tool_call": ("tokens", "mixed_tokens", "count"),
}

Mask = NDArray[np.bool_]  # of the requests
Distribution = dict[str, Any]
ByStatus = dict[str, Distribution]


def write_guidellm(job: Job) -> list[ExportedFile]:
    """One `benchmarks.json` a lane, with one benchmark."""
    lanes = exported_lanes(job, with_cancelled=True)
    return [_write(job, lane, len(lanes) == 1) for lane in lanes]


def _write(job: Job, lane: ExportedLane, alone: bool) -> ExportedFile:
    path = job.path(f"{job.session.name}.{lane.name}.guidellm", ".json", alone)
    lists = {status: _requests(lane, job, outcome) for status, outcome in OUTCOMES.items()}
    write_filled(path, _report(job, lane), lists)
    return exported(path, f"lane {lane.name}", lane.requests.height)


def _report(job: Job, lane: ExportedLane) -> dict[str, Any]:
    backend = {"kind": "openai_http", "target": lane.info.url, "model": lane.info.model}
    data = {
        "kind": "synthetic_text",
        "prompt_tokens": int(lane.count("prompt_tokens_asked")[0]),
        "output_tokens": int(lane.count("output_tokens_asked")[0]),
    }
    return {
        "metadata": {
            "version": 2,
            "guidellm_version": VERSION,
            "python_version": platform.python_version(),
            "platform": job.info.host.get("system", "unknown"),
        },
        "simulated": job.info.simulated,
        "dragstrip": origin(job, lane),
        "config": {"spec": {"backend": backend, "profile": _profile(job, lane), "data": [data]}},
        "benchmarks": [_benchmark(job, lane)],
    }


def _strategy(job: Job, lane: ExportedLane) -> dict[str, Any]:
    setting = exported_setting(job, lane)
    if setting.closed:
        return {"type_": "concurrent", "streams": max(1, setting.concurrency)}
    return {"type_": "poisson" if setting.arrival == "poisson" else "constant", "rate": setting.request_rate}


def _profile(job: Job, lane: ExportedLane) -> dict[str, Any]:
    """The strategies that a run goes through: one."""
    strategy = _strategy(job, lane)
    return {"kind": strategy.pop("type_"), **{name: [value] for name, value in strategy.items()}}


class _Clock:
    """A lane's stamps on the wall clock, in seconds, as GuideLLM has them."""

    def __init__(self, job: Job, lane: ExportedLane) -> None:
        offset_ns = job.info.wall_ns - job.info.t0_ns
        stamps = (
            lane.requests[name] + offset_ns
            for name in ("t_sched_ns", "t_send_ns", "t_first_ns", "t_last_ns", "t_end_ns")
        )
        self.sched, self.send, self.first, self.last, self.end = (
            stamp.cast(pl.Float64).fill_null(np.nan).to_numpy() / NS for stamp in stamps
        )
        self.start_s = float(np.nanmin(self.send)) if np.isfinite(self.send).any() else float(self.sched.min())
        self.end_s = float(self.end.max())


def _benchmark(job: Job, lane: ExportedLane) -> dict[str, Any]:
    clock = _Clock(job, lane)
    counts = {status: int((lane.requests["outcome"] == outcome).sum()) for status, outcome in OUTCOMES.items()}
    totals = counts | {"total": lane.requests.height}
    return {
        "type_": "generative_benchmark",
        "config": {
            "id_": f"{job.info.name}.{lane.name}",
            "run_id": job.info.name,
            "run_index": 0,
            "strategy": _strategy(job, lane),
            "constraints": {},
            "profile": _profile(job, lane),
            "requests": {},
            "backend": {"target": lane.info.url, "model": lane.info.model},
            "environment": {"dragstrip": job.info.version},
        },
        "scheduler_state": {
            "num_processes": 1,
            "start_time": clock.start_s,
            "end_time": clock.end_s,
            "start_requests_time": clock.start_s,
            "end_requests_time": clock.end_s,
            "created_requests": totals["total"],
            "processed_requests": totals["total"],
            "successful_requests": totals["successful"],
            "errored_requests": totals["errored"],
            "cancelled_requests": totals["incomplete"],
        },
        "scheduler_metrics": _scheduler_metrics(clock, totals),
        "metrics": {"request_totals": totals} | _metrics(lane, clock),
        "requests": {status: placeholder(status) for status in OUTCOMES} | {"total": None},
        "start_time": clock.start_s,
        "end_time": clock.end_s,
        "duration": clock.end_s - clock.start_s,
        "warmup_duration": 0.0,
        "cooldown_duration": 0.0,
    }


def _scheduler_metrics(clock: _Clock, totals: dict[str, int]) -> dict[str, Any]:
    """Its queues and the times between its workers have no match here: it writes -1 for an unknown mean."""
    unknown = (
        "queued_time",
        "resolve_start_delay",
        "resolve_targeted_start_delay",
        "request_start_delay",
        "resolve_end_delay",
        "resolve_time",
        "finalized_delay",
        "processed_delay",
    )
    sent = np.isfinite(clock.send)
    return {
        "start_time": clock.start_s,
        "request_start_time": clock.start_s,
        "measure_start_time": clock.start_s,
        "measure_end_time": clock.end_s,
        "request_end_time": clock.end_s,
        "end_time": clock.end_s,
        "requests_made": totals,
        "request_time_avg": float((clock.end - clock.send)[sent].mean()) if sent.any() else -1.0,
        "request_targeted_start_delay_avg": float((clock.send - clock.sched)[sent].mean()) if sent.any() else -1.0,
        **{f"{name}_avg": -1.0 for name in unknown},
    }


def _metrics(lane: ExportedLane, clock: _Clock) -> dict[str, Any]:
    return {
        **_counts_and_latencies(lane, clock),
        **_rates(lane, clock),
        **{kind: dict.fromkeys(names) for kind, names in _NOT_RECORDED.items()},
    }


def _counts_and_latencies(lane: ExportedLane, clock: _Clock) -> dict[str, Any]:
    """What has one value a request."""
    output_tokens = lane.count("output_tokens").astype(float)
    prompt_tokens = lane.count("prompt_tokens").astype(float)
    begun = np.isfinite(clock.first)
    ttft_ms = 1000 * np.nan_to_num(clock.first - clock.send)
    to_last_ms = 1000 * np.nan_to_num(np.where(np.isfinite(clock.last), clock.last, clock.end) - clock.send)
    tpot_ms = np.where(output_tokens > 0, to_last_ms / np.maximum(output_tokens, 1), 0.0)
    decode_ms = 1000 * np.nan_to_num(clock.last - clock.first)
    itl_ms = np.where(output_tokens > 1, decode_ms / np.maximum(output_tokens - 1, 1), 0.0)

    def summary(values: Floats, weights: Floats | None = None, where: Mask | None = None) -> ByStatus:
        def chosen(mask: Mask) -> Distribution:
            mask = mask if where is None else mask & where
            return distribution(values[mask], None if weights is None else weights[mask])

        return _by_status(lane, chosen)

    return {
        "request_latency": summary(np.nan_to_num(clock.end - clock.send)),
        "request_streaming_iterations_count": summary(lane.count("chunks").astype(float)),
        "prompt_token_count": summary(prompt_tokens),
        "output_token_count": summary(output_tokens),
        "total_token_count": summary(prompt_tokens + output_tokens),
        "time_to_first_token_ms": summary(ttft_ms, where=begun),
        "time_to_first_output_token_ms": summary(ttft_ms, where=begun),
        "time_per_output_token_ms": summary(tpot_ms, output_tokens),
        "inter_token_latency_ms": summary(itl_ms, np.maximum(output_tokens - 1, 0), where=begun),
        "time_to_last_round_trip_ms": summary(np.zeros(output_tokens.size)),
        "avg_round_trip_time_ms": summary(np.zeros(output_tokens.size)),
    }


def _rates(lane: ExportedLane, clock: _Clock) -> dict[str, Any]:
    """What happens at moments: requests that end, prompts that are read, iterations that bring tokens."""
    output_tokens, prompt_tokens = lane.count("output_tokens"), lane.count("prompt_tokens")
    chunks = lane.count("chunks")
    begun = np.isfinite(clock.first)
    sent = np.where(np.isfinite(clock.send), clock.send, clock.sched)
    prompt_read = np.where(begun, clock.first, clock.end)
    requests = np.arange(output_tokens.size)
    at, times, tokens = _token_times(clock, output_tokens, chunks)  # `at`: the request of each iteration
    several = (output_tokens > 1) & (chunks > 1) & begun
    later = np.flatnonzero(np.diff(at, prepend=-1) == 0)  # all but each request's first iteration
    later = later[several[at[later]]]

    def a_second(request: Ints, times_s: Floats, amounts: Floats) -> ByStatus:
        return _by_status(
            lane, lambda mask: rates(times_s[mask[request]], amounts[mask[request]], clock.start_s, clock.end_s)
        )

    return {
        "requests_per_second": a_second(requests, clock.end, np.ones(requests.size)),
        "request_concurrency": _by_status(
            lane, lambda mask: concurrency(sent[mask], clock.end[mask], clock.start_s, clock.end_s)
        ),
        "prompt_tokens_per_second": a_second(requests, prompt_read, prompt_tokens.astype(float)),
        "output_tokens_per_second": a_second(at, times, tokens),
        "tokens_per_second": a_second(
            np.concatenate((requests, at)),
            np.concatenate((prompt_read, times)),
            np.concatenate((prompt_tokens, tokens)).astype(float),
        ),
        "output_tokens_per_iteration": _by_status(lane, lambda mask: distribution(tokens[mask[at]])),
        "iter_tokens_per_iteration": _by_status(lane, lambda mask: distribution(tokens[later][mask[at[later]]])),
    }


def _token_times(clock: _Clock, output_tokens: Ints, chunks: Ints) -> tuple[Ints, Floats, Floats]:
    """Request, time and tokens of each iteration as GuideLLM has them: one token first, the others evenly spread.

    A request of a single iteration, or of none, counts in one point at its last chunk or its end.
    """
    spread = (chunks > 1) & np.isfinite(clock.first) & np.isfinite(clock.last)
    points = np.where(spread & (output_tokens > 1), chunks, 1)
    at = np.repeat(np.arange(output_tokens.size), points)
    step = np.arange(at.size) - np.repeat(np.cumsum(points) - points, points)
    share = step / np.maximum(points - 1, 1)[at]
    one_point = np.where(spread, clock.first, np.where(np.isfinite(clock.last), clock.last, clock.end))
    times = np.where(points[at] > 1, clock.first[at] + share * (clock.last - clock.first)[at], one_point[at])
    first = np.where(spread, np.minimum(output_tokens, 1), output_tokens)
    later = (output_tokens - 1) / np.maximum(chunks - 1, 1)
    return at, times, np.where(step > 0, later[at], first[at]).astype(float)


def _by_status(lane: ExportedLane, summarise: Callable[[Mask], Distribution]) -> ByStatus:
    outcomes = lane.requests["outcome"]
    by_status = {status: summarise((outcomes == outcome).to_numpy()) for status, outcome in OUTCOMES.items()}
    return by_status | {"total": summarise(np.ones(len(outcomes), dtype=bool))}


def _requests(lane: ExportedLane, job: Job, outcome: str) -> Iterator[dict[str, Any]]:
    offset_ns = job.info.wall_ns - job.info.t0_ns
    chosen = lane.requests.filter(pl.col("outcome") == outcome)
    for row in job.with_progress(chosen.iter_rows(named=True), f"lane {lane.name}", chosen.height):
        yield _request(row, lane.name, offset_ns)


def _request(row: dict[str, Any], lane: str, offset_ns: int) -> dict[str, Any]:
    sched, send, first, last, end = (
        None if row[name] is None else (row[name] + offset_ns) / NS
        for name in ("t_sched_ns", "t_send_ns", "t_first_ns", "t_last_ns", "t_end_ns")
    )
    timings = {
        "targeted_start": sched,
        "scheduled_at": sched,
        "resolve_start": send if send is not None else sched,
        "request_start": send,
        "first_request_iteration": first,
        "first_token_iteration": first,
        "first_output_token_iteration": first,
        "last_token_iteration": last,
        "last_request_iteration": last,
        "request_iterations": row["chunks"],
        "token_iterations": row["chunks"],
        "request_end": end,
        "resolve_end": end,
    }
    number = f"{lane}-{row['request']}"
    error = f"{row['cause']}: {row['detail']}" if row["detail"] else row["cause"] or None
    return {
        "type_": "generative_request_stats",
        "request_id": number,
        "info": {
            "request_id": number,
            "status": _INFO_STATUS[row["outcome"]],
            "timings": timings,
            "error": error,
        },
        "input_metrics": {"text_tokens": row["prompt_tokens"], "cached_tokens": row["cached_tokens"]},
        "output_metrics": {"text_tokens": row["output_tokens"]},
    }
