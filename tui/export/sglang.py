"""The line of `sglang.bench_serving --output-file --output-details`, with SGLang 0.5.23's definitions.

As its own client would have measured it: E2E runs until the end of the stream, `t_end - t_send`, and it opens a
connection for each request, so where ours was opened for the request its time is in the TTFT and the E2E. TPOT is
`(E2E - TTFT) / (n - 1)`; ITL one gap a chunk, pooled; concurrency the sum of E2E over the duration.
Failed requests are in no figure, and counted only in our own key.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from tui.export.exported_lane import (
    ExportedLane,
    Floats,
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
from tui.model.profile import Endpoint

PERCENTS = (90, 95, 99)
NOTE = "output tokens are the server's count: total_output_tokens_retokenized repeats it"
BACKENDS: Mapping[Endpoint, str] = {"completions": "sglang-oai", "chat": "sglang-oai-chat", "generate": "sglang"}


def write_sglang(job: Job) -> list[ExportedFile]:
    """One file of one JSON line a lane."""
    lanes = exported_lanes(job)
    return [_write(job, lane, len(lanes) == 1) for lane in lanes]


def _write(job: Job, lane: ExportedLane, alone: bool) -> ExportedFile:
    path = job.path(f"{job.session.name}.{lane.name}.sglang", ".jsonl", alone)
    size = lane.requests.height
    lists = {
        "input_lens": lane.prompt_tokens.tolist(),
        "output_lens": np.where(lane.ok, lane.count("output_tokens"), 0).tolist(),
        "ttfts": or_zero(_connect_s(lane) + lane.span("t_send_ns", "t_first_ns")),
        "itls": job.with_progress(lane.gaps_s(), f"lane {lane.name}", size),
        "generated_texts": ("" for _ in range(size)),
        "errors": lane.errors,
        "cached_tokens": lane.count("cached_tokens").tolist(),
    }
    write_object(path, _head(job, lane) | _totals(lane) | _latencies(lane) | _peaks(lane), lists)
    return exported(path, f"lane {lane.name}", size)


def _connect_s(lane: ExportedLane) -> Floats:
    return lane.requests["connect_ms"].fill_null(0.0).cast(pl.Float64).to_numpy() / 1000


def _e2e_s(lane: ExportedLane) -> Floats:
    return (_connect_s(lane) + lane.span("t_send_ns", "t_end_ns"))[lane.ok]


def _head(job: Job, lane: ExportedLane) -> dict[str, Any]:
    setting = exported_setting(job, lane)
    return {
        "tag": f"{job.info.name}.{lane.name}",
        "backend": BACKENDS[lane.info.endpoint],
        "dataset_name": "random",
        "request_rate": "inf" if setting.closed else setting.request_rate,
        "max_concurrency": setting.concurrency if setting.closed else None,
        "sharegpt_output_len": None,
        "random_input_len": int(lane.count("prompt_tokens_asked").max()),
        "random_output_len": int(lane.count("output_tokens_asked").max()),
        "random_range_ratio": 1.0,
        "server_info": {"model_path": lane.info.model, "version": lane.info.version, "engine": lane.info.engine},
        "simulated": job.info.simulated,
        "dragstrip": origin(job, lane, NOTE) | {"failed": int((~lane.ok).sum())},
    }


def _totals(lane: ExportedLane) -> dict[str, Any]:
    duration_s = lane.duration_s
    completed = int(lane.ok.sum())
    tokens_in, tokens_out = int(lane.prompt_tokens[lane.ok].sum()), int(lane.output_tokens.sum())
    return {
        "duration": duration_s,
        "completed": completed,
        "total_input_tokens": tokens_in,
        "total_input_text_tokens": tokens_in,
        "total_input_vision_tokens": 0,
        "total_output_tokens": tokens_out,
        "total_output_tokens_retokenized": tokens_out,
        "request_throughput": completed / duration_s,
        "input_throughput": tokens_in / duration_s,
        "output_throughput": tokens_out / duration_s,
        "total_throughput": (tokens_in + tokens_out) / duration_s,
    }


def _latencies(lane: ExportedLane) -> dict[str, float]:
    e2e_s = _e2e_s(lane)
    ttft_s = _connect_s(lane)[lane.ok] + lane.ttft_s
    values_s = {
        "e2e_latency": e2e_s,
        "ttft": ttft_s,
        "tpot": tpot_s(e2e_s, ttft_s, lane.output_tokens),
        **({"itl": lane.all_gaps_s} if lane.has_chunks else {}),
    }
    return summaries_ms(values_s, PERCENTS)


def _peaks(lane: ExportedLane) -> dict[str, Any]:
    starts_ns = lane.moment("t_send_ns")[lane.ok] - _connect_s(lane)[lane.ok] * 1e9
    busiest = busiest_second(lane.ok_chunk_t_ns, int(starts_ns.min())) if starts_ns.size else 0.0
    return {
        "concurrency": float(_e2e_s(lane).sum() / lane.duration_s),
        "accept_length": None,
        "max_output_tokens_per_s": busiest,
        "max_concurrent_requests": most_at_once(starts_ns, _e2e_s(lane)),
    }
