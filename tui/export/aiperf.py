"""AIPerf's two files a run (export schema 1.4), with AIPerf 0.13's definitions, in a folder as its tools expect it.

Request latency `t_last - t_send`; ITL `(latency - TTFT) / (n - k_first)`, one value a request; inter-chunk latency
one gap a chunk; the duration runs from the first request sent to the last output of those that ended well. Failed and
cancelled requests are errors, counted and in no latency. Tokens are the server's count.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tui.export.job import SIMULATED, ExportedFile, Job, exported
from tui.export.lane_run import NS, ExportedLane, Floats, exported_lanes, first_setting, good, origin, tpot_or_zero_s
from tui.export.tables import write_filled, write_lines

VERSION = "0.13.0"  # whose definitions these are
SCHEMA = "1.4"
PERCENTS = (1, 5, 10, 25, 50, 75, 90, 95, 99)

Metric = dict[str, Any]


def write_aiperf(job: Job) -> list[ExportedFile]:
    """A folder a lane: `profile_export_aiperf.json`, the summary, and `profile_export.jsonl`, a line a request."""
    return [file for run in exported_lanes(job, with_cancelled=True) for file in _write(job, run)]


def _write(job: Job, run: ExportedLane) -> list[ExportedFile]:
    folder = f"{job.recorded.name}.{run.lane}.aiperf" + (f".{SIMULATED}" if job.info.simulated else "")
    summary, records = (_path(job, folder, name) for name in ("profile_export_aiperf.json", "profile_export.jsonl"))
    write_filled(summary, _summary(job, run), {})
    what = f"lane {run.lane}"
    write_lines(records, job.passing(_records(job, run), what, run.requests.height))
    return [exported(summary, what, 1), exported(records, what, run.requests.height)]


def _path(job: Job, folder: str, name: str) -> Path:
    """Its tools look for these very names, so that the folder has to say what is simulated."""
    return job.place(Path(folder) / name)


def _summary(job: Job, run: ExportedLane) -> dict[str, Any]:
    wall_s = (job.info.wall_ns - job.info.t0_ns) / NS
    dials = first_setting(job, run)
    load = {"concurrency": dials.concurrency} if dials.closed else {"request_rate": dials.request_rate}
    return {
        "schema_version": SCHEMA,
        "aiperf_version": VERSION,
        "benchmark_id": f"{job.info.name}.{run.lane}",
        "simulated": job.info.simulated,
        "dragstrip": origin(job, run) | {"model": run.info.model} | load,
        **_metrics(job, run),
        "was_cancelled": False,
        "is_complete": bool(job.info.ended),
        "incomplete_reason": None if job.info.ended else "the recording was cut off",
        "error_summary": _errors(run),
        "start_time": datetime.fromtimestamp(wall_s + run.start_ns / NS, UTC).isoformat(),
        "end_time": datetime.fromtimestamp(wall_s + run.end_ns / NS, UTC).isoformat(),
    }


def _metrics(job: Job, run: ExportedLane) -> dict[str, Metric]:
    ok = run.ok
    n, prompt = run.count("output_tokens")[ok], run.prompt_tokens[ok]
    latency_s, ttft_s = run.span("t_send_ns", "t_last_ns")[ok], run.span("t_send_ns", "t_first_ns")[ok]
    itl_s = _itl_s(run)
    errors = int((~ok).sum())
    found = {
        "request_latency": _spread("ms", latency_s * 1000),
        "time_to_first_token": _spread("ms", ttft_s * 1000),
        "inter_token_latency": _spread("ms", itl_s * 1000),
        "output_token_throughput_per_user": _spread("tokens/sec/user", 1 / itl_s[itl_s > 0]),
        "output_sequence_length": _spread("tokens", n.astype(float)),
        "output_token_count": _spread("tokens", n.astype(float)),
        "input_sequence_length": _spread("tokens", prompt.astype(float)),
        "request_count": _single("requests", int(ok.sum())),
        "error_request_count": _single("requests", errors) if errors else {},
        "total_osl": _single("tokens", int(n.sum())),
        "total_output_tokens": _single("tokens", int(n.sum())),
        "total_isl": _single("tokens", int(prompt.sum())),
    }
    if run.has_chunks:
        found["inter_chunk_latency"] = _spread("ms", run.all_gaps_s * 1000)
        found["time_to_second_token"] = _spread("ms", _second_token_s(run) * 1000)
    return {name: metric for name, metric in (found | _rates(job, run)).items() if metric}


def _rates(job: Job, run: ExportedLane) -> dict[str, Metric]:
    """What is divided by AIPerf's duration; nothing without a request that ended well."""
    ok = run.ok
    if not ok.any():
        return {}
    sent_ns, last_ns = int(run.moment("t_send_ns")[ok].min()), int(run.moment("t_last_ns")[ok].max())
    duration_s = max(last_ns - sent_ns, 1) / NS
    tokens_out, tokens_in = int(run.count("output_tokens")[ok].sum()), int(run.prompt_tokens[ok].sum())
    wall_ns = job.info.wall_ns - job.info.t0_ns
    met = _good(job, run)
    return {
        "benchmark_duration": _single("sec", duration_s),
        "min_request_timestamp": _single("ns", sent_ns + wall_ns),
        "max_response_timestamp": _single("ns", last_ns + wall_ns),
        "request_throughput": _single("requests/sec", int(ok.sum()) / duration_s),
        "output_token_throughput": _single("tokens/sec", tokens_out / duration_s),
        "total_token_throughput": _single("tokens/sec", (tokens_in + tokens_out) / duration_s),
        "good_request_count": {} if met is None else _single("requests", met),
        "goodput": {} if met is None else _single("requests/sec", met / duration_s),
    }


def _good(job: Job, run: ExportedLane) -> int | None:
    ttft_s, e2e_s = run.span("t_send_ns", "t_first_ns")[run.ok], run.span("t_send_ns", "t_last_ns")[run.ok]
    tpot_s = tpot_or_zero_s(e2e_s, ttft_s, run.count("output_tokens")[run.ok])
    return good(ttft_s, tpot_s, e2e_s, job.info.profile.get("slo", {}))


def _itl_s(run: ExportedLane) -> Floats:
    """Of requests with at least two tokens; by `n - 1` where what the first chunk held makes no sense."""
    n = run.count("output_tokens")
    after = n - run.count("k_first")
    after = np.where((run.count("k_first") <= 0) | (after < 1), n - 1, after)
    itl_s: Floats = run.span("t_first_ns", "t_last_ns") / np.maximum(after, 1)
    return itl_s[run.ok & (n > 1)]


def _second_token_s(run: ExportedLane) -> Floats:
    counts = np.diff(run.chunk_ends, prepend=0)
    first = (run.chunk_ends - counts)[run.ok & (counts > 1)]
    return (run.chunk_t_ns[first + 1] - run.chunk_t_ns[first]) / NS


def _spread(unit: str, values: Floats) -> Metric:
    if not values.size:
        return {}
    percents = {f"p{at}": float(value) for at, value in zip(PERCENTS, np.percentile(values, PERCENTS), strict=True)}
    edges = {"min": float(values.min()), "max": float(values.max()), "std": float(values.std())}
    return {"unit": unit, "avg": float(values.mean()), **percents, **edges, **_amount(values)}


def _amount(values: Floats) -> Metric:
    return {"count": values.size, "sum": float(values.sum())}


def _single(unit: str, value: float) -> Metric:
    return {"unit": unit, "avg": value}


def _errors(run: ExportedLane) -> list[dict[str, Any]]:
    failed = run.requests.filter(~run.ok)
    counts = Counter(zip(failed["http_status"], failed["cause"], failed["detail"], strict=True))
    return [{"error_details": _error(*what), "count": count} for what, count in counts.most_common()]


def _error(status: int | None, cause: str, detail: str) -> dict[str, Any]:
    kind = cause or "no output"
    return {"code": status, "type": kind, "message": detail or kind}


def _records(job: Job, run: ExportedLane) -> Iterator[dict[str, Any]]:
    wall_ns = job.info.wall_ns - job.info.t0_ns
    rows = run.requests.iter_rows(named=True)
    for at, (row, gaps_s, ok) in enumerate(zip(rows, run.gaps_s(), run.ok.tolist(), strict=True)):
        yield {
            "metadata": {
                "session_num": at,
                "x_request_id": f"{run.lane}-{row['request']}",
                "turn_index": 0,
                "credit_issued_ns": row["t_sched_ns"] + wall_ns,
                "request_start_ns": (row["t_send_ns"] or row["t_sched_ns"]) + wall_ns,
                "request_end_ns": (row["t_last_ns"] if ok else row["t_end_ns"]) + wall_ns,
                "worker_id": f"dragstrip-{run.lane}",
                "record_processor_id": "dragstrip",
                "benchmark_phase": "profiling",
                "was_cancelled": row["outcome"] == "cancelled",
            },
            "simulated": job.info.simulated,
            "metrics": _record_metrics(row, gaps_s) if ok else {},
            "error": None if ok else _error(row["http_status"], row["cause"], row["detail"]),
        }


def _record_metrics(row: dict[str, Any], gaps_s: list[float]) -> dict[str, Any]:
    n, after = row["output_tokens"], row["output_tokens"] - row["k_first"]
    after = after if row["k_first"] > 0 and after >= 1 else n - 1
    decode_ms = (row["t_last_ns"] - row["t_first_ns"]) / 1e6
    prompt = row["prompt_tokens"] if row["prompt_tokens"] is not None else row["prompt_tokens_asked"]
    found: dict[str, tuple[Any, str]] = {
        "request_latency": ((row["t_last_ns"] - row["t_send_ns"]) / 1e6, "ms"),
        "time_to_first_token": ((row["t_first_ns"] - row["t_send_ns"]) / 1e6, "ms"),
        "output_sequence_length": (n, "tokens"),
        "output_token_count": (n, "tokens"),
        "input_sequence_length": (prompt, "tokens"),
    }
    if n > 1:
        found["inter_token_latency"] = (decode_ms / after, "ms")
        if decode_ms > 0:
            found["output_token_throughput_per_user"] = (1000 * after / decode_ms, "tokens/sec/user")
    if gaps_s:
        found["time_to_second_token"] = (gaps_s[0] * 1000, "ms")
        found["inter_chunk_latency"] = ([gap * 1000 for gap in gaps_s], "ms")
    return {name: {"value": value, "unit": unit} for name, (value, unit) in found.items()}
