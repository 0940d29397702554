"""Latency percentiles of both lanes at the foremost setting, with intervals and verdicts."""

import numpy as np

from tui.judge.latency import (
    Latencies,
    LatencyFigure,
    latencies_of,
    latency_figure,
    latency_turns_verdict,
    latency_verdict,
)
from tui.judge.ledger import Visited, main_setting, visit_circumstances, visited
from tui.judge.obstacles import obstacle
from tui.judge.tables import LATENCY, Tables, for_lane, within
from tui.model.dials import DIAL
from tui.model.metrics import METRICS
from tui.model.rows import LANES, Lane
from tui.report.document import Block, Heading, Paragraph, Table
from tui.report.format import ALONE, NONE, any_alone, interval, ms, percent, range_ms, word
from tui.stats.verdict import Verdict, standing

PERCENTILES = ("p50", "p95", "p99")


def latency_blocks(tables: Tables) -> list[Block]:
    """A table of TTFT, TPOT and E2E; of one lane without the comparison."""
    found = main_setting(visited(tables))
    if found is None or not found.settled_s:
        return []
    lanes = list(tables.session.lanes)
    at_a_rate = any(setting["arrival"] not in ("closed", "") for setting in found.dials.values())
    header = ["ms", *(f"{lane.upper()} [95 %], with failures" for lane in lanes)]
    header += ["A against B", "95 % interval", "verdict"] if len(lanes) == 2 else []
    why = obstacle(visit_circumstances(tables, found))
    figures = [(metric, name) for metric in LATENCY if metric != "ttft_sched" or at_a_rate for name in PERCENTILES]
    told = [_figure(tables, found, figure) for figure in figures]
    verdicts = [verdict for _, verdict in told if verdict is not None and not why]
    stand = iter(standing(verdicts))
    rows = []
    for cells, verdict in told:
        if verdict is not None and not why:
            text = word(verdict, next(stand)) if verdict.ratio else NONE
            rows.append([*cells, percent(verdict.ratio), interval(verdict), text])
        else:
            rows.append([*cells, NONE, NONE, "not comparable"] if len(lanes) == 2 else cells)
    setting = ", ".join(
        f"{DIAL[name].label} {value}" for name, value in next(iter(found.dials.values())).items() if value
    )
    note = f"Of requests sent in {found.settled_s} settled s at {setting}. Lower is better."
    if len(lanes) == 2 and why:
        note = f"{note} Not comparable: {why}."
    among = [Paragraph(ALONE)] if any_alone(verdicts, standing(verdicts)) else []
    return [Heading("Latency"), Paragraph(note), Table(header, rows), *among]


def _figure(tables: Tables, visit: Visited, figure: tuple[str, str]) -> tuple[list[str], Verdict | None]:
    """Its name and each lane's value; the verdict where there are two lanes."""
    metric, name = figure
    values = [_latencies(tables, visit, lane, metric) for lane in LANES if lane in tables.session.lanes]
    label = "TTFT from due" if metric == "ttft_sched" else METRICS[metric].label
    cells = [f"{label} {name}", *(_cell(latency_figure(own, name)) for own in values)]
    if len(values) < 2:
        return cells, None
    (a, b), pairs, delta = values, visit.pairs, tables.margin.delta
    if pairs is None:
        return cells, latency_verdict(f"{metric}_{name}", a, b, delta=delta, frozen=True)
    return cells, latency_turns_verdict(f"{metric}_{name}", (a, b), pairs, delta=delta, frozen=True)


def _latencies(tables: Tables, visit: Visited, lane: Lane, metric: str) -> Latencies:
    """Of the requests sent while the setting was in force and settled, its visits moved together in time.

    Of lanes that take turns the times stay: their turns are found by them.
    """
    own, parts, joined_ns = for_lane(tables.requests, lane), [], 0
    if visit.pairs is not None:
        return latencies_of(own.filter(within(visit.spans(lane), "t_send_ns")), metric)
    for start_ns, end_ns in visit.spans(lane):
        sent = own.filter(within([(start_ns, end_ns)], "t_send_ns"))
        parts.append((latencies_of(sent, metric), (start_ns - joined_ns) / 1e9))
        joined_ns += end_ns - start_ns
    return Latencies(
        np.concatenate([part.t_s - moved_s for part, moved_s in parts]),
        np.concatenate([part.ms for part, _ in parts]),
        sum(part.failed for part, _ in parts),
    )


def _cell(figure: LatencyFigure) -> str:
    if figure.value is None:
        return f"needs {figure.missing} more"
    late = f", {ms(figure.with_fail)}" if figure.failed else ""
    return f"{ms(figure.value)}{range_ms(figure.low, figure.high)}{late}"
