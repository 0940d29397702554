"""What `y` copies: the verdict in words, the figures of both lanes and the ledger, as Markdown."""

from __future__ import annotations

from tui.judge.sentence import settings_named
from tui.model.metrics import LATENCIES, SHOWN_PERCENTILES
from tui.model.text import sanitize
from tui.report.document import SIMULATED, Block, Paragraph, Table, markdown_blocks
from tui.session.view import LaneView, Percentiles, View
from tui.ui.comparison import Comparison, names_in
from tui.ui.widgets import numbers


def excerpt(view: View, comparison: Comparison) -> str:
    """Ends with a newline."""
    blocks: list[Block] = [Paragraph(comparison.sentence.text, strong=True), _figures(view)]
    if view.simulated:
        blocks.insert(1, Paragraph(SIMULATED))
    if len(view.ledger) > 1:
        blocks.append(_ledger(view))
    return markdown_blocks(blocks)


def _figures(view: View) -> Table:
    lanes = list(view.lanes.values())
    rows = [
        ["output tok/s", *(numbers.whole(lane.output_tps) for lane in lanes)],
        ["req/s", *(numbers.figure(lane.request_rate) for lane in lanes)],
        ["in flight", *(numbers.whole(lane.in_flight) for lane in lanes)],
        ["failed", *(numbers.whole(lane.failed) for lane in lanes)],
    ]
    for metric in LATENCIES:
        unit, write = ("s", numbers.seconds) if metric.name == "e2e" else ("ms", numbers.figure)
        label = f"{metric.label} {' / '.join(SHOWN_PERCENTILES)} {unit}"
        values = [lane.latencies.get(metric.name, Percentiles()).ms for lane in lanes]
        rows.append([label, *(" / ".join(write(ms.get(name)) for name in SHOWN_PERCENTILES) for ms in values)])
    rows.append(["GPU memory GiB", *map(_memory, lanes)])
    return Table([f"after {numbers.clock(view.second)}, last {view.window_s} s", *map(_title, lanes)], rows)


def _title(lane: LaneView) -> str:
    name = sanitize(f"{lane.info.title} {lane.info.version}", 60) if lane.info else ""
    return f"{lane.lane.upper()} {name}".rstrip()


def _memory(lane: LaneView) -> str:
    gpus = [f"{numbers.gib(gpu.memory_used_bytes)} of {numbers.gib(gpu.memory_total_bytes)}" for gpu in lane.gpus]
    return ", ".join(gpus) or numbers.NONE


def _ledger(view: View) -> Table:
    rows = [row for row in view.ledger if row.settled_s]
    named = settings_named(rows, names_in(view), view.delta)
    tps = [[numbers.whole(row.tps.get(lane)) for lane in view.lanes] for row in rows]
    head = [f"{lane.upper()} tok/s" for lane in view.lanes]
    cells = [[setting, *values, sentence.text] for (setting, sentence), values in zip(named, tps, strict=True)]
    return Table(["setting", *head, "verdict"], cells)
