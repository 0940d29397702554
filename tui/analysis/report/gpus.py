"""How busy each lane's GPUs were at each setting: one that waits is held up by its host or has too little to do."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from tui.analysis.expressions import Span, lane_of, within
from tui.analysis.ledger import visited
from tui.analysis.report.blocks import Block, Heading, Paragraph, Table
from tui.analysis.report.words import NONE, number, setting_text
from tui.analysis.tables import Tables
from tui.records import gauges
from tui.records.rows import LANES

NOTE: Final = (
    "Busy: of the measured time, that in which the GPU ran anything at all, as NVML tells. One that is not busy "
    "under full load waits for its host. The mean of a lane's GPUs; their power in all."
)


def gpu_blocks(tables: Tables) -> list[Block]:
    """A row for each setting that was measured; nothing where no GPU was read."""
    if not tables.gauges.height:
        return []
    lanes = [lane for lane in LANES if lane in tables.session.lanes]
    settings = [one for one in visited(tables) if one.settled_s]
    among = [dials for one in settings for dials in one.dials.values()]
    rows = []
    for one in settings:
        name = setting_text(next(iter(one.dials.values())), among)
        cells = [cell for lane in lanes for cell in _cells(lane_of(tables.gauges, lane), one.spans(lane))]
        if any(cell != NONE for cell in cells):
            rows.append([name, *cells])
    if not rows:
        return []
    header = ["setting", *(f"{lane.upper()} {figure}" for lane in lanes for figure in ("busy %", "W"))]
    return [Heading("GPUs"), Paragraph(NOTE), Table(header, rows)]


def _cells(readings: pl.DataFrame, spans: Sequence[Span]) -> list[str]:
    of_gpus = readings.filter(pl.col("source").str.starts_with("gpu"), within(spans, "t_ns"))
    busy = of_gpus.filter(pl.col("name") == gauges.GPU_UTILIZATION)["value"].mean()
    power = of_gpus.filter(pl.col("name") == gauges.GPU_POWER).group_by("source").agg(pl.col("value").mean())["value"]
    return [
        number(busy, 1) if isinstance(busy, float) else NONE,
        number(float(power.sum())) if power.len() else NONE,
    ]
