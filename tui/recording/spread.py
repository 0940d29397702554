"""The chunks of a recording with their tokens as they are known after the fact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl

from tui.judge.token_counts import EndCounts, Ints, RecordedChunks, spread_counts
from tui.model.metrics import NS_PER_S
from tui.model.rows import Lane, TableName
from tui.recording.reader import Selection

Rows = Callable[[TableName, Selection], pl.LazyFrame]
LIVE: Final = pl.coalesce("tokens_estimated", "tokens").alias("tokens")  # tokens of a chunk as they counted live
_END_OF_TIME: Final = 2**63 - 1


def spread_chunks(select: Rows, selection: Selection, lane: Lane) -> RecordedChunks:
    """The chunks of a lane by time; `tokens` are those after the fact."""
    ends, span = _ends(select, selection, lane)
    wanted = selection
    if ends.request.size and (selection.t0_ns is not None or selection.t1_ns is not None):
        wanted = replace(selection, t0_ns=span[0], t1_ns=span[1])
    chunks = _read(select("chunks", wanted).filter(pl.col("lane") == lane))
    chunks = replace(chunks, tokens=spread_counts(chunks, ends))
    return chunks if wanted is selection else _between(chunks, selection)


def joins_tokens(select: Rows, selection: Selection, lane: Lane) -> bool:
    """Whether counts of the lane's answers are to be spread over their chunks."""
    return bool(_ends(select, selection, lane)[0].request.size)


def spread_seconds(select: Rows, selection: Selection, seconds: pl.DataFrame) -> pl.DataFrame:
    """Rows of the table `seconds` with the output tokens as they are known after the fact."""
    for lane in seconds["lane"].unique().to_list():
        if not joins_tokens(select, selection, lane):
            continue
        chunks = spread_chunks(select, selection, lane)
        t0_ns = seconds["t_ns"][0]
        second = (chunks.t_ns - t0_ns) // NS_PER_S
        first, last = (int(at) for at in (second.min(), second.max()))
        changes = np.bincount(second - first, weights=chunks.tokens - chunks.live, minlength=last - first + 1)
        more = pl.DataFrame({"t_ns": t0_ns + np.arange(first, last + 1) * NS_PER_S, "more": changes.astype(np.int32)})
        seconds = seconds.join(
            more.with_columns(lane=pl.lit(lane)), on=["lane", "t_ns"], how="left", maintain_order="left"
        )
        seconds = seconds.with_columns(pl.col("output_tokens") + pl.col("more").fill_null(0)).drop("more")
    return seconds


def _ends(select: Rows, selection: Selection, lane: Lane) -> tuple[EndCounts, tuple[int, int]]:
    """The answers whose counts are to be spread and of which some chunk may be selected, and when they arrived."""
    t0_ns, t1_ns = selection.t0_ns or 0, selection.t1_ns or _END_OF_TIME
    rows = (
        select("requests", replace(selection, t0_ns=None, t1_ns=None))
        .filter(pl.col("lane") == lane, pl.col("outcome") == "ok", pl.col("tokens_from") == "spread")
        .filter(pl.col("t_last_ns") >= t0_ns, pl.col("t_first_ns") < t1_ns)
        .select("request", "segment", "output_tokens", "hidden_tokens", "t_first_ns", "t_last_ns")
        .collect()
    )
    columns = rows.select("request", "segment", "output_tokens", "hidden_tokens").cast(pl.Int64).fill_null(0)
    ends = EndCounts.sorted(*(column.to_numpy() for column in columns))
    return ends, (rows["t_first_ns"].min() or 0, (rows["t_last_ns"].max() or 0) + 1)  # type: ignore[operator, return-value]


def _read(rows: pl.LazyFrame) -> RecordedChunks:
    columns = rows.select("request", "t_ns", "tokens", pl.col("text_bytes").fill_null(0), live=LIVE).collect()
    t_ns = columns["t_ns"].to_numpy()
    if np.any(t_ns[1:] < t_ns[:-1]):
        columns = columns.sort("t_ns", maintain_order=True)
    return RecordedChunks(*(column.to_numpy() for column in columns))


def _between(chunks: RecordedChunks, selection: Selection) -> RecordedChunks:
    limits = (selection.t0_ns or 0, _END_OF_TIME if selection.t1_ns is None else selection.t1_ns)
    first, last = np.searchsorted(chunks.t_ns, limits)

    def cut(column: Ints) -> Ints:
        return column[first:last]

    return RecordedChunks(*map(cut, (chunks.request, chunks.t_ns, chunks.tokens, chunks.text_bytes, chunks.live)))
