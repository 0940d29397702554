"""Latency percentiles of both lanes at the setting longest in force, with intervals and verdicts."""

from tui.analysis.expressions import LATENCY, lane_of, within
from tui.analysis.latency import LatencyFigure, latencies_of, latency_figure, latency_turns_verdict, latency_verdict
from tui.analysis.ledger import Visited, visited
from tui.analysis.report.blocks import Block, Heading, Paragraph, Table
from tui.analysis.report.words import NONE, interval, ms, percent, range_ms
from tui.analysis.tables import Tables
from tui.records.dials import DIAL
from tui.records.metrics import METRICS
from tui.records.rows import LANES

PERCENTILES = ("p50", "p95", "p99")


def latency_blocks(tables: Tables) -> list[Block]:
    """A table of TTFT, TPOT and E2E; of one lane without the comparison."""
    found = max(visited(tables), key=lambda visit: visit.settled_s, default=None)
    if found is None or not found.settled_s:
        return []
    lanes = list(tables.session.lanes)
    at_a_rate = any(setting["arrival"] not in ("closed", "") for setting in found.dials.values())
    header = ["ms", *(f"{lane.upper()} [95 %], with failures" for lane in lanes)]
    header += ["A against B", "95 % interval", "verdict"] if len(lanes) == 2 else []
    alike = not tables.refused and len({repr(setting) for setting in found.dials.values()}) == 1
    rows = [
        _row(tables, found, (metric, name), alike=alike)
        for metric in LATENCY
        if metric != "ttft_sched" or at_a_rate
        for name in PERCENTILES
    ]
    setting = ", ".join(
        f"{DIAL[name].label} {value}" for name, value in next(iter(found.dials.values())).items() if value
    )
    note = f"Of requests sent in {found.settled_s} settled s at {setting}. Lower is better."
    return [Heading("Latency"), Paragraph(note), Table(header, rows)]


def _row(tables: Tables, visit: Visited, figure: tuple[str, str], *, alike: bool) -> list[str]:
    metric, name = figure
    sent = {lane: within(visit.spans(lane), "t_send_ns") for lane in LANES if lane in tables.session.lanes}
    values = [latencies_of(lane_of(tables.requests, lane).filter(own), metric) for lane, own in sent.items()]
    label = "TTFT from due" if metric == "ttft_sched" else METRICS[metric].label
    cells = [f"{label} {name}", *(_cell(latency_figure(own, name)) for own in values)]
    if len(values) == 2 and not alike:
        cells += [NONE, NONE, "not comparable"]
    elif len(values) == 2:
        a, b = values
        if visit.pairs is None:
            verdict = latency_verdict(f"{metric}_{name}", a, b, frozen=True)
        else:
            verdict = latency_turns_verdict(f"{metric}_{name}", (a, b), visit.pairs, frozen=True)
        cells += [percent(verdict.ratio), interval(verdict), verdict.word if verdict.ratio else NONE]
    return cells


def _cell(figure: LatencyFigure) -> str:
    if figure.value is None:
        return f"needs {figure.missing} more"
    late = f", {ms(figure.with_fail)}" if figure.failed else ""
    return f"{ms(figure.value)}{range_ms(figure.low, figure.high)}{late}"
