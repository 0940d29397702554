"""Latency percentiles of both lanes at the main setting, with intervals and verdicts."""

from collections.abc import Sequence

from tui.judge.ledger import VisitedSetting, main_setting, visited
from tui.judge.obstacles import obstacle
from tui.judge.tables import LATENCY, Tables
from tui.model.dials import DIAL
from tui.model.metrics import METRICS, SHOWN_PERCENTILES
from tui.model.rows import LANES
from tui.report.document import Block, Heading, Paragraph, Table
from tui.report.format import ALONE, NONE, any_alone, interval, ms, percent, range_ms, word
from tui.stats.latency import LatencyFigure, latency_figure
from tui.stats.verdict import Verdict, holm


def latency_blocks(tables: Tables) -> list[Block]:
    """A table of TTFT, TPOT and E2E; of one lane without the comparison."""
    setting = main_setting(visited(tables))
    if setting is None or not setting.settled_s:
        return []
    lanes = list(tables.session.lanes)
    at_a_rate = any(dials["arrival"] not in ("closed", "") for dials in setting.dials.values())
    header = ["ms", *(f"{lane.upper()} [95 %], with failures" for lane in lanes)]
    header += ["A against B", "95 % interval", "verdict"] if len(lanes) == 2 else []
    at = setting.circumstances(tables.circumstances)
    figures = [
        (metric, name) for metric in LATENCY if metric != "ttft_sched" or at_a_rate for name in SHOWN_PERCENTILES
    ]
    reasons = [obstacle(at, metric) for metric, _ in figures]
    lines = [(*_figure(tables, setting, figure), why) for figure, why in zip(figures, reasons, strict=True)]
    verdicts = [verdict for _, verdict, why in lines if verdict is not None and not why]
    significant = iter(holm(verdicts))
    rows = []
    for cells, verdict, why in lines:
        if verdict is not None and not why:
            text = word(verdict, next(significant)) if verdict.ratio else NONE
            rows.append([*cells, percent(verdict.ratio), interval(verdict), text])
        else:
            rows.append([*cells, NONE, NONE, "not comparable"] if len(lanes) == 2 else cells)
    dials_text = ", ".join(
        f"{DIAL[name].label} {value}" for name, value in next(iter(setting.dials.values())).items() if value
    )
    note = f"Requests sent in {setting.settled_s} settled s at {dials_text}. Lower is better."
    for why in dict.fromkeys(filter(None, reasons)) if len(lanes) == 2 else ():
        metrics = [metric for (metric, _), reason in zip(figures, reasons, strict=True) if reason == why]
        note = f"{note} {_not_comparable(metrics, among=[metric for metric, _ in figures])}: {why}."
    among = [Paragraph(ALONE)] if any_alone(verdicts, holm(verdicts)) else []
    return [Heading("Latency"), Paragraph(note), Table(header, rows), *among]


def _not_comparable(metrics: Sequence[str], among: Sequence[str]) -> str:
    if len(metrics) == len(among):
        return "Not comparable"
    labels = [_label(metric) for metric in dict.fromkeys(metrics)]
    return f"{' and '.join(labels)} {'is' if len(labels) == 1 else 'are'} not comparable"


def _label(metric: str) -> str:
    return "TTFT from due" if metric == "ttft_sched" else METRICS[metric].label


def _figure(tables: Tables, visit: VisitedSetting, figure: tuple[str, str]) -> tuple[list[str], Verdict | None]:
    """Its name and each lane's value; the verdict where there are two lanes."""
    metric, name = figure
    lanes = [lane for lane in LANES if lane in tables.session.lanes]
    cells = [
        f"{_label(metric)} {name}",
        *(_cell(latency_figure(visit.latencies(lane, metric), name)) for lane in lanes),
    ]
    if len(lanes) < 2:
        return cells, None
    return cells, visit.verdict(f"{metric}_{name}", delta=tables.margin.delta, frozen=True)


def _cell(figure: LatencyFigure) -> str:
    if figure.value is None:
        return f"needs {figure.missing} more"
    late = f", {ms(figure.with_fail)}" if figure.failed else ""
    return f"{ms(figure.value)}{range_ms(figure.low, figure.high)}{late}"
