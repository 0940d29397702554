"""Tables with a row for each setting, of readings in the seconds that the ledger counts."""

from collections.abc import Callable, Sequence

import polars as pl

from tui.analysis.expressions import lane_of
from tui.analysis.ledger import visited
from tui.analysis.report.words import NONE, lanes_setting
from tui.analysis.tables import Tables
from tui.records.rows import LANES, Lane
from tui.records.units import NS_PER_S

Cells = Callable[[Lane, Sequence[int]], list[str]]


def setting_rows(tables: Tables, cells: Cells) -> list[list[str]]:
    """A row for each setting of which something is told: its name, and the cells of each lane.

    `cells` is given the lane and the seconds of the session that count for it.
    """
    settings = [one for one in visited(tables) if one.settled_s]
    among = [dials for one in settings for dials in one.dials.values()]
    t0_s = tables.session.t0_ns / NS_PER_S
    rows = []
    for one in settings:
        told: list[str] = []
        for lane in lanes_of(tables):
            told += cells(lane, [round(at_s - t0_s) for of in one.segments for at_s in of.at_s.get(lane, ())])
        if any(cell != NONE for cell in told):
            rows.append([lanes_setting(one.dials, among), *told])
    return rows


def lanes_of(tables: Tables) -> list[Lane]:
    """The session's, in order."""
    return [lane for lane in LANES if lane in tables.session.lanes]


def in_seconds(tables: Tables, table: pl.DataFrame, lane: Lane, seconds: Sequence[int]) -> pl.DataFrame:
    """A lane's rows that fall into these seconds of the session, with `second`."""
    second = (pl.col("t_ns") - tables.session.t0_ns) // NS_PER_S
    return lane_of(table, lane).with_columns(second=second).filter(pl.col("second").is_in(seconds))
