"""What counting tokens at the end of an answer would do to rates, modelled on a recording of every chunk's tokens."""

from pathlib import Path

import polars as pl

from tui.recording.reader import open_session

NS = 1_000_000_000
SESSION = Path(__file__).parents[1] / "data" / "h100-sweep-other-host"
SETTLED_AFTER_S, LONG_STEP_S = 20, 40


def counted_late(chunks: pl.LazyFrame) -> pl.LazyFrame:
    """The same chunks (lane, request, outcome, t_ns, tokens) with `late`: one token each, the rest with the last."""
    answer = ["lane", "request"]
    missing = pl.col("tokens").sum().over(answer) - pl.len().over(answer)
    is_last = pl.col("t_ns") == pl.col("t_ns").max().over(answer)
    return chunks.with_columns(late=1 + pl.when(is_last & (pl.col("outcome") == "ok")).then(missing).otherwise(0))


def test_the_rate_of_a_step_is_the_same_within_half_a_percent() -> None:
    session = open_session(SESSION)
    requests = session.scan("requests").select("lane", "request", "segment", "outcome")
    chunks = counted_late(session.scan("chunks").join(requests, on=["lane", "request"]))
    since_s = (pl.col("t_ns") - pl.col("t_ns").min().over("segment")) / NS
    settled = chunks.with_columns(since_s=since_s).filter(pl.col("since_s") > SETTLED_AFTER_S)
    steps = (
        settled.group_by("segment", "lane")
        .agg(pl.col("since_s").max(), pl.col("tokens").sum(), pl.col("late").sum())
        .filter(pl.col("since_s") > LONG_STEP_S)
        .collect()
    )
    assert steps.height == 12
    assert (steps["tokens"] != steps["late"]).any()
    assert steps.select((pl.col("late") / pl.col("tokens") - 1).abs().max()).item() < 0.005
