"""The result file of `vllm bench serve --save-result --save-detailed`, with vLLM 0.33's definitions.

TTFT `t_first - t_send`; E2E `t_last - t_send`; TPOT `(E2E - TTFT) / (n - 1)`; ITL one gap a chunk, pooled;
throughputs over the time from the first due request to the last end. Failed requests are counted and in no latency.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from tui.export.exported_lane import (
    NS,
    ExportedLane,
    busiest_second,
    exported_lanes,
    exported_setting,
    most_at_once,
    or_zero,
    origin,
    summaries_ms,
    tpot_s,
)
from tui.export.job import ExportedFile, Job, exported, write_object
from tui.model.profile import Endpoint, Limits

PERCENTS = (50, 90, 95, 99)
# `sglang` is another name of the first in its client.
BACKENDS: Mapping[Endpoint, str] = {"completions": "openai", "chat": "openai-chat", "generate": "sglang"}


def write_vllm(job: Job) -> list[ExportedFile]:
    """One result file a lane."""
    lanes = exported_lanes(job)
    return [_write(job, lane, len(lanes) == 1) for lane in lanes]


def _write(job: Job, lane: ExportedLane, alone: bool) -> ExportedFile:
    path = job.path(f"{job.session.name}.{lane.name}.vllm", ".json", alone)
    size = lane.requests.height
    lists = {
        "input_lens": lane.prompt_tokens.tolist(),
        "output_lens": np.where(lane.ok, lane.count("output_tokens"), 0).tolist(),
        "ttfts": or_zero(lane.span("t_send_ns", "t_first_ns")),
        "itls": job.with_progress(lane.gaps_s(), f"lane {lane.name}", size),
        "latencies": or_zero(np.where(lane.ok, lane.span("t_send_ns", "t_last_ns"), 0.0)),
        "start_times": (lane.requests.select(pl.coalesce("t_send_ns", "t_sched_ns")).to_series() / NS).to_list(),
        "queue_times": or_zero(lane.span("t_sched_ns", "t_send_ns")),
        "generated_texts": ("" for _ in range(size)),
        "errors": lane.errors,
    }
    write_object(path, _head(job, lane) | _totals(job, lane) | _latencies(lane), lists)
    return exported(path, f"lane {lane.name}", size)


def _head(job: Job, lane: ExportedLane) -> dict[str, Any]:
    setting = exported_setting(job, lane)
    when = datetime.fromtimestamp(job.info.wall_ns / NS + (lane.start_ns - job.info.t0_ns) / NS, UTC)
    backend = BACKENDS[lane.info.endpoint]
    return {
        "date": f"{when:%Y%m%d-%H%M%S}",
        "endpoint_type": backend,
        "backend": backend,
        "label": f"{job.info.name}.{lane.name}",
        "model_id": lane.info.model,
        "tokenizer_id": lane.info.model,
        "num_prompts": lane.requests.height,
        "simulated": job.info.simulated,
        "dragstrip": origin(job, lane),
        "request_rate": "inf" if setting.closed else setting.request_rate,
        "burstiness": 1.0
        if setting.arrival in ("closed", "poisson")
        else None,  # of its gamma arrivals we have no others
        "max_concurrency": setting.concurrency if setting.closed else None,
    }


def _totals(job: Job, lane: ExportedLane) -> dict[str, Any]:
    duration_s = lane.duration_s
    completed = int(lane.ok.sum())
    tokens_in, tokens_out = int(lane.prompt_tokens[lane.ok].sum()), int(lane.output_tokens.sum())
    starts_ns = lane.moment("t_send_ns")[lane.ok]
    met = lane.good(Limits.recorded(job.info.profile))
    return {
        "duration": duration_s,
        "completed": completed,
        "failed": lane.requests.height - completed,
        "total_input_tokens": tokens_in,
        "total_output_tokens": tokens_out,
        "request_throughput": completed / duration_s,
        "request_goodput": None if met is None else met / duration_s,
        "output_throughput": tokens_out / duration_s,
        "total_token_throughput": (tokens_in + tokens_out) / duration_s,
        "max_output_tokens_per_s": busiest_second(lane.ok_chunk_t_ns, int(starts_ns.min())) if completed else 0.0,
        "max_concurrent_requests": most_at_once(starts_ns, lane.latency_s),
        "rtfx": 0.0,
    }


def _latencies(lane: ExportedLane) -> dict[str, float]:
    values_s = {
        "ttft": lane.ttft_s,
        "tpot": tpot_s(lane.latency_s, lane.ttft_s, lane.output_tokens),
        **({"itl": lane.all_gaps_s} if lane.has_chunks else {}),
        "e2el": lane.latency_s,
    }
    return summaries_ms(values_s, PERCENTS)
