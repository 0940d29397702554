"""How busy each lane's GPUs were at each setting: one that waits is held up by its host or has too little to do."""

from collections.abc import Sequence
from math import fsum
from statistics import fmean
from typing import Final

import polars as pl

from tui.analysis.report.blocks import Block, Heading, Paragraph, Table
from tui.analysis.report.counted import in_seconds, lanes_of, setting_rows
from tui.analysis.report.words import NONE, number
from tui.analysis.tables import Tables
from tui.records import gauges
from tui.records.rows import Lane

NOTE: Final = (
    "Busy: of the seconds that the ledger counts, the share in which the GPU ran anything at all, as NVML tells. One "
    "that is not busy waits for its host, or has too little to do. The mean of a lane's GPUs; their power in all."
)


def gpu_blocks(tables: Tables) -> list[Block]:
    """A row for each setting that was measured; nothing where no GPU was read."""
    of_gpus = tables.gauges.filter(pl.col("source").str.starts_with("gpu")) if tables.gauges.height else tables.gauges
    if not of_gpus.height:
        return []

    def cells(lane: Lane, seconds: Sequence[int]) -> list[str]:
        mean = in_seconds(tables, of_gpus, lane, seconds).group_by("name", "source").agg(pl.col("value").mean())
        busy, power = (
            mean.filter(name=name)["value"].to_list() for name in (gauges.GPU_UTILIZATION, gauges.GPU_POWER)
        )
        return [number(fmean(busy), 1) if busy else NONE, number(fsum(power)) if power else NONE]

    rows = setting_rows(tables, cells)
    header = ["setting", *(f"{lane.upper()} {figure}" for lane in lanes_of(tables) for figure in ("busy %", "W"))]
    return [Heading("GPUs"), Paragraph(NOTE), Table(header, rows)] if rows else []
