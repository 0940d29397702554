"""Where the requests in flight were: in the engine's batch, in its queue, or still in front of its scheduler."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from tui.analysis.report.blocks import Block, Heading, Paragraph, Table
from tui.analysis.report.counted import in_seconds, lanes_of, setting_rows
from tui.analysis.report.words import NONE, number
from tui.analysis.tables import Tables
from tui.records import gauges
from tui.records.rows import Lane

NOTE: Final = (
    "Means of the seconds that the ledger counts and the server told of: requests in flight as we count them, those "
    "that it says are running or queued, and the rest, unscheduled: on the network, in its HTTP process, at its "
    "tokenizer, or their answers on the way back. Many of those beside a GPU that waits mean that what stands before "
    "the engine is the limit. Rough where gauges are renewed rarely; it tells nothing of a server that also serves "
    "others, or of several behind one address."
)
SLACK: Final = 0.1  # of the requests in flight: two clocks disagree by as much
FIGURES: Final = ("in flight", "running", "queued", "unscheduled")


def whereabouts_blocks(tables: Tables) -> list[Block]:
    """A row for each setting that was measured; nothing where no server told what it runs."""
    if not tables.gauges.height:
        return []

    def cells(lane: Lane, seconds: Sequence[int]) -> list[str]:
        told = in_seconds(tables, tables.gauges, lane, seconds)
        by_second = told.group_by("second").agg(
            running=_mean_of(gauges.RUNNING), queued=_mean_of(gauges.WAITING)
        )  # fmt: skip
        sent = in_seconds(tables, tables.seconds, lane, seconds).select("second", "in_flight")
        both = sent.join(by_second, on="second").drop_nulls()
        if not both.height:
            return [NONE] * len(FIGURES)
        in_flight, running, queued = (_mean(both[name]) for name in ("in_flight", "running", "queued"))
        in_front = in_flight - running - queued
        serves_others = in_front < -SLACK * in_flight
        known = [number(value, 1) for value in (in_flight, running, queued)]
        return [*known, NONE if serves_others else number(max(in_front, 0.0), 1)]

    rows = setting_rows(tables, cells)
    header = ["setting", *(f"{lane.upper()} {figure}" for lane in lanes_of(tables) for figure in FIGURES)]
    return [Heading("Where requests were"), Paragraph(NOTE), Table(header, rows)] if rows else []


def _mean_of(gauge: str) -> pl.Expr:
    return pl.col("value").filter(pl.col("name") == gauge).mean()


def _mean(values: pl.Series) -> float:
    return float(values.cast(pl.Float64).mean() or 0.0)  # type: ignore[arg-type]
