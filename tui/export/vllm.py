"""The result file of `vllm bench serve --save-result --save-detailed`, with vLLM 0.33's definitions.

TTFT `t_first - t_send`; E2E `t_last - t_send`; TPOT `(E2E - TTFT) / (n - 1)`; ITL one gap a chunk, pooled;
throughputs over the time from the first due request to the last end. Failed requests are counted and in no latency.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from tui.export.job import ExportedFile, Job, exported
from tui.export.lane_run import (
    NS,
    ExportedLane,
    busiest_second,
    exported_lanes,
    first_setting,
    good,
    most_at_once,
    or_zero,
    origin,
    summary_ms,
    tpot_or_zero_s,
    tpot_s,
)
from tui.export.tables import write_object
from tui.model.profile import Endpoint

PERCENTS = (50, 90, 95, 99)
# `sglang` is another name of the first in its client.
BACKENDS: Mapping[Endpoint, str] = {"completions": "openai", "chat": "openai-chat", "generate": "sglang"}


def write_vllm(job: Job) -> list[ExportedFile]:
    """One result file a lane."""
    runs = exported_lanes(job)
    return [_write(job, run, len(runs) == 1) for run in runs]


def _write(job: Job, run: ExportedLane, alone: bool) -> ExportedFile:
    path = job.path(f"{job.recorded.name}.{run.lane}.vllm", ".json", alone)
    size = run.requests.height
    lists = {
        "input_lens": run.prompt_tokens.tolist(),
        "output_lens": np.where(run.ok, run.count("output_tokens"), 0).tolist(),
        "ttfts": or_zero(run.span("t_send_ns", "t_first_ns")),
        "itls": job.passing(run.gaps_s(), f"lane {run.lane}", size),
        "latencies": or_zero(np.where(run.ok, run.span("t_send_ns", "t_last_ns"), 0.0)),
        "start_times": (run.requests.select(pl.coalesce("t_send_ns", "t_sched_ns")).to_series() / NS).to_list(),
        "queue_times": or_zero(run.span("t_sched_ns", "t_send_ns")),
        "generated_texts": ("" for _ in range(size)),
        "errors": run.errors,
    }
    write_object(path, _head(job, run) | _totals(run, job.info.profile.get("slo", {})) | _latencies(run), lists)
    return exported(path, f"lane {run.lane}", size)


def _head(job: Job, run: ExportedLane) -> dict[str, Any]:
    dials = first_setting(job, run)
    when = datetime.fromtimestamp(job.info.wall_ns / NS + (run.start_ns - job.info.t0_ns) / NS, UTC)
    backend = BACKENDS[run.info.endpoint]
    return {
        "date": f"{when:%Y%m%d-%H%M%S}",
        "endpoint_type": backend,
        "backend": backend,
        "label": f"{job.info.name}.{run.lane}",
        "model_id": run.info.model,
        "tokenizer_id": run.info.model,
        "num_prompts": run.requests.height,
        "simulated": job.info.simulated,
        "dragstrip": origin(job, run),
        "request_rate": "inf" if dials.closed else dials.request_rate,
        "burstiness": 1.0 if dials.arrival in ("closed", "poisson") else None,  # its gamma arrivals are no others
        "max_concurrency": dials.concurrency if dials.closed else None,
    }


def _totals(run: ExportedLane, slo: dict[str, Any]) -> dict[str, Any]:
    ok, duration_s = run.ok, run.duration_s
    completed = int(ok.sum())
    tokens_in, tokens_out = int(run.prompt_tokens[ok].sum()), int(run.count("output_tokens")[ok].sum())
    starts_ns = run.moment("t_send_ns")[ok]
    met = _good(run, slo)
    return {
        "duration": duration_s,
        "completed": completed,
        "failed": run.requests.height - completed,
        "total_input_tokens": tokens_in,
        "total_output_tokens": tokens_out,
        "request_throughput": completed / duration_s,
        "request_goodput": None if met is None else met / duration_s,
        "output_throughput": tokens_out / duration_s,
        "total_token_throughput": (tokens_in + tokens_out) / duration_s,
        "max_output_tokens_per_s": busiest_second(run.ok_chunk_t_ns, int(starts_ns.min())) if completed else 0.0,
        "max_concurrent_requests": most_at_once(starts_ns, run.span("t_send_ns", "t_last_ns")[ok]),
        "rtfx": 0.0,
    }


def _good(run: ExportedLane, slo: dict[str, Any]) -> int | None:
    ttft_s, e2e_s = run.span("t_send_ns", "t_first_ns")[run.ok], run.span("t_send_ns", "t_last_ns")[run.ok]
    return good(ttft_s, tpot_or_zero_s(e2e_s, ttft_s, run.count("output_tokens")[run.ok]), e2e_s, slo)


def _latencies(run: ExportedLane) -> dict[str, float]:
    ttft_s, e2e_s = run.span("t_send_ns", "t_first_ns")[run.ok], run.span("t_send_ns", "t_last_ns")[run.ok]
    found = summary_ms("ttft", ttft_s, PERCENTS)
    found |= summary_ms("tpot", tpot_s(e2e_s, ttft_s, run.count("output_tokens")[run.ok]), PERCENTS)
    if run.has_chunks:
        found |= summary_ms("itl", run.all_gaps_s, PERCENTS)
    return found | summary_ms("e2el", e2e_s, PERCENTS)
