"""The line of `sglang.bench_serving --output-file --output-details`, with SGLang 0.5.23's definitions.

As its own client would have seen it: E2E runs until the end of the stream, `t_end - t_send`, and it opens a
connection for each request, so where ours was opened for the request its time is in the TTFT and the E2E. TPOT is
`(E2E - TTFT) / (n - 1)`; ITL one gap a chunk, pooled; concurrency the sum of E2E over the duration.
Failed requests are in no figure, and counted only in our own key.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from tui.export.job import ExportedFile, Job, exported
from tui.export.lane_run import (
    ExportedLane,
    Floats,
    busiest_second,
    exported_lanes,
    first_setting,
    most_at_once,
    or_zero,
    origin,
    summary_ms,
    tpot_s,
)
from tui.export.tables import write_object
from tui.model.profile import Endpoint

PERCENTS = (90, 95, 99)
NOTE = "output tokens are the server's count: total_output_tokens_retokenized repeats it"
BACKENDS: Mapping[Endpoint, str] = {"completions": "sglang-oai", "chat": "sglang-oai-chat", "generate": "sglang"}


def write_sglang(job: Job) -> list[ExportedFile]:
    """One file of one JSON line a lane."""
    runs = exported_lanes(job)
    return [_write(job, run, len(runs) == 1) for run in runs]


def _write(job: Job, run: ExportedLane, alone: bool) -> ExportedFile:
    path = job.path(f"{job.recorded.name}.{run.lane}.sglang", ".jsonl", alone)
    size = run.requests.height
    lists = {
        "input_lens": run.prompt_tokens.tolist(),
        "output_lens": np.where(run.ok, run.count("output_tokens"), 0).tolist(),
        "ttfts": or_zero(_connect_s(run) + run.span("t_send_ns", "t_first_ns")),
        "itls": job.passing(run.gaps_s(), f"lane {run.lane}", size),
        "generated_texts": ("" for _ in range(size)),
        "errors": run.errors,
        "cached_tokens": run.count("cached_tokens").tolist(),
    }
    write_object(path, _head(job, run) | _totals(run) | _latencies(run) | _peaks(run), lists)
    return exported(path, f"lane {run.lane}", size)


def _connect_s(run: ExportedLane) -> Floats:
    return run.requests["connect_ms"].fill_null(0.0).cast(pl.Float64).to_numpy() / 1000


def _e2e_s(run: ExportedLane) -> Floats:
    return (_connect_s(run) + run.span("t_send_ns", "t_end_ns"))[run.ok]


def _head(job: Job, run: ExportedLane) -> dict[str, Any]:
    dials = first_setting(job, run)
    return {
        "tag": f"{job.info.name}.{run.lane}",
        "backend": BACKENDS[run.info.endpoint],
        "dataset_name": "random",
        "request_rate": "inf" if dials.closed else dials.request_rate,
        "max_concurrency": dials.concurrency if dials.closed else None,
        "sharegpt_output_len": None,
        "random_input_len": int(run.count("prompt_tokens_asked").max()),
        "random_output_len": int(run.count("output_tokens_asked").max()),
        "random_range_ratio": 1.0,
        "server_info": {"model_path": run.info.model, "version": run.info.version, "engine": run.info.engine},
        "simulated": job.info.simulated,
        "dragstrip": origin(job, run, NOTE) | {"failed": int((~run.ok).sum())},
    }


def _totals(run: ExportedLane) -> dict[str, Any]:
    ok, duration_s = run.ok, run.duration_s
    tokens_in, tokens_out = int(run.prompt_tokens[ok].sum()), int(run.count("output_tokens")[ok].sum())
    return {
        "duration": duration_s,
        "completed": int(ok.sum()),
        "total_input_tokens": tokens_in,
        "total_input_text_tokens": tokens_in,
        "total_input_vision_tokens": 0,
        "total_output_tokens": tokens_out,
        "total_output_tokens_retokenized": tokens_out,
        "request_throughput": int(ok.sum()) / duration_s,
        "input_throughput": tokens_in / duration_s,
        "output_throughput": tokens_out / duration_s,
        "total_throughput": (tokens_in + tokens_out) / duration_s,
    }


def _latencies(run: ExportedLane) -> dict[str, float]:
    e2e_s = _e2e_s(run)
    ttft_s = (_connect_s(run) + run.span("t_send_ns", "t_first_ns"))[run.ok]
    found = summary_ms("e2e_latency", e2e_s, PERCENTS) | summary_ms("ttft", ttft_s, PERCENTS)
    found |= summary_ms("tpot", tpot_s(e2e_s, ttft_s, run.count("output_tokens")[run.ok]), PERCENTS)
    return found | (summary_ms("itl", run.all_gaps_s, PERCENTS) if run.has_chunks else {})


def _peaks(run: ExportedLane) -> dict[str, Any]:
    starts_ns = run.moment("t_send_ns")[run.ok] - _connect_s(run)[run.ok] * 1e9
    return {
        "concurrency": float(_e2e_s(run).sum() / run.duration_s),
        "accept_length": None,
        "max_output_tokens_per_s": busiest_second(run.ok_chunk_t_ns, int(starts_ns.min())) if starts_ns.size else 0.0,
        "max_concurrent_requests": most_at_once(starts_ns, _e2e_s(run)),
    }
