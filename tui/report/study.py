"""The published study's three tables over one session, and its CSV.

Sequential: one request at a time, by prompt length. Concurrent: everything else, by level. Memory: of the GPUs.
TPS is the output tokens of one request over its E2E, latency its TTFT in seconds, as in the study.

Which engine suits latency-bound, throughput-bound and memory-bound use, on the data of one session.

The study's three tables as a report shows them, and the choice of an engine.

GPU memory: what the load needed, apart from what an engine was made to reserve, which is no result.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import polars as pl

from tui.judge.comparable import Work, work_values
from tui.judge.ledger import visited
from tui.judge.obstacles import obstacle
from tui.judge.segments import Setting
from tui.judge.tables import LATENCY, Tables, for_lane
from tui.model import gauges
from tui.model.metrics import NS_PER_S
from tui.model.rows import LANES, Lane
from tui.report.document import NONE, Block, Heading, Paragraph, Table, number
from tui.stats.batches import SECTIONS, Mean, mean_of
from tui.stats.verdict import margin_of

GIB: Final = 2**30


def memory_gib(readings: pl.DataFrame, lane: Lane, start_ns: object, end_ns: object) -> Mean | None:
    """GPU memory of the lane in GiB, summed over its GPUs: the engine's own where it is known, else all in use.

    A level that hardly moves is few draws, however many seconds it was read, and has no interval.
    """
    if not readings.height:
        return None
    lane_readings = for_lane(readings, lane).filter(pl.col("t_ns").is_between(pl.lit(start_ns), pl.lit(end_ns)))
    for name in (gauges.GPU_MEMORY_ENGINE, gauges.GPU_MEMORY_USED):
        totals = _totals(lane_readings, name)
        if totals.len() and (totals > 0).all():
            mean, levels = mean_of(totals.to_numpy() / GIB), 1 + int((totals.diff().drop_nulls() != 0).sum())
            return mean if levels >= SECTIONS else Mean(mean.mean, mean.sd, None, None, levels)
    return None


def _totals(lane_readings: pl.DataFrame, name: str) -> pl.Series:
    """The sum over the lane's GPUs in each second."""
    # Several GPUs are read one after the other: readings of the same second belong together.
    return (
        lane_readings.filter(pl.col("name") == name)
        .group_by(pl.col("t_ns") // NS_PER_S, "source")
        .agg(pl.col("value").mean())
        .group_by("t_ns")
        .agg(pl.col("value").sum(), gpus=pl.len())
        .filter(pl.col("gpus") == pl.col("gpus").max())
        .sort("t_ns")["value"]
    )


@dataclass(frozen=True, slots=True)
class MemoryFigure:
    """One figure of memory that both engines report, from one launch each."""

    text: str
    a: float
    b: float
    lower_is_better: bool
    capacity: bool  # how much the engine can hold depends on it


def memory_figures(readings: pl.DataFrame, load: pl.DataFrame) -> list[MemoryFigure]:
    """Those that both engines report. `load`: the readings while both had the same load and did the same work."""
    if not readings.height:
        return []
    lanes = [_reserved(for_lane(readings, lane)) for lane in LANES]
    needs = [_in_use(for_lane(load, lane), reserved) for lane, reserved in zip(LANES, lanes, strict=True)]
    kinds = (
        ("weights and overhead {:,.1f} against {:,.1f} GiB", [one.get("overhead_gib") for one in lanes], True, True),
        (
            "{:,.0f} against {:,.0f} KV tokens a GiB of the pool",
            [one.get("tokens_a_gib") for one in lanes],
            False,
            True,
        ),
        ("{:,.0f} against {:,.0f} KV tokens in use a running request", needs, True, False),
    )
    return [
        MemoryFigure(text.format(a, b), a, b, lower_is_better, capacity)
        for text, (a, b), lower_is_better, capacity in kinds
        if a and b and min(a, b) > 0
    ]


def _reserved(lane_readings: pl.DataFrame) -> Mapping[str, float]:
    """Of the pool and of what is not the pool, as far as the lane's engine reports it."""
    known = _means(lane_readings)
    gpus = lane_readings.filter(pl.col("source").str.starts_with("gpu"))["source"].n_unique()
    pool_tokens, pool_gib = known.get(gauges.KV_POOL_TOKENS), known.get(gauges.KV_BYTES, 0.0) * gpus / GIB
    taken = _totals(lane_readings, gauges.GPU_MEMORY_ENGINE)
    reserved: dict[str, float] = {}
    if pool_tokens:
        reserved["pool_tokens"] = pool_tokens
        if pool_gib:
            reserved["tokens_a_gib"] = pool_tokens / pool_gib
    if pool_gib and taken.len():
        reserved["overhead_gib"] = float(taken.to_numpy().mean()) / GIB - pool_gib
    return reserved


def _in_use(lane_readings: pl.DataFrame, reserved: Mapping[str, float]) -> float | None:
    """KV tokens a running request."""
    known = _means(lane_readings)
    usage, running, pool = known.get(gauges.KV_USAGE), known.get(gauges.RUNNING), reserved.get("pool_tokens")
    return usage * pool / running if usage and running and pool else None


def _means(lane_readings: pl.DataFrame) -> dict[str, float]:
    server = lane_readings.filter(pl.col("source") == gauges.SERVER) if lane_readings.height else lane_readings
    if not server.height:
        return {}
    means = server.group_by("name").agg(pl.col("value").mean())
    return dict(means.iter_rows())


CSV_HEADER: Final = ("Request Type", "Framework", "TPS", "Latency", "Memory Usage")
CAPACITY_FIGURES: Final = 2  # of memory: what an engine needs apart from the pool, and what the pool holds
NO_MEMORY: Final = (
    "what each engine reserved is no result, and weights and overhead with KV tokens a GiB were not reported by both"
)

Kind = Literal["sequential", "concurrent"]


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One engine at one prompt length or level."""

    kind: Kind
    at: str  # "50 tokens", "100 streams", "stagger 16.3 req/s"
    order: float
    lane: Lane
    engine: str
    tps: Mean
    latency_s: Mean
    memory_gib: Mean | None


@dataclass(frozen=True, slots=True)
class Study:
    rows: Sequence[StudyRow]

    def of(self, kind: Kind) -> list[StudyRow]:
        """The rows of one table, by length or level, A before B."""
        return sorted((row for row in self.rows if row.kind == kind), key=lambda row: (row.order, row.at, row.lane))


def study(tables: Tables) -> Study:
    """The study of one session: every request that ended well, under the dials it was started with."""
    rows: list[StudyRow] = []
    requests = with_tps(tables.requests)
    groups = groups_of(tables)
    for (kind, at, order), numbers in groups.items():
        setting_requests = requests.filter(pl.col("segment").is_in(numbers))
        for lane in LANES:
            lane_requests = for_lane(setting_requests, lane)
            if lane_requests.height:
                rows.append(_row(tables, (kind, at, order), lane, lane_requests))
    return Study(rows)


Group = tuple[Kind, str, float]


def with_tps(requests: pl.DataFrame) -> pl.DataFrame:
    """The requests that ended well in order of sending, with `ttft_s` and `tps` of each."""
    return (
        requests.filter(pl.col("outcome") == "ok")
        .with_columns(ttft_s=LATENCY["ttft"] / 1000, tps=pl.col("output_tokens") / LATENCY["e2e"] * 1000)
        .sort("t_send_ns")
    )


def groups_of(tables: Tables) -> dict[Group, list[int]]:
    """The segments of each table row, by the dials of lane A or of the only lane."""
    groups: dict[Group, list[int]] = {}
    for visit in visited(tables):
        dials = next(iter(visit.dials.values()), None)
        if dials is None:  # neither server was ever reached
            continue
        groups.setdefault(_group(dials), []).extend(segment.number for segment in visit.segments)
    return groups


def _group(dials: Setting) -> Group:
    if dials["arrival"] not in ("closed", ""):
        return "concurrent", f"{dials['arrival']} {dials['request_rate']} req/s", float("inf")
    if dials["concurrency"] == "1" and dials["prompt_tokens"]:
        return "sequential", f"{dials['prompt_tokens']} tokens", float(dials["prompt_tokens"])
    if not dials["concurrency"]:
        return "concurrent", "a level that is not known", float("inf")
    return "concurrent", f"{dials['concurrency']} streams", float(dials["concurrency"])


def _row(tables: Tables, group: Group, lane: Lane, requests: pl.DataFrame) -> StudyRow:
    kind, at, order = group
    start_ns, end_ns = requests["t_send_ns"].min(), requests["t_end_ns"].max()
    return StudyRow(
        kind=kind,
        at=at,
        order=order,
        lane=lane,
        engine=tables.session.lanes[lane].title,
        tps=mean_of(requests["tps"].drop_nulls().to_numpy()),
        latency_s=mean_of(requests["ttft_s"].drop_nulls().to_numpy()),
        memory_gib=memory_gib(tables.gauges, lane, start_ns, end_ns),
    )


def study_csv(session_study: Study) -> str:
    """The study's CSV, a row for each request type and engine: latency in seconds, memory in GiB or empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    kinds: tuple[Kind, ...] = ("sequential", "concurrent")
    for kind in kinds:
        for row in session_study.of(kind):
            memory = "" if row.memory_gib is None else f"{row.memory_gib.mean:.2f}"
            request_type = f"{kind.capitalize()} {row.at}"
            writer.writerow([request_type, row.engine, f"{row.tps.mean:.2f}", f"{row.latency_s.mean:.3f}", memory])
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Which engine suits one kind of use, or that the data do not carry a choice."""

    use: str
    engine: str  # empty: not supported, or both are level
    sentence: str
    n: int  # requests or launches behind it; 0: not measured


def recommendations(tables: Tables) -> list[Recommendation]:
    """A sentence for each of the three uses, with the interval that carries it, or that the data do not."""
    requests, groups = with_tps(tables.requests), groups_of(tables)
    return [
        _latency_bound(requests, groups, tables),
        _throughput_bound(requests, groups, tables),
        _memory_bound(groups, requests, tables),
    ]


def _latency_bound(requests: pl.DataFrame, groups: Mapping[Group, Sequence[int]], tables: Tables) -> Recommendation:
    use = "latency-bound use"
    parts = [numbers for (kind, _, _), numbers in groups.items() if kind == "sequential"]
    for numbers in parts:
        if why := _differs(requests, numbers, tables, "ttft"):
            return _no_choice(use, why)
    ratio = _together([_ratio(requests, numbers, "ttft_s") for numbers in parts])
    return _choice(use, "TTFT, one request at a time", ratio, tables, lower_is_better=True)


def _throughput_bound(
    requests: pl.DataFrame, groups: Mapping[Group, Sequence[int]], tables: Tables
) -> Recommendation:
    use = "throughput-bound use"
    at, numbers = _busiest(groups) or ("any level", [])
    if why := _differs(requests, numbers, tables, "e2e"):
        return _no_choice(use, why)
    ratio = _together([_ratio(requests, numbers, "tps")])
    return _choice(use, f"TPS a request at {at}", ratio, tables, lower_is_better=False)


def _busiest(groups: Mapping[Group, Sequence[int]]) -> tuple[str, Sequence[int]] | None:
    """The highest level of concurrent requests and its segments."""
    levels = sorted((order, at, numbers) for (kind, at, order), numbers in groups.items() if kind == "concurrent")
    closed = [level for level in levels if math.isfinite(level[0])] or levels
    return closed[-1][1:] if closed else None


def _differs(requests: pl.DataFrame, segments: Sequence[int], tables: Tables, figure: str) -> str:
    """Why a figure of these segments is not compared, their work included; else empty."""
    sent = requests.filter(pl.col("segment").is_in(segments))
    lanes = [lane for lane in LANES if lane in tables.session.lanes]
    work = {lane: Work.of_requests(work_values(for_lane(sent, lane))) for lane in lanes}
    return obstacle(replace(tables.circumstances, work=work), figure)


def _no_choice(use: str, why: str) -> Recommendation:
    return Recommendation(use, "", f"The data do not carry a choice for {use}: {why}.", 0)


def _ratio(requests: pl.DataFrame, segments: Sequence[int], column: str) -> Mean:
    """Mean log ratio of the requests of some segments that both lanes answered: they had the same prompts."""
    sent = requests.filter(pl.col("segment").is_in(segments) & (pl.col(column) > 0))
    a, b = (for_lane(sent, lane).select("request", column, "t_send_ns") for lane in LANES)
    both = a.join(b, on="request", suffix="_b").sort("t_send_ns")
    return mean_of((both[column] / both[f"{column}_b"]).log().to_numpy())


def _together(ratios: Sequence[Mean]) -> Mean | None:
    """The mean over settings, each counting the same, because how long each was tried is no measure of its use."""
    known = [ratio for ratio in ratios if ratio.high is not None]
    if not known:
        return None
    mean = sum(ratio.mean for ratio in known) / len(known)
    half = math.hypot(*(ratio.high - ratio.mean for ratio in known if ratio.high is not None)) / len(known)
    return Mean(mean, 0.0, mean - half, mean + half, sum(ratio.n for ratio in known))


def _memory_bound(groups: Mapping[Group, Sequence[int]], requests: pl.DataFrame, tables: Tables) -> Recommendation:
    use = "memory-bound use"
    if why := obstacle(tables.circumstances):
        return _no_choice(use, why)
    busy = [] if (level := _busiest(groups)) is None or _differs(requests, level[1], tables, "e2e") else level[1]
    figures = memory_figures(tables.gauges, _while_loaded(tables, busy))
    evidence = "; ".join([*(figure.text for figure in figures), "one launch of each, so without intervals"])
    if sum(figure.capacity for figure in figures) < CAPACITY_FIGURES:
        return _no_choice(use, f"{NO_MEMORY} ({evidence})" if figures else NO_MEMORY)
    delta = tables.margin.delta
    leads = {
        "a" if (figure.a < figure.b) == figure.lower_is_better else "b"
        for figure in figures
        if abs(math.log(figure.a / figure.b)) > math.log1p(delta)
    }
    if not leads:
        return Recommendation(use, "", f"Both suit {use} alike, within {tables.margin.text} ({evidence}).", 1)
    if len(leads) > 1:
        return Recommendation(use, "", f"The data do not carry a choice for {use} ({evidence}).", 1)
    return _suits(use, "a" if "a" in leads else "b", evidence, tables, 1)


def _while_loaded(tables: Tables, segments: Sequence[int]) -> pl.DataFrame:
    """The readings of the seconds in which these segments had their load."""
    seconds = tables.seconds.filter(pl.col("segment").is_in(segments) & (pl.col("in_flight") > 0))
    if not tables.gauges.height:
        return tables.gauges
    starts = ((seconds["t_ns"] - tables.session.t0_ns) // NS_PER_S).unique().to_list()
    return tables.gauges.filter(((pl.col("t_ns") - tables.session.t0_ns) // NS_PER_S).is_in(starts))


def _choice(use: str, what: str, ratio: Mean | None, tables: Tables, *, lower_is_better: bool) -> Recommendation:
    if ratio is None or ratio.low is None or ratio.high is None:
        return _no_choice(use, f"{what} was not measured in both lanes")
    interval = f"A/B {math.exp(ratio.mean):.3f}, 95 % {math.exp(ratio.low):.3f} to {math.exp(ratio.high):.3f}"
    evidence = f"{what}: {interval}, n = {ratio.n}"
    margin = margin_of(tables.session.profile)
    if -math.log1p(margin.delta) < ratio.low and ratio.high < math.log1p(margin.delta):
        return Recommendation(
            use, "", f"Both suit {use} equally: they are level within {margin.text} ({evidence}).", ratio.n
        )
    if ratio.low <= 0 <= ratio.high:
        return Recommendation(use, "", f"The data do not carry a choice for {use} ({evidence}).", ratio.n)
    return _suits(use, "a" if (ratio.mean < 0) == lower_is_better else "b", evidence, tables, ratio.n)


def _suits(use: str, lane: Lane, evidence: str, tables: Tables, n: int) -> Recommendation:
    engine = tables.session.lanes[lane].title
    return Recommendation(use, engine, f"{engine} (lane {lane.upper()}) suits {use} on these data ({evidence}).", n)


def study_blocks(tables: Tables) -> list[Block]:
    """The tables of one session, as far as they go."""
    session_study = study(tables)
    sequential, concurrent = session_study.of("sequential"), session_study.of("concurrent")
    blocks: list[Block] = []
    if sequential:
        blocks += [Heading("Sequential requests, by prompt length"), _times(sequential, "prompt")]
    if concurrent:
        blocks += [Heading("Concurrent requests, by level"), _times(concurrent, "level")]
    if any(row.memory_gib is not None for row in session_study.rows):
        blocks += [Heading("GPU memory"), _memory([*sequential, *concurrent])]
    if session_study.rows and len(tables.session.lanes) == 2:
        blocks.append(Heading("Which engine suits which use"))
        blocks += [Paragraph(one.sentence) for one in recommendations(tables)]
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
