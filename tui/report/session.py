"""The report of one session, section by section.

Latency percentiles of both lanes at the main setting, with intervals and verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from math import fsum
from statistics import fmean
from typing import Any, Final

import polars as pl

from tui.judge.itl import NO_CHUNKS
from tui.judge.ledger import LedgerRow, VisitedSetting, ledger, main_setting, visited
from tui.judge.obstacles import Circumstances, obstacle
from tui.judge.sentence import Setup, cell, lane_names, lanes_setting, settings_named, verdict_sentence
from tui.judge.sweep import crossover
from tui.judge.tables import LATENCY, Requests, Tables, for_lane, queueing
from tui.model import gauges
from tui.model.dials import DIAL
from tui.model.metrics import METRICS, NS_PER_S, SHOWN_PERCENTILES
from tui.model.profile import Limits
from tui.model.rows import LANES, Lane
from tui.model.session import LaneInfo, SessionInfo
from tui.report.document import (
    ALONE,
    NONE,
    Block,
    Document,
    Heading,
    Paragraph,
    Table,
    any_alone,
    interval,
    meaning,
    ms,
    number,
    percent,
    percentile_ms,
    range_ms,
)
from tui.report.study import study_blocks
from tui.report.summary import Distribution, lanes_summary, unknown_sentences
from tui.report.svg import charts
from tui.stats.latency import LatencyFigure, goodput, latency_figure
from tui.stats.verdict import METHOD, Verdict, holm, not_comparable


def latency_blocks(tables: Tables) -> list[Block]:
    """A table of TTFT, TPOT and E2E; of one lane without the comparison."""
    setting = main_setting(visited(tables))
    if setting is None or not setting.settled_s:
        return []
    lanes = list(tables.session.lanes)
    at_a_rate = any(dials["arrival"] not in ("closed", "") for dials in setting.dials.values())
    header = ["ms", *(f"{lane.upper()} [95 %], with failures" for lane in lanes)]
    header += ["A against B", _interval_head(tables), "verdict"] if len(lanes) == 2 else []
    at = setting.circumstances(tables.circumstances)
    figures = [
        (metric, name) for metric in LATENCY if metric != "ttft_sched" or at_a_rate for name in SHOWN_PERCENTILES
    ]
    reasons = [obstacle(at, metric) for metric, _ in figures]
    lines = [(*_figure(tables, setting, figure, at), why) for figure, why in zip(figures, reasons, strict=True)]
    verdicts = [verdict for _, verdict, why in lines if verdict is not None and not why]
    significant = iter(holm(verdicts))
    rows = []
    for cells, verdict, why in lines:
        if verdict is not None and not why:
            text = cell(verdict, holds=next(significant))
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


def _interval_head(tables: Tables) -> str:
    """Which kind of interval, because they differ in width."""
    return f"95 % interval, {'watched' if tables.session.watched else 'at the end'}"


def _not_comparable(metrics: Sequence[str], among: Sequence[str]) -> str:
    if len(metrics) == len(among):
        return "Not comparable"
    labels = [_label(metric) for metric in dict.fromkeys(metrics)]
    return f"{' and '.join(labels)} {'is' if len(labels) == 1 else 'are'} not comparable"


def _label(metric: str) -> str:
    return "TTFT from due" if metric == "ttft_sched" else METRICS[metric].label


def _figure(
    tables: Tables, visit: VisitedSetting, figure: tuple[str, str], at: Circumstances
) -> tuple[list[str], Verdict | None]:
    """Its name and each lane's value; the verdict where there are two lanes."""
    metric, name = figure
    lanes = [lane for lane in LANES if lane in tables.session.lanes]
    cells = [
        f"{_label(metric)} {name}",
        *(
            NONE if at.why_unknown(lane, metric) else _cell(latency_figure(visit.latencies(lane, metric), name))
            for lane in lanes
        ),
    ]
    if len(lanes) < 2:
        return cells, None
    return cells, visit.verdict(f"{metric}_{name}", delta=tables.margin.delta, frozen=not tables.session.watched)


def _cell(figure: LatencyFigure) -> str:
    if figure.value is None:
        return f"needs {figure.missing} more"
    late = f", {ms(figure.with_fail)}" if figure.failed else ""
    return f"{ms(figure.value)}{range_ms(figure.low, figure.high)}{late}"


Cells = Callable[[Lane, Sequence[int]], list[str]]


def setting_rows(tables: Tables, cells: Cells) -> list[list[str]]:
    """A row for each setting of which something is known: its name, and the cells of each lane.

    `cells` is given the lane and the seconds of the session that count for it.
    """
    settings = [one for one in visited(tables) if one.settled_s]
    among = [dials for one in settings for dials in one.dials.values()]
    t0_s = tables.session.t0_ns / NS_PER_S
    rows = []
    for one in settings:
        row: list[str] = []
        for lane in lanes_of(tables):
            row += cells(lane, [round(at_s - t0_s) for segment in one.segments for at_s in segment.lane(lane).at_s])
        if any(cell != NONE for cell in row):
            rows.append([lanes_setting(one.dials, among), *row])
    return rows


def lanes_of(tables: Tables) -> list[Lane]:
    return [lane for lane in LANES if lane in tables.session.lanes]


def in_seconds(tables: Tables, table: pl.DataFrame, lane: Lane, seconds: Sequence[int]) -> pl.DataFrame:
    """A lane's rows that fall into these seconds of the session, with `second`."""
    second = (pl.col("t_ns") - tables.session.t0_ns) // NS_PER_S
    return for_lane(table, lane).with_columns(second=second).filter(pl.col("second").is_in(seconds))


GPU_NOTE: Final = (
    "Busy: share of the counted seconds in which the GPU ran any kernel, as NVML reports it, averaged over a lane's "
    "GPUs. A GPU that is not busy waits for its host or has too little to do. W: power of all the lane's GPUs."
)


def gpu_blocks(tables: Tables) -> list[Block]:
    """A row for each setting that was measured; nothing where no GPU was read."""
    readings = (
        tables.gauges.filter(pl.col("source").str.starts_with("gpu")) if tables.gauges.height else tables.gauges
    )
    if not readings.height:
        return []

    def cells(lane: Lane, seconds: Sequence[int]) -> list[str]:
        mean = in_seconds(tables, readings, lane, seconds).group_by("name", "source").agg(pl.col("value").mean())
        busy, power = (
            mean.filter(name=name)["value"].to_list() for name in (gauges.GPU_UTILIZATION, gauges.GPU_POWER)
        )
        return [number(fmean(busy), 1) if busy else NONE, number(fsum(power)) if power else NONE]

    rows = setting_rows(tables, cells)
    header = ["setting", *(f"{lane.upper()} {figure}" for lane in lanes_of(tables) for figure in ("busy %", "W"))]
    return [Heading("GPUs"), Paragraph(GPU_NOTE), Table(header, rows)] if rows else []


UNSCHEDULED_NOTE: Final = (
    "Means over the counted seconds in which the server reported its queue: requests in flight as the client counts "
    "them, those running and queued as the server does, and the rest, unscheduled: on the network, in the server's "
    "HTTP process or at its tokenizer, or answers on their way back. Many of them next to an idle GPU mean that the "
    "limit lies in front of the engine. Rough where gauges are renewed rarely, and meaningless for a server that "
    "also serves others or for several servers behind one address."
)
QUEUEING: Final = ("in flight", "running", "queued", "unscheduled")


def queueing_blocks(tables: Tables) -> list[Block]:
    """A row for each setting that was measured; nothing where no server reported what it runs."""
    if not tables.gauges.height:
        return []

    def cells(lane: Lane, seconds: Sequence[int]) -> list[str]:
        rows = in_seconds(tables, tables.seconds, lane, seconds).sort("t_ns")
        readings = for_lane(tables.gauges, lane).filter(source=gauges.SERVER).sort("t_ns")
        running, queued = (
            readings.filter(name=name).select("t_ns", "value").rows() for name in (gauges.RUNNING, gauges.WAITING)
        )
        means = queueing(rows["t_ns"].to_numpy(), rows["in_flight"].to_numpy(), running, queued)
        if means is None:
            return [NONE] * len(QUEUEING)
        return [number(value, 1) for value in (means.in_flight, means.running, means.queued, means.unscheduled)]

    rows = setting_rows(tables, cells)
    header = ["setting", *(f"{lane.upper()} {figure}" for lane in lanes_of(tables) for figure in QUEUEING)]
    return [Heading("Where requests were"), Paragraph(UNSCHEDULED_NOTE), Table(header, rows)] if rows else []


MAX_EVENTS: Final = 200
COUNTED: Final = {
    "usage": "with each chunk",
    "usage at end": "at the end",
    "spread": "at the end, of chunks with several tokens",
    "chunks": "not reported; one token per chunk assumed",
    "chunks, not usage": "wrong; one token per chunk assumed",
}


def session_report(
    tables: Tables,
    itl: Mapping[Lane, Distribution] | None = None,
    limits: Limits | None = None,
) -> Document:
    """The report of one session. `itl`: the inter-token latencies of each lane, which the requests do not hold.

    Without `limits` goodput is under those of the session's profile, if it has any.
    """
    limits = limits or tables.limits
    lacks = [] if itl or not tables.requests.height else [Paragraph(f"{NO_CHUNKS[0].upper()}{NO_CHUNKS[1:]}.")]
    rows = ledger(tables)
    lanes = lanes_summary(tables, itl or {})
    blocks: list[Block] = [
        *_head(tables, rows),
        *_traffic(tables.session, lanes),
        *_lanes(lanes),
        *lacks,
        *ledger_blocks(tables, rows),
    ]
    blocks += charts(tables, rows)
    blocks += latency_blocks(tables)
    if limits.by_metric:
        blocks += _goodput(tables, limits)
    blocks += [*queueing_blocks(tables), *gpu_blocks(tables), *study_blocks(tables)]
    blocks += [*_events(tables), *_definitions()]
    return Document(title_of(tables.session), tables.session.simulated, blocks)


def _traffic(session: SessionInfo, lanes: Mapping[str, Mapping[str, Any]]) -> list[Block]:
    """Which file was played, and how much of the prompts each server had cached."""
    sentences = []
    if file := session.traffic:
        skipped = sum(file["skipped"].values())
        left_out = f", {number(skipped, 0)} rows of it cannot be sent" if skipped else ""
        digest = f"SHA-256 {file['sha256'][:16]}…"
        requests = f"{number(file['requests'], 0)} requests {file['order']}"
        sentences.append(f"Traffic: {file['name']} ({file['form']}, {digest}), {requests}{left_out}.")
    shares = {lane: figures["prefix_hit_share"] for lane, figures in lanes.items()}
    if any(share for share in shares.values()):
        hits = ", ".join(
            f"{lane.upper()} {NONE if share is None else f'{share:.1%}'}" for lane, share in shares.items()
        )
        sentences.append(f"Of the prompt tokens the servers had cached, by their answers: {hits}.")
    return [Paragraph(" ".join(sentences))] if sentences else []


def title_of(session: SessionInfo) -> str:
    """The engines and the session's name."""
    engines = [f"{info.title} {info.version}".strip() for info in session.lanes.values()]
    return f"{' against '.join(engines)}: {session.name}"


def _head(tables: Tables, rows: Sequence[LedgerRow]) -> list[Block]:
    session = tables.session
    began = datetime.fromtimestamp(session.wall_ns / NS_PER_S, UTC)
    ended = f"ended: {session.ended}" if session.ended else "cut short: it has no end"
    facts = f"Began {began:%Y-%m-%d %H:%M:%S} UTC, {session.duration_s:.0f} s, {ended}. dragstrip {session.version}."
    blocks: list[Block] = [Paragraph(facts), *([Paragraph(f"Note: {session.note}")] if session.note else [])]
    if len(session.lanes) == 2 and rows:
        blocks += [Paragraph(sentence, strong=True) for sentence in _sentences(tables, rows)]
        blocks += [Paragraph(meaning(tables.margin)), Paragraph(_method(session))]
    return blocks


def _method(session: SessionInfo) -> str:
    """Of which kind the intervals are, and whether the session was recorded under other rules."""
    if session.watched:
        text = "This session could end once it showed a verdict: its intervals hold at every look."
    else:
        text = (
            "This session's length was set before: its intervals are for one look at the end. Those on the screen "
            "hold at every look, and are wider."
        )
    if session.verdict_method == METHOD:
        return text
    number_text = f"method {session.verdict_method}, verdicts here are of method {METHOD}"
    return f"{text} It was recorded under {number_text}."


def _sentences(tables: Tables, rows: Sequence[LedgerRow]) -> list[str]:
    """The ledger in sentences: its main setting, and where the lead changes hands."""
    first = main_setting(rows)
    if first is None:
        return []
    named = settings_named(rows, lane_names(_infos(tables)), tables.margin.delta)
    if len(rows) > 1 and not any(row.verdict.state == "decided" for row in rows):
        words = {row.verdict.reason for row in rows} if len({row.verdict.reason for row in rows}) == 1 else set()
        each = f", each {words.pop()}" if words else ""
        return [f"Output tokens/s: {cell(first.verdict)} at all {len(rows)} settings{each}."]
    setting, sentence = named[rows.index(first)]
    change = crossover(rows)
    return [f"At {setting}: {sentence.text}.", *([f"{change}."] if change else [])]


def _infos(tables: Tables) -> dict[Lane, LaneInfo | None]:
    return {lane: tables.session.lanes.get(lane) for lane in LANES}


def _lanes(lanes: Mapping[str, Mapping[str, Any]]) -> list[Block]:
    """The figures over the whole session or the selected part of it, a column per lane."""
    names = list(lanes)
    refused = [number(lanes[name]["refused"]) for name in names]
    header = ["total", *(f"{name.upper()} {lanes[name]['engine']}" for name in names)]
    rows = [
        ["model", *(str(lanes[name]["model"]) for name in names)],
        ["requests completed", *(number(lanes[name]["requests"]) for name in names)],
        ["failed", *(_failed(lanes[name]) for name in names)],
        *([["refused by the content filter", *refused]] if any(lane["refused"] for lane in lanes.values()) else []),
        ["output tok/s", *(number(lanes[name]["output_tps"], 1) for name in names)],
        ["total tok/s", *(number(lanes[name]["total_tps"], 1) for name in names)],
    ]
    for figure in ("ttft", "ttft_sched", "tpot", "itl", "e2e"):
        latencies = [lanes[name].get(f"{figure}_ms") for name in names]
        if any(latency["n"] for latency in latencies if latency):
            label = "TTFT from due" if figure == "ttft_sched" else METRICS[figure].label
            rows += [
                [
                    f"{label} {p} ms",
                    *(percentile_ms(latency[p], p, latency["n"]) if latency else NONE for latency in latencies),
                ]
                for p in SHOWN_PERCENTILES
            ]
    rows.append(["tokens per chunk", *(number(lanes[name]["client"]["tokens_a_chunk"], 2) for name in names)])
    rows.append(["token counts reported", *(_counted(lanes[name]["client"]["tokens_from"]) for name in names)])
    rows.append(["client-bound (s)", *(number(lanes[name]["client"]["bound_s"]) for name in names)])
    rows.append(["timestamps from", *(str(lanes[name]["client"]["stamp"]) for name in names)])
    heading = Heading("Both lanes" if len(names) == 2 else "The lane")
    notes = [*_usage_warning(lanes), *map(Paragraph, unknown_sentences(lanes))]
    return [heading, Table(header, rows), *_failures(lanes), *notes]


def _failures(lanes: Mapping[str, Mapping[str, Any]]) -> list[Block]:
    """What failed requests said."""
    rows = [
        [name.upper(), each["cause"], each["words"] or NONE, number(each["count"])]
        for name, lane in lanes.items()
        for each in lane["failures"]
    ]
    return [Table(["lane", "failure", "words", "requests"], rows)] if rows else []


def _usage_warning(lanes: Mapping[str, Mapping[str, Any]]) -> list[Block]:
    """A warning where one lane's server mostly counted with each chunk and the other's did not."""
    main_setting = {name: next(iter(lane["client"]["tokens_from"]), "") for name, lane in lanes.items()}
    ways = set(main_setting.values())
    if "usage" not in ways or not ways & {"usage at end", "spread"}:
        return []
    (each,) = (name.upper() for name, way in main_setting.items() if way == "usage")
    return [
        Paragraph(
            f"Only lane {each} reported token counts with each chunk. That may cost it a few per cent where its HTTP "
            "process is busy; `--usage end` asks both servers for the same."
        )
    ]


def _counted(answers: Mapping[str, int]) -> str:
    """`9,420 at the end, 256 with each chunk`."""
    return ", ".join(f"{number(count)} {COUNTED[way]}" for way, count in answers.items()) or NONE


def _failed(lane: Mapping[str, Any]) -> str:
    causes = ", ".join(f"{cause} {count}" for cause, count in lane["errors"].items())
    return f"{lane['failed']} ({causes})" if causes else str(lane["failed"])


def ledger_blocks(tables: Tables, rows: Sequence[LedgerRow]) -> list[Block]:
    if not rows:
        return []
    lanes = list(rows[0].dials)
    among = [dials for row in rows for dials in row.dials.values()]
    both = len(lanes) == 2
    header = ["setting", *(f"{lane.upper()} tok/s" for lane in lanes), "settled s"]
    header += ["A against B", _interval_head(tables), "verdict"] if both else []
    significant = holm([row.verdict for row in rows])
    cells = []
    for row, holds in zip(rows, significant, strict=True):
        if not row.settled_s:  # turned on before anything settled: it has no figures
            continue
        setting = lanes_setting(row.dials, among)
        text = cell(row.verdict, holds=holds)
        if row.verdict.ratio is None:
            text = f"{text} ({row.verdict.reason})"
        visits = f" in {row.visits} visits" if row.visits > 1 else ""
        against = [percent(row.verdict.ratio), interval(row.verdict), text] if both else []
        cells.append([setting, *(number(row.tps[lane], 1) for lane in lanes), f"{row.settled_s}{visits}", *against])
    note = "One row per dial setting, all visits pooled; settling, client-bound and down seconds are left out."
    blocks: list[Block] = [Heading("Ledger"), Paragraph(note)]
    if cells:
        blocks.append(Table(header, cells))
    notes = {row.verdict.note: lanes_setting(row.dials, among) for row in reversed(rows) if row.verdict.note}
    blocks += [Paragraph(f"Note, as at {setting}: {text}.") for text, setting in reversed(notes.items())]
    if passing := len(rows) - len(cells):
        blocks.append(Paragraph(f"{passing} of {len(rows)} settings were left before a second had settled."))
    return [*blocks, Paragraph(ALONE)] if any_alone([row.verdict for row in rows], significant) else blocks


def _goodput(tables: Tables, limits: Limits) -> list[Block]:
    named = [f"{METRICS[metric].label} {limit:g} ms" for metric, limit in limits.by_metric.items()]
    rows = []
    for lane in tables.session.lanes:
        seconds = for_lane(tables.seconds, lane).filter(~pl.col("resting").fill_null(value=False)).sort("t_ns")
        requests = Requests.from_frame(for_lane(tables.requests, lane))
        ends_s = requests.end_ns[requests.good(limits)] / NS_PER_S
        good = goodput(ends_s, requests.ok.size, (seconds["t_ns"] / NS_PER_S).to_list())
        share = NONE if good.share is None else f"{good.share:.2%} [{good.low:.2%}, {good.high:.2%}]"
        rows.append(
            [
                lane.upper(),
                number(good.per_s, 2),
                f"{good.good} of {good.total}",
                share,
                good.met,
            ]
        )
    header = ["lane", "goodput req/s", "requests", "share [95 %]", "99 % of all"]
    note = f"Requests within {', '.join(named)}. Met or not by MLPerf's early-stopping rule at 99 % confidence."
    return [Heading("Goodput"), Paragraph(note), Table(header, rows), *_goodput_verdict(tables, limits)]


def _goodput_verdict(tables: Tables, limits: Limits) -> list[Block]:
    visit = main_setting(visited(tables))
    if visit is None or len(tables.session.lanes) < 2:
        return []
    if why := obstacle(visit.circumstances(tables.circumstances), "goodput"):
        verdict = not_comparable("goodput", why)
    else:
        frozen = not tables.session.watched
        verdict = visit.verdict("goodput", delta=tables.margin.delta, frozen=frozen, limits=limits)
    setup = Setup(names=lane_names(_infos(tables)), delta=tables.margin.delta, over=True)
    text = verdict_sentence(verdict, setup).text
    return [Paragraph(f"{text[0].upper()}{text[1:]}.")]


def _events(tables: Tables) -> list[Block]:
    events = [event for event in tables.events if event.kind not in {"start", "settled"}]
    if not events:
        return []
    rows = []
    for event in events[:MAX_EVENTS]:
        dial = event.name.replace("_", " ")
        moved = f"{dial} {event.old} → {event.new}" if event.kind == "dial" else f"{event.new} {event.text}"
        at = (event.t_ns - tables.session.t0_ns) / NS_PER_S
        rows.append([f"{at:.1f}", event.lane.upper() or "A, B", event.kind, moved.strip()])
    more = len(events) - len(rows)
    rest: list[Block] = [Paragraph(f"{more} more events are in the recording.")] if more else []
    return [Heading("Events"), Table(["s", "lane", "what", ""], rows), *rest]


def _definitions() -> list[Block]:
    rows = [[metric.label, metric.unit, metric.formula] for metric in METRICS.values()]
    note = (
        "Throughput is judged on paired batches of at least 20 s, latency percentiles on ten sections of the time; "
        "lanes that take turns are paired by adjoining turns. Every interval is a 95 % interval of its own row; what "
        "holds for several settings or figures together follows Holm's rule at 5 %. One session says nothing about "
        "another launch."
    )
    return [Heading("Definitions"), Table(["figure", "unit", "formula"], rows), Paragraph(note)]
