"""The study's three tables as a report shows them, and the choice of an engine."""

from collections.abc import Sequence

from tui.analysis.intervals.means import Mean
from tui.analysis.report.blocks import Block, Heading, Paragraph, Table
from tui.analysis.report.words import NONE, number
from tui.analysis.study import StudyRow, study
from tui.analysis.suits import suits
from tui.analysis.tables import Tables


def study_blocks(tables: Tables) -> list[Block]:
    """The tables of one session, as far as they go."""
    found = study(tables)
    sequential, concurrent = found.of("sequential"), found.of("concurrent")
    blocks: list[Block] = []
    if sequential:
        blocks += [Heading("Sequential requests, by prompt length"), _times(sequential, "prompt")]
    if concurrent:
        blocks += [Heading("Concurrent requests, by level"), _times(concurrent, "level")]
    if any(row.memory_gib is not None for row in found.rows):
        blocks += [Heading("GPU memory"), _memory([*sequential, *concurrent])]
    if found.rows and len(tables.session.lanes) == 2:
        blocks.append(Heading("Which engine suits which use"))
        blocks += [Paragraph(one.sentence) for one in suits(tables)]
    return blocks


def _times(rows: Sequence[StudyRow], at: str) -> Table:
    header = [at, "engine", "n", "TPS", "sd", "95 %", "TTFT s", "sd", "95 %"]
    return Table(header, [[r.at, r.engine, str(r.tps.n), *_mean(r.tps, 1), *_mean(r.latency_s, 3)] for r in rows])


def _memory(rows: Sequence[StudyRow]) -> Table:
    cells = [[f"{row.kind} {row.at}", row.engine, *_mean(row.memory_gib, 2)] for row in rows]
    return Table(["requests", "engine", "GiB", "sd", "95 %"], cells)


def _mean(mean: Mean | None, digits: int) -> list[str]:
    if mean is None:
        return [NONE, NONE, NONE]
    interval = NONE if mean.low is None else f"{number(mean.low, digits)} to {number(mean.high, digits)}"
    return [number(mean.mean, digits), number(mean.sd, digits), interval]
