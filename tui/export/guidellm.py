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

from tui.export.job import ExportedFile, Job, exported
from tui.export.lane_run import (
    NS,
    ExportedLane,
    Floats,
    concurrency,
    distribution,
    exported_lanes,
    first_setting,
    origin,
    rates,
)
from tui.export.tables import placeholder, write_filled

VERSION = "0.8.1"  # whose definitions these are
STATUS = {"successful": "ok", "incomplete": "cancelled", "errored": "failed"}
_INFO_STATUS = {"ok": "completed", "cancelled": "cancelled", "failed": "errored"}
_KINDS = {
    "image": ("tokens", "images", "pixels", "bytes"),
    "video": ("tokens", "frames", "seconds", "bytes"),
    "audio": ("tokens", "samples", "seconds", "bytes"),
    "tool_call": ("tokens", "mixed_tokens", "count"),
}

Distribution = dict[str, Any]


def write_guidellm(job: Job) -> list[ExportedFile]:
    """One `benchmarks.json` a lane, with one benchmark."""
    runs = exported_lanes(job, with_cancelled=True)
    return [_write(job, run, len(runs) == 1) for run in runs]


def _write(job: Job, run: ExportedLane, alone: bool) -> ExportedFile:
    path = job.path(f"{job.recorded.name}.{run.lane}.guidellm", ".json", alone)
    lists = {status: _requests(run, job, outcome) for status, outcome in STATUS.items()}
    write_filled(path, _report(job, run), lists)
    return exported(path, f"lane {run.lane}", run.requests.height)


def _report(job: Job, run: ExportedLane) -> dict[str, Any]:
    url = {"kind": "openai_http", "target": run.info.url, "model": run.info.model}
    data = [
        {
            "kind": "synthetic_text",
            "prompt_tokens": int(run.count("prompt_tokens_asked")[0]),
            "output_tokens": int(run.count("output_tokens_asked")[0]),
        }
    ]
    return {
        "metadata": {
            "version": 2,
            "guidellm_version": VERSION,
            "python_version": platform.python_version(),
            "platform": job.info.host.get("system", "unknown"),
        },
        "simulated": job.info.simulated,
        "dragstrip": origin(job, run),
        "config": {"spec": {"backend": url, "profile": _profile(job, run), "data": data}},
        "benchmarks": [_benchmark(job, run)],
    }


def _strategy(job: Job, run: ExportedLane) -> dict[str, Any]:
    dials = first_setting(job, run)
    if dials.closed:
        return {"type_": "concurrent", "streams": max(1, dials.concurrency)}
    return {"type_": "poisson" if dials.arrival == "poisson" else "constant", "rate": dials.request_rate}


def _profile(job: Job, run: ExportedLane) -> dict[str, Any]:
    """The strategies that a run goes through: one."""
    strategy = _strategy(job, run)
    return {"kind": strategy.pop("type_"), **{name: [value] for name, value in strategy.items()}}


class _Clock:
    """A lane's stamps on the wall clock, in seconds, as GuideLLM has them."""

    def __init__(self, job: Job, run: ExportedLane) -> None:
        offset_ns = job.info.wall_ns - job.info.t0_ns
        stamps = (
            run.requests[name] + offset_ns
            for name in ("t_sched_ns", "t_send_ns", "t_first_ns", "t_last_ns", "t_end_ns")
        )
        self.sched, self.send, self.first, self.last, self.end = (
            stamp.cast(pl.Float64).fill_null(np.nan).to_numpy() / NS for stamp in stamps
        )
        self.start_s = float(np.nanmin(self.send)) if np.isfinite(self.send).any() else float(self.sched.min())
        self.end_s = float(self.end.max())


def _benchmark(job: Job, run: ExportedLane) -> dict[str, Any]:
    clock = _Clock(job, run)
    counts = {status: int((run.requests["outcome"] == outcome).sum()) for status, outcome in STATUS.items()}
    totals = counts | {"total": run.requests.height}
    return {
        "type_": "generative_benchmark",
        "config": {
            "id_": f"{job.info.name}.{run.lane}",
            "run_id": job.info.name,
            "run_index": 0,
            "strategy": _strategy(job, run),
            "constraints": {},
            "profile": _profile(job, run),
            "requests": {},
            "backend": {"target": run.info.url, "model": run.info.model},
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
        "metrics": {"request_totals": totals} | _metrics(run, clock),
        "requests": {status: placeholder(status) for status in STATUS} | {"total": None},
        "start_time": clock.start_s,
        "end_time": clock.end_s,
        "duration": clock.end_s - clock.start_s,
        "warmup_duration": 0.0,
        "cooldown_duration": 0.0,
    }


def _scheduler_metrics(clock: _Clock, totals: dict[str, int]) -> dict[str, Any]:
    """Its own queues and worker hand-overs have no match here: -1 is what it writes for an unknown mean."""
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


def _metrics(run: ExportedLane, clock: _Clock) -> dict[str, Any]:
    return {
        **_counts_and_latencies(run, clock),
        **_rates(run, clock),
        "text": dict.fromkeys(("tokens", "words", "characters")),
        **{kind: dict.fromkeys(names) for kind, names in _KINDS.items()},
    }


def _counts_and_latencies(run: ExportedLane, clock: _Clock) -> dict[str, Any]:
    """What has one value a request."""
    n, prompt = run.count("output_tokens").astype(float), run.count("prompt_tokens").astype(float)
    begun = np.isfinite(clock.first)
    ttft_ms = 1000 * np.nan_to_num(clock.first - clock.send)
    until = np.where(np.isfinite(clock.last), clock.last, clock.end)
    tpot_ms = np.where(n > 0, 1000 * np.nan_to_num(until - clock.send) / np.maximum(n, 1), 0.0)
    itl_ms = np.where(n > 1, 1000 * np.nan_to_num(clock.last - clock.first) / np.maximum(n - 1, 1), 0.0)

    def values(of: Floats, weights: Floats | None = None, among: Any = True) -> Distribution:
        return _by_status(
            run, lambda mine: distribution(of[mine & among], None if weights is None else weights[mine & among])
        )

    return {
        "request_latency": values(np.nan_to_num(clock.end - clock.send)),
        "request_streaming_iterations_count": values(run.count("chunks").astype(float)),
        "prompt_token_count": values(prompt),
        "output_token_count": values(n),
        "total_token_count": values(prompt + n),
        "time_to_first_token_ms": values(ttft_ms, among=begun),
        "time_to_first_output_token_ms": values(ttft_ms, among=begun),
        "time_per_output_token_ms": values(tpot_ms, n),
        "inter_token_latency_ms": values(itl_ms, np.maximum(n - 1, 0), among=begun),
        "time_to_last_round_trip_ms": values(np.zeros(n.size)),
        "avg_round_trip_time_ms": values(np.zeros(n.size)),
    }


def _rates(run: ExportedLane, clock: _Clock) -> dict[str, Any]:
    """What happens at moments: requests that end, prompts that are read, iterations that bring tokens."""
    n, prompt, chunks = run.count("output_tokens"), run.count("prompt_tokens"), run.count("chunks")
    begun = np.isfinite(clock.first)
    sent = np.where(np.isfinite(clock.send), clock.send, clock.sched)
    read = np.where(begun, clock.first, clock.end)
    every = np.arange(n.size)
    at, times, tokens = _token_times(clock, n, chunks)
    spread = (n > 1) & (chunks > 1) & begun
    later = np.flatnonzero(np.diff(at, prepend=-1) == 0)  # all but each request's first iteration
    later = later[spread[at[later]]]

    def a_second(request: Any, times_s: Floats, weights: Floats) -> Distribution:
        return _by_status(
            run, lambda mine: rates(times_s[mine[request]], weights[mine[request]], clock.start_s, clock.end_s)
        )

    both = np.concatenate((every, at))
    both_times, both_tokens = np.concatenate((read, times)), np.concatenate((prompt, tokens))
    return {
        "requests_per_second": a_second(every, clock.end, np.ones(n.size)),
        "request_concurrency": _by_status(
            run, lambda mine: concurrency(sent[mine], clock.end[mine], clock.start_s, clock.end_s)
        ),
        "prompt_tokens_per_second": a_second(every, read, prompt.astype(float)),
        "output_tokens_per_second": a_second(at, times, tokens),
        "tokens_per_second": a_second(both, both_times, both_tokens.astype(float)),
        "output_tokens_per_iteration": _by_status(run, lambda mine: distribution(tokens[mine[at]])),
        "iter_tokens_per_iteration": _by_status(run, lambda mine: distribution(tokens[later][mine[at[later]]])),
    }


def _token_times(clock: _Clock, n: Any, chunks: Any) -> tuple[Any, Floats, Floats]:
    """Request, time and tokens of each iteration as GuideLLM has them: one token first, the others evenly spread.

    A request of a single iteration, or of none, counts in one point at its last chunk or its end.
    """
    spread = (chunks > 1) & np.isfinite(clock.first) & np.isfinite(clock.last)
    points = np.where(spread & (n > 1), chunks, 1)
    at = np.repeat(np.arange(n.size), points)
    step = np.arange(at.size) - np.repeat(np.cumsum(points) - points, points)
    share = step / np.maximum(points - 1, 1)[at]
    one_point = np.where(np.isfinite(clock.last), clock.last, clock.end)
    one_point = np.where(spread, clock.first, one_point)
    times = np.where(points[at] > 1, clock.first[at] + share * (clock.last - clock.first)[at], one_point[at])
    tokens = np.where(step > 0, ((n - 1) / np.maximum(chunks - 1, 1))[at], np.where(spread, np.minimum(n, 1), n)[at])
    return at, times, tokens.astype(float)


def _by_status(run: ExportedLane, of: Callable[[Any], Distribution]) -> dict[str, Distribution]:
    outcomes = run.requests["outcome"]
    found = {status: of((outcomes == outcome).to_numpy()) for status, outcome in STATUS.items()}
    return found | {"total": of(np.ones(len(outcomes), dtype=bool))}


def _requests(run: ExportedLane, job: Job, outcome: str) -> Iterator[dict[str, Any]]:
    offset_ns = job.info.wall_ns - job.info.t0_ns
    chosen = run.requests.filter(pl.col("outcome") == outcome)
    for row in job.passing(chosen.iter_rows(named=True), f"lane {run.lane}", chosen.height):
        yield _request(row, run.lane, offset_ns)


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
