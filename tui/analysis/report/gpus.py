"""How busy each lane's GPUs were at each setting: one that waits is held up by its host or has too little to do."""

from math import fsum
from statistics import fmean
from typing import Final

import polars as pl

from tui.analysis.expressions import lane_of
from tui.analysis.ledger import Visited, visited
from tui.analysis.report.blocks import Block, Heading, Paragraph, Table
from tui.analysis.report.words import NONE, lanes_setting, number
from tui.analysis.tables import Tables
from tui.records import gauges
from tui.records.rows import LANES, Lane

NOTE: Final = (
    "Busy: of the seconds that the ledger counts, the share in which the GPU ran anything at all, as NVML tells. One "
    "that is not busy waits for its host, or has too little to do. The mean of a lane's GPUs; their power in all."
)
NS: Final = 1_000_000_000


def gpu_blocks(tables: Tables) -> list[Block]:
    """A row for each setting that was measured; nothing where no GPU was read."""
    if not tables.gauges.height:
        return []
    lanes = [lane for lane in LANES if lane in tables.session.lanes]
    settings = [one for one in visited(tables) if one.settled_s]
    among = [dials for one in settings for dials in one.dials.values()]
    rows = []
    for one in settings:
        cells = [cell for lane in lanes for cell in _cells(tables, one, lane)]
        if any(cell != NONE for cell in cells):
            rows.append([lanes_setting(one.dials, among), *cells])
    if not rows:
        return []
    header = ["setting", *(f"{lane.upper()} {figure}" for lane in lanes for figure in ("busy %", "W"))]
    return [Heading("GPUs"), Paragraph(NOTE), Table(header, rows)]


def _cells(tables: Tables, setting: Visited, lane: Lane) -> list[str]:
    t0_ns = tables.session.t0_ns
    counted = [round(at_s - t0_ns / NS) for of in setting.segments for at_s in of.at_s.get(lane, ())]
    of_gpus = lane_of(tables.gauges, lane).filter(
        pl.col("source").str.starts_with("gpu"), ((pl.col("t_ns") - t0_ns) // NS).is_in(counted)
    )
    mean = of_gpus.group_by("name", "source").agg(pl.col("value").mean())
    busy, power = (mean.filter(name=name)["value"].to_list() for name in (gauges.GPU_UTILIZATION, gauges.GPU_POWER))
    return [number(fmean(busy), 1) if busy else NONE, number(fsum(power)) if power else NONE]
