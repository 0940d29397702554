"""How long a report of a recorded hour takes beyond reading it: 50 requests/s a lane, 16 tokens each.

    python -m tests.bench.analysis.hour [--tokens 16]

Writes the tables to a temporary folder, reads them with Polars, then makes the report. Prints seconds and the ratio.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from tests.judge.made import T0, session
from tui.judge.itl import ChunkGaps
from tui.judge.tables import Tables
from tui.model.rows import LANES, Lane
from tui.recording.schema import schema
from tui.report.document import markdown, page
from tui.report.session import session_report
from tui.session.state import LatencyHistogram

HOUR_S, RATE, NS, BLOCK = 3600, 50, 1_000_000_000, 1_000_000


def requests_of(lane: Lane, rng: np.random.Generator, tokens: int) -> pl.DataFrame:
    """An hour of requests, sent at a steady rate."""
    n = HOUR_S * RATE
    send = T0 + np.arange(n, dtype=np.int64) * NS // RATE
    first = send + rng.lognormal(18.4, 0.3, n).astype(np.int64)
    last = first + rng.integers(18, 25, n) * 1_000_000 * (tokens - 1)
    columns: dict[str, object] = {
        "lane": pl.repeat(lane, n, eager=True), "request": np.arange(n), "segment": np.zeros(n, np.int32),
        "t_sched_ns": send, "t_send_ns": send, "t_first_ns": first, "t_last_ns": last, "t_end_ns": last,
        "output_tokens": np.full(n, tokens, np.int32), "k_first": np.ones(n, np.int32),
        "outcome": pl.repeat("ok", n, eager=True), "stamp": pl.repeat("kernel", n, eager=True),
        "cause": pl.repeat("", n, eager=True),
    }  # fmt: skip
    return pl.DataFrame({name: columns.get(name) for name in schema("requests")}, schema=schema("requests"))


def seconds_of(lane: Lane, rng: np.random.Generator, tokens: int) -> pl.DataFrame:
    """An hour of seconds."""
    columns: dict[str, object] = {
        "lane": pl.repeat(lane, HOUR_S, eager=True), "t_ns": T0 + np.arange(HOUR_S, dtype=np.int64) * NS,
        "output_tokens": rng.normal(RATE * tokens, 20, HOUR_S).astype(np.int32), "up": np.ones(HOUR_S, bool),
        "bound": np.zeros(HOUR_S, bool), "ttft_p50_ms": rng.normal(100, 5, HOUR_S),
    }  # fmt: skip
    frame = pl.DataFrame({name: columns.get(name) for name in schema("seconds")}, schema=schema("seconds"))
    return frame.with_columns(pl.col(pl.Int32, pl.Float64).fill_null(0))


def chunks_of(requests: pl.DataFrame, lane: Lane, tokens: int) -> pl.DataFrame:
    """A chunk for each token, evenly spread, in order of arrival."""
    first, last = requests["t_first_ns"].to_numpy(), requests["t_last_ns"].to_numpy()
    t_ns = (first[:, None] + (last - first)[:, None] * np.arange(tokens) // (tokens - 1)).ravel()
    order = np.argsort(t_ns, kind="stable")
    request = np.repeat(requests["request"].to_numpy(), tokens)[order]
    columns = {"lane": pl.repeat(lane, t_ns.size, eager=True), "request": request, "t_ns": t_ns[order]}
    return pl.DataFrame({**columns, "tokens": np.ones(t_ns.size, np.int32)}, schema=schema("chunks"))


def itl_of(chunks: pl.DataFrame, lane: Lane) -> LatencyHistogram:
    """The inter-token latencies of one lane, block by block."""
    gaps, histogram = ChunkGaps(T0), LatencyHistogram()
    lane_chunks = chunks.filter(pl.col("lane") == lane)
    for block in lane_chunks.iter_slices(BLOCK):
        fed = gaps.feed_columns(*(block[name].to_numpy() for name in ("request", "t_ns", "tokens")))
        histogram.add(fed.itl_ms, fed.tokens)
    return histogram


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=16)
    tokens = parser.parse_args().tokens
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder, f"{name}.parquet") for name in ("requests", "seconds", "chunks")}
        requests = {lane: requests_of(lane, rng, tokens) for lane in LANES}
        pl.concat(requests.values()).write_parquet(paths["requests"])
        pl.concat([seconds_of(lane, rng, tokens) for lane in LANES]).write_parquet(paths["seconds"])
        pl.concat([chunks_of(requests[lane], lane, tokens) for lane in LANES]).write_parquet(paths["chunks"])
        began = time.perf_counter()
        frames = {name: pl.read_parquet(path) for name, path in paths.items()}
        read_s, began = time.perf_counter() - began, time.perf_counter()
        itl = {lane: itl_of(frames["chunks"], lane) for lane in LANES}
        gaps_s, began = time.perf_counter() - began, time.perf_counter()
        document = session_report(Tables(session(HOUR_S), frames["requests"], frames["seconds"]), itl)
        size = len(markdown(document)) + len(page(document))
        report_s = time.perf_counter() - began
    print(f"{frames['requests'].height:,} requests, {frames['chunks'].height:,} chunks, {size:,} characters written")
    print(f"read {read_s:.2f} s, gaps {gaps_s:.2f} s, report {report_s:.2f} s")
    print(f"beyond reading {gaps_s + report_s:.2f} s, {(gaps_s + report_s) / read_s:.1f} times the reading")


if __name__ == "__main__":
    main()
