"""The latencies of `records.metrics` as Polars expressions over the table `requests`, in ms.

Null where a request has none.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl

LATENCY: Final[Mapping[str, pl.Expr]] = {
    "ttft": (pl.col("t_first_ns") - pl.col("t_send_ns")) / 1e6,
    "ttft_sched": (pl.col("t_first_ns") - pl.col("t_sched_ns")) / 1e6,
    "tpot": pl.when(pl.col("output_tokens") > pl.col("k_first")).then(
        (pl.col("t_last_ns") - pl.col("t_first_ns")) / 1e6 / (pl.col("output_tokens") - pl.col("k_first"))
    ),
    "e2e": (pl.col("t_last_ns") - pl.col("t_send_ns")) / 1e6,
}


def lane_of(frame: pl.DataFrame, lane: str) -> pl.DataFrame:
    """The rows of one lane."""
    return frame.filter(pl.col("lane") == lane)
