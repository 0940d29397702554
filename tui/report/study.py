"""The published study's three tables over one session, and its CSV.

Sequential: one request at a time, by prompt length. Concurrent: everything else, by level. Memory: of the GPUs.
TPS is the output tokens of one request over its E2E, latency its TTFT in seconds, as in the study.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from tui.analysis.expressions import LATENCY, lane_of
from tui.analysis.intervals.means import Mean, mean_of
from tui.analysis.ledger import visited
from tui.analysis.settings import Setting
from tui.analysis.tables import Tables
from tui.records import gauges
from tui.records.rows import LANES, Lane

CSV_HEADER: Final = ("Request Type", "Framework", "TPS", "Latency", "Memory Usage")
GIB: Final = 2**30

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
    """All of it."""

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
        of_setting = requests.filter(pl.col("segment").is_in(numbers))
        for lane in LANES:
            own = lane_of(of_setting, lane)
            if own.height:
                rows.append(_row(tables, (kind, at, order), lane, own))
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
    found: dict[Group, list[int]] = {}
    for visit in visited(tables):
        dials = next(iter(visit.dials.values()), None)
        if dials is None:  # neither server was ever reached
            continue
        found.setdefault(_group(dials), []).extend(segment.number for segment in visit.segments)
    return found


def _group(dials: Setting) -> Group:
    if dials["arrival"] not in ("closed", ""):
        return "concurrent", f"{dials['arrival']} {dials['request_rate']} req/s", float("inf")
    if dials["concurrency"] == "1" and dials["prompt_tokens"]:
        return "sequential", f"{dials['prompt_tokens']} tokens", float(dials["prompt_tokens"])
    if not dials["concurrency"]:
        return "concurrent", "a level that is not known", float("inf")
    return "concurrent", f"{dials['concurrency']} streams", float(dials["concurrency"])


def _row(tables: Tables, group: Group, lane: Lane, own: pl.DataFrame) -> StudyRow:
    kind, at, order = group
    start_ns, end_ns = own["t_send_ns"].min(), own["t_end_ns"].max()
    return StudyRow(
        kind=kind,
        at=at,
        order=order,
        lane=lane,
        engine=tables.session.lanes[lane].title,
        tps=mean_of(own["tps"].drop_nulls().to_numpy()),
        latency_s=mean_of(own["ttft_s"].drop_nulls().to_numpy()),
        memory_gib=memory_gib(tables.gauges, lane, start_ns, end_ns),
    )


def memory_gib(readings: pl.DataFrame, lane: Lane, start_ns: object, end_ns: object) -> Mean | None:
    """GPU memory of the lane in GiB, summed over its GPUs: the engine's own where it is known, else all in use."""
    if not readings.height:
        return None
    own = lane_of(readings, lane).filter(pl.col("t_ns").is_between(pl.lit(start_ns), pl.lit(end_ns)))
    for name in (gauges.GPU_MEMORY_ENGINE, gauges.GPU_MEMORY_USED):
        # Readings of several GPUs come a moment apart: those of one second belong together.
        totals = (
            own.filter(pl.col("name") == name)
            .group_by(pl.col("t_ns") // 1_000_000_000, "source")
            .agg(pl.col("value").mean())
            .group_by("t_ns")
            .agg(pl.col("value").sum(), gpus=pl.len())
            .filter(pl.col("gpus") == pl.col("gpus").max())
            .sort("t_ns")
        )
        if totals.height and (totals["value"] > 0).all():
            return mean_of(totals["value"].to_numpy() / GIB)
    return None


def study_csv(found: Study) -> str:
    """The study's CSV, a row for each request type and engine: latency in seconds, memory in GiB or empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    kinds: tuple[Kind, ...] = ("sequential", "concurrent")
    for kind in kinds:
        for row in found.of(kind):
            memory = "" if row.memory_gib is None else f"{row.memory_gib.mean:.2f}"
            request_type = f"{kind.capitalize()} {row.at}"
            writer.writerow([request_type, row.engine, f"{row.tps.mean:.2f}", f"{row.latency_s.mean:.3f}", memory])
    return out.getvalue()
