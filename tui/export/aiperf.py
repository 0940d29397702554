"""AIPerf's two files a run (export schema 1.4), with AIPerf 0.13's definitions, in a folder as its tools expect it.

Request latency `t_last - t_send`; ITL `(latency - TTFT) / (n - k_first)`, one value a request; inter-chunk latency
one gap a chunk; the duration runs from the first request sent to the last output of those that ended well. Failed and
cancelled requests are errors, counted and in no latency. Tokens are the server's count.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tui.export.exported_lane import NS, ExportedLane, Floats, exported_lanes, exported_setting, origin
from tui.export.job import SIMULATED, ExportedFile, Job, exported, write_filled, write_lines
from tui.model.profile import Limits

VERSION = "0.13.0"  # whose definitions these are
SCHEMA = "1.4"
PERCENTS = (1, 5, 10, 25, 50, 75, 90, 95, 99)

Metric = dict[str, Any]


def write_aiperf(job: Job) -> list[ExportedFile]:
    """A folder a lane: `profile_export_aiperf.json`, the summary, and `profile_export.jsonl`, a line a request."""
    return [file for lane in exported_lanes(job, with_cancelled=True) for file in _write(job, lane)]


def _write(job: Job, lane: ExportedLane) -> list[ExportedFile]:
    """Its tools look for these very file names, so the folder has to say what is simulated."""
    folder = job.target / f"{job.session.name}.{lane.name}.aiperf{f'.{SIMULATED}' if job.info.simulated else ''}"
    summary = job.allowed(folder / "profile_export_aiperf.json")
    records = job.allowed(folder / "profile_export.jsonl")
    write_filled(summary, _summary(job, lane), {})
    what, requests = f"lane {lane.name}", lane.requests.height
    write_lines(records, job.with_progress(_records(job, lane), what, requests))
    return [exported(summary, what, 1), exported(records, what, requests)]


def _summary(job: Job, lane: ExportedLane) -> dict[str, Any]:
    wall_s = (job.info.wall_ns - job.info.t0_ns) / NS
    setting = exported_setting(job, lane)
    load = {"concurrency": setting.concurrency} if setting.closed else {"request_rate": setting.request_rate}
    return {
        "schema_version": SCHEMA,
        "aiperf_version": VERSION,
        "benchmark_id": f"{job.info.name}.{lane.name}",
        "simulated": job.info.simulated,
        "dragstrip": origin(job, lane) | {"model": lane.info.model} | load,
        **{name: metric for name, metric in (_metrics(lane) | _rates(job, lane)).items() if metric},
        "was_cancelled": False,
        "is_complete": bool(job.info.ended),
        "incomplete_reason": None if job.info.ended else "the recording was cut off",
        "error_summary": _error_summary(lane),
        "start_time": datetime.fromtimestamp(wall_s + lane.start_ns / NS, UTC).isoformat(),
        "end_time": datetime.fromtimestamp(wall_s + lane.end_ns / NS, UTC).isoformat(),
    }


def _metrics(lane: ExportedLane) -> dict[str, Metric]:
    output_tokens, prompt_tokens = lane.output_tokens, lane.prompt_tokens[lane.ok]
    itl_s = _itl_s(lane)
    errors = int((~lane.ok).sum())
    metrics = {
        "request_latency": _spread("ms", lane.latency_s * 1000),
        "time_to_first_token": _spread("ms", lane.ttft_s * 1000),
        "inter_token_latency": _spread("ms", itl_s * 1000),
        "output_token_throughput_per_user": _spread("tokens/sec/user", 1 / itl_s[itl_s > 0]),
        "output_sequence_length": _spread("tokens", output_tokens.astype(float)),
        "output_token_count": _spread("tokens", output_tokens.astype(float)),
        "input_sequence_length": _spread("tokens", prompt_tokens.astype(float)),
        "request_count": _single("requests", int(lane.ok.sum())),
        "error_request_count": _single("requests", errors) if errors else {},
        "total_osl": _single("tokens", int(output_tokens.sum())),
        "total_output_tokens": _single("tokens", int(output_tokens.sum())),
        "total_isl": _single("tokens", int(prompt_tokens.sum())),
    }
    if lane.has_chunks:
        metrics["inter_chunk_latency"] = _spread("ms", lane.all_gaps_s * 1000)
        metrics["time_to_second_token"] = _spread("ms", _second_token_s(lane) * 1000)
    return metrics


def _rates(job: Job, lane: ExportedLane) -> dict[str, Metric]:
    """What is divided by AIPerf's duration; nothing without a request that ended well."""
    ok = lane.ok
    if not ok.any():
        return {}
    sent_ns, last_ns = int(lane.moment("t_send_ns")[ok].min()), int(lane.moment("t_last_ns")[ok].max())
    duration_s = max(last_ns - sent_ns, 1) / NS
    tokens_out, tokens_in = int(lane.output_tokens.sum()), int(lane.prompt_tokens[ok].sum())
    wall_ns = job.info.wall_ns - job.info.t0_ns
    good = lane.good(Limits.recorded(job.info.profile))
    return {
        "benchmark_duration": _single("sec", duration_s),
        "min_request_timestamp": _single("ns", sent_ns + wall_ns),
        "max_response_timestamp": _single("ns", last_ns + wall_ns),
        "request_throughput": _single("requests/sec", int(ok.sum()) / duration_s),
        "output_token_throughput": _single("tokens/sec", tokens_out / duration_s),
        "total_token_throughput": _single("tokens/sec", (tokens_in + tokens_out) / duration_s),
        "good_request_count": {} if good is None else _single("requests", good),
        "goodput": {} if good is None else _single("requests/sec", good / duration_s),
    }


def _itl_s(lane: ExportedLane) -> Floats:
    """Of requests with at least two tokens; by `n - 1` where what the first chunk held makes no sense."""
    tokens, in_first = lane.count("output_tokens"), lane.count("k_first")
    after = np.where((in_first <= 0) | (tokens - in_first < 1), tokens - 1, tokens - in_first)
    itl_s: Floats = lane.span("t_first_ns", "t_last_ns") / np.maximum(after, 1)
    return itl_s[lane.ok & (tokens > 1)]


def _second_token_s(lane: ExportedLane) -> Floats:
    counts = np.diff(lane.chunk_ends, prepend=0)
    first = (lane.chunk_ends - counts)[lane.ok & (counts > 1)]
    return (lane.chunk_t_ns[first + 1] - lane.chunk_t_ns[first]) / NS


def _spread(unit: str, values: Floats) -> Metric:
    if not values.size:
        return {}
    percentiles = np.percentile(values, PERCENTS)
    return {
        "unit": unit,
        "avg": float(values.mean()),
        **{f"p{percent}": float(value) for percent, value in zip(PERCENTS, percentiles, strict=True)},
        "min": float(values.min()),
        "max": float(values.max()),
        "std": float(values.std()),
        "count": values.size,
        "sum": float(values.sum()),
    }


def _single(unit: str, value: float) -> Metric:
    return {"unit": unit, "avg": value}


def _error_summary(lane: ExportedLane) -> list[dict[str, Any]]:
    failed = lane.requests.filter(~lane.ok)
    counts = Counter(zip(failed["http_status"], failed["cause"], failed["detail"], strict=True))
    return [{"error_details": _error(*kind), "count": count} for kind, count in counts.most_common()]


def _error(status: int | None, cause: str, detail: str) -> dict[str, Any]:
    kind = cause or "no output"
    return {"code": status, "type": kind, "message": detail or kind}


def _records(job: Job, lane: ExportedLane) -> Iterator[dict[str, Any]]:
    wall_ns = job.info.wall_ns - job.info.t0_ns
    rows = lane.requests.iter_rows(named=True)
    for at, (row, gaps_s, ok) in enumerate(zip(rows, lane.gaps_s(), lane.ok.tolist(), strict=True)):
        yield {
            "metadata": {
                "session_num": at,
                "x_request_id": f"{lane.name}-{row['request']}",
                "turn_index": 0,
                "credit_issued_ns": row["t_sched_ns"] + wall_ns,
                "request_start_ns": (row["t_send_ns"] or row["t_sched_ns"]) + wall_ns,
                "request_end_ns": (row["t_last_ns"] if ok else row["t_end_ns"]) + wall_ns,
                "worker_id": f"dragstrip-{lane.name}",
                "record_processor_id": "dragstrip",
                "benchmark_phase": "profiling",
                "was_cancelled": row["outcome"] == "cancelled",
            },
            "simulated": job.info.simulated,
            "metrics": _record_metrics(row, gaps_s) if ok else {},
            "error": None if ok else _error(row["http_status"], row["cause"], row["detail"]),
        }


def _record_metrics(row: dict[str, Any], gaps_s: list[float]) -> dict[str, Any]:
    tokens, after = row["output_tokens"], row["output_tokens"] - row["k_first"]
    after = after if row["k_first"] > 0 and after >= 1 else tokens - 1
    decode_ms = (row["t_last_ns"] - row["t_first_ns"]) / 1e6
    prompt = row["prompt_tokens"] if row["prompt_tokens"] is not None else row["prompt_tokens_asked"]
    metrics: dict[str, tuple[Any, str]] = {
        "request_latency": ((row["t_last_ns"] - row["t_send_ns"]) / 1e6, "ms"),
        "time_to_first_token": ((row["t_first_ns"] - row["t_send_ns"]) / 1e6, "ms"),
        "output_sequence_length": (tokens, "tokens"),
        "output_token_count": (tokens, "tokens"),
        "input_sequence_length": (prompt, "tokens"),
    }
    if tokens > 1:
        metrics["inter_token_latency"] = (decode_ms / after, "ms")
        if decode_ms > 0:
            metrics["output_token_throughput_per_user"] = (1000 * after / decode_ms, "tokens/sec/user")
    if gaps_s:
        metrics["time_to_second_token"] = (gaps_s[0] * 1000, "ms")
        metrics["inter_chunk_latency"] = ([gap * 1000 for gap in gaps_s], "ms")
    return {name: {"value": value, "unit": unit} for name, (value, unit) in metrics.items()}
