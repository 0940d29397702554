"""One lane as other benchmark tools see a run: requests with the times of their output chunks, and its load.

These tools write one result a server and know no request that the operator cut off: cancelled ones are counted next
to the run and left out of it, unless a tool has a place for them.

Summaries of many values as other benchmark tools compute them.

vLLM, SGLang: numpy's linear percentiles and the population's deviation. GuideLLM: inverse-CDF percentiles without
interpolation, weighted, and rates weighted by time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tui.export.job import Job
from tui.judge.itl import NO_CHUNKS
from tui.model.profile import Limits
from tui.model.rows import Lane
from tui.model.session import LaneInfo
from tui.stats.latency import within_limits

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NS = 1e9

GUIDELLM_PERCENTS = {
    "p001": 0.001, "p01": 0.01, "p05": 0.05, "p10": 0.1, "p25": 0.25, "p50": 0.5,
    "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999,
}  # fmt: skip
MERGE_S = 1e-4  # events closer than this are one to GuideLLM
_TINY = 1e-6


def summaries_ms(latencies_s: Mapping[str, Floats], percents: Sequence[int]) -> dict[str, float]:
    """`mean_NAME_ms`, `median_NAME_ms`, `std_NAME_ms`, `pNN_NAME_ms`; all 0 without values, as vLLM and SGLang do."""
    summaries: dict[str, float] = {}
    for name, values_s in latencies_s.items():
        ms = values_s * 1000 if values_s.size else np.zeros(1)
        statistics = {"mean": ms.mean(), "median": np.median(ms), "std": ms.std()}
        statistics |= {f"p{percent}": np.percentile(ms, percent) for percent in percents}
        summaries |= {f"{statistic}_{name}_ms": float(value) for statistic, value in statistics.items()}
    return summaries


def busiest_second(moments_ns: Ints, start_ns: int) -> float:
    """The most chunks that arrived in one second counted from `start_ns`."""
    return float(np.bincount((moments_ns - start_ns) // int(NS)).max()) if moments_ns.size else 0.0


def most_at_once(starts_ns: Floats, latencies_s: Floats) -> int:
    """The most requests that touched one second counted from the first start: more than ever ran at once."""
    if not starts_ns.size:
        return 0
    since_s = (starts_ns - starts_ns.min()) / NS
    change = np.zeros(int((since_s + latencies_s).max()) + 2, dtype=np.int64)
    np.add.at(change, since_s.astype(np.int64), 1)
    np.add.at(change, (since_s + latencies_s).astype(np.int64) + 1, -1)
    return int(np.cumsum(change).max())


def or_zero(values: Floats) -> list[float]:
    """With 0 for nan, as these tools write what never came."""
    return np.nan_to_num(values).tolist()  # type: ignore[no-any-return]


def tpot_or_zero_s(latency_s: Floats, ttft_s: Floats, tokens: Ints) -> Floats:
    """TPOT of every request; 0 for one of a single token, which therefore meets any limit on it."""
    return np.where(tokens > 1, (latency_s - ttft_s) / np.maximum(tokens - 1, 1), 0.0)


def tpot_s(latency_s: Floats, ttft_s: Floats, tokens: Ints) -> Floats:
    """`(latency - ttft) / (n - 1)` of requests with more than one token: vLLM's and SGLang's TPOT."""
    return tpot_or_zero_s(latency_s, ttft_s, tokens)[tokens > 1]


def distribution(values: Floats, weights: Floats | None = None, count: int | None = None) -> dict[str, Any]:
    """GuideLLM's summary of values, each as often as its weight; all 0 without any."""
    weights = np.ones(values.size) if weights is None else weights
    if count is None:
        count = round(float(weights.sum()))
    values, weights = _distinct(values, weights)
    if not values.size:
        return _summary(np.zeros(1), np.ones(1), count)
    return _summary(values, weights / weights.sum(), count)


def rates(times_s: Floats, weights: Floats, start_s: float, end_s: float) -> dict[str, Any]:
    """GuideLLM's events a second: each event over half the way to its neighbours, weighted by that time."""
    inside = (times_s >= start_s) & (times_s <= end_s)
    times_s = np.concatenate(([start_s], times_s[inside], [end_s]))
    times_s, weights = _merged(times_s, np.concatenate(([0.0], weights[inside], [0.0])))
    if times_s.size <= 1:
        return distribution(np.empty(0), count=times_s.size)
    middles = (times_s[1:] + times_s[:-1]) / 2
    edges = np.concatenate((times_s[:1], middles, times_s[-1:]))
    lengths = np.diff(edges)
    lengths[-1] = max(lengths[-1], _TINY)
    return distribution(weights / lengths, lengths, round(float(weights.sum())))


def concurrency(starts_s: Floats, ends_s: Floats, start_s: float, end_s: float) -> dict[str, Any]:
    """GuideLLM's number of open requests, weighted by time."""
    changes = np.concatenate((np.ones(starts_s.size), -np.ones(ends_s.size)))
    times_s, changes = _merged(np.concatenate((starts_s, ends_s)), changes)
    if not times_s.size:
        return distribution(np.empty(0))
    first = np.searchsorted(times_s, start_s, side="left")
    last = np.searchsorted(times_s, end_s, side="right")
    times_s = np.concatenate(([start_s], times_s[first:last], [end_s]))
    changes = np.concatenate(([changes[:first].sum()], changes[first:last], [0.0]))
    open_now = np.clip(np.cumsum(changes), 0, None)
    return distribution(open_now[:-1], np.clip(np.diff(times_s), 0, None), starts_s.size)


def _summary(values: Floats, share: Floats, count: int) -> dict[str, Any]:
    """Of rising values, each with its share of the weight."""
    at = np.searchsorted(np.cumsum(share), list(GUIDELLM_PERCENTS.values()), side="left")
    at = np.minimum(at, values.size - 1)
    percentiles = dict(zip(GUIDELLM_PERCENTS, values[at].tolist(), strict=True))
    mean = float((values * share).sum())
    variance = float(((values - mean) ** 2 * share).sum())
    return {
        "mean": mean,
        "median": percentiles["p50"],
        "mode": float(values[np.argmax(share)]),
        "variance": variance,
        "std_dev": variance**0.5,
        "min": float(values[0]),
        "max": float(values[-1]),
        "count": count,
        "total_sum": mean * count,
        "percentiles": percentiles,
        "pdf": None,
    }


def _distinct(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Rising values, each once, with the sum of its weights; those that weigh nothing are left out."""
    distinct, place = np.unique(values, return_inverse=True)
    summed = np.bincount(place, weights, distinct.size).astype(np.float64)
    weighs = summed > 0
    if distinct.size and summed[weighs].sum() <= _TINY:
        return distinct[weighs], np.ones(int(weighs.sum()))
    return distinct[weighs], summed[weighs]


def _merged(times_s: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Rising times with summed weights, where a time takes in all that follow it within MERGE_S."""
    times_s, place = np.unique(times_s, return_inverse=True)
    weights = np.bincount(place, weights, times_s.size).astype(np.float64)
    ends = np.searchsorted(times_s, times_s + MERGE_S, side="right")
    starts = []
    at = 0
    while at < times_s.size:
        starts.append(at)
        at = int(ends[at])
    return times_s[starts], np.add.reduceat(weights, starts) if starts else weights


NO_TEXTS = "answers are not recorded: generated texts are empty"


@dataclass(frozen=True, slots=True)
class ExportedSetting:
    """The load of one lane when its first chosen request was due."""

    arrival: str
    concurrency: int
    request_rate: float
    moves: int  # of the dials after that, within the selection

    @property
    def closed(self) -> bool:
        """Whether a fixed number of streams was kept busy."""
        return self.arrival == "closed"


@dataclass(frozen=True)
class ExportedLane:
    """The selected requests of one lane by due time, and their chunks."""

    name: Lane
    info: LaneInfo
    requests: pl.DataFrame
    cancelled: int  # requests, whether or not they are among `requests`
    chunk_t_ns: Ints  # all requests' chunks one after the other, each request's rising
    chunk_ends: Ints  # for each request the end of its chunks in `chunk_t_ns`

    @cached_property
    def ok(self) -> NDArray[np.bool_]:
        """Which requests ended well. One without output is a failure to these tools."""
        ended_well = (pl.col("outcome") == "ok") & pl.col("t_last_ns").is_not_null()
        return self.requests.select(ended_well).to_series().to_numpy()

    @property
    def has_chunks(self) -> bool:
        """Whether chunks were recorded for this lane."""
        return self.chunk_t_ns.size > 0

    def moment(self, name: str) -> Floats:
        """A time stamp of each request in nanoseconds; nan where that moment never came."""
        return self.requests[name].cast(pl.Float64).fill_null(np.nan).to_numpy()

    def span(self, start: str, end: str) -> Floats:
        """Seconds from one moment to another for each request; exact to the nanosecond, nan where one never came."""
        return (self.requests[end] - self.requests[start]).cast(pl.Float64).fill_null(np.nan).to_numpy() / NS

    def count(self, name: str) -> Ints:
        """A number of each request; 0 where it is not known."""
        return self.requests[name].fill_null(0).cast(pl.Int64).to_numpy()

    @cached_property
    def prompt_tokens(self) -> Ints:
        """Each request's, as the server counted them, or as requested where it did not report them."""
        counted = pl.coalesce("prompt_tokens", "prompt_tokens_asked").cast(pl.Int64)
        return self.requests.select(counted).to_series().to_numpy()

    @cached_property
    def output_tokens(self) -> Ints:
        """Of each request that ended well."""
        return self.count("output_tokens")[self.ok]

    @cached_property
    def ttft_s(self) -> Floats:
        """Of each request that ended well."""
        return self.span("t_send_ns", "t_first_ns")[self.ok]

    @cached_property
    def latency_s(self) -> Floats:
        """From sending to the last output, of each request that ended well."""
        return self.span("t_send_ns", "t_last_ns")[self.ok]

    @property
    def start_ns(self) -> int:
        """When the first request was due."""
        return int(self.requests["t_sched_ns"].min() or 0)  # type: ignore[arg-type]

    @property
    def end_ns(self) -> int:
        """When the last request ended."""
        return int(self.requests["t_end_ns"].max() or 0)  # type: ignore[arg-type]

    @property
    def duration_s(self) -> float:
        """From the first due time to the last end, with ramp and drain, as other tools have it."""
        return max(self.end_ns - self.start_ns, 1) / NS

    @property
    def errors(self) -> list[str]:
        """What went wrong with each request; empty where nothing did."""
        rows = zip(self.requests["cause"], self.requests["detail"], self.ok.tolist(), strict=True)
        return ["" if ok else ": ".join(filter(None, (cause or "no output", detail))) for cause, detail, ok in rows]

    def gaps_s(self) -> Iterator[list[float]]:
        """For each request the gaps between its output chunks; none for one that failed."""
        start = 0
        for end, ok in zip(self.chunk_ends.tolist(), self.ok.tolist(), strict=True):
            yield (np.diff(self.chunk_t_ns[start:end]) / NS).tolist() if ok else []
            start = end

    @cached_property
    def all_gaps_s(self) -> Floats:
        """The gaps between chunks of all requests that ended well, in one array."""
        counts = np.diff(self.chunk_ends, prepend=0)
        gaps = np.diff(self.chunk_t_ns, prepend=0)
        is_first = np.zeros(gaps.size, dtype=bool)
        is_first[(self.chunk_ends - counts)[counts > 0]] = True
        return gaps[np.repeat(self.ok, counts) & ~is_first] / NS

    @cached_property
    def ok_chunk_t_ns(self) -> Ints:
        """When the chunks of all requests that ended well arrived."""
        return self.chunk_t_ns[np.repeat(self.ok, np.diff(self.chunk_ends, prepend=0))]

    def good(self, limits: Limits) -> int | None:
        """How many requests met every limit, with TPOT as these tools define it; None when there is no limit."""
        tpot_s = tpot_or_zero_s(self.latency_s, self.ttft_s, self.output_tokens)
        ms = {"ttft": self.ttft_s * 1000, "tpot": tpot_s * 1000, "e2e": self.latency_s * 1000}
        return int(within_limits(ms, limits.by_metric).sum()) if limits.by_metric else None


def exported_lanes(job: Job, *, with_cancelled: bool = False) -> list[ExportedLane]:
    """The selected lanes of the session that have a request in the selection."""
    lanes = [_exported_lane(job, name, with_cancelled) for name in job.lanes]
    return [lane for lane in lanes if lane.requests.height]


def _exported_lane(job: Job, name: Lane, with_cancelled: bool) -> ExportedLane:
    requests = job.rows("requests").filter(pl.col("lane") == name).sort("t_sched_ns", "request").collect()
    requests = requests.with_columns(pl.col("outcome").replace("refused", "failed"))  # other tools know no third way
    cancelled = pl.col("outcome") == "cancelled"
    kept = requests.filter(~cancelled | with_cancelled).with_row_index("at")
    # A chunk is chosen by its request, whatever the window: half a request would be no request.
    chunks = (
        job.session.scan("chunks")
        .filter(pl.col("lane") == name)
        .join(kept.lazy().select("request", "at"), on="request")
        .select("at", "t_ns")
        .sort("at", "t_ns")
        .collect()
    )
    counts = np.bincount(chunks["at"].to_numpy(), minlength=kept.height)
    return ExportedLane(
        name=name,
        info=job.info.lanes[name],
        requests=kept.drop("at"),
        cancelled=requests.filter(cancelled).height,
        chunk_t_ns=chunks["t_ns"].to_numpy(),
        chunk_ends=np.cumsum(counts, dtype=np.int64),
    )


def exported_setting(job: Job, lane: ExportedLane) -> ExportedSetting:
    """From the lane's profile and every change of a dial until its first chosen request."""
    profile = job.info.profile
    dials: dict[str, Any] = {"arrival": "closed", "concurrency": 0, "request_rate": 0.0}
    dials |= profile.get("load", {}) | (profile.get(lane.name) or {}).get("dials", {})
    changes = job.session.scan("events").filter((pl.col("kind") == "dial") & pl.col("lane").is_in([lane.name, ""]))
    moves = 0
    for t_ns, dial, new in changes.sort("t_ns").select("t_ns", "name", "new").collect().iter_rows():
        if t_ns <= lane.start_ns:
            dials[dial] = new
        elif t_ns < lane.end_ns:
            moves += 1
    concurrency, rate = int(float(dials["concurrency"])), float(dials["request_rate"])
    return ExportedSetting(str(dials["arrival"]), concurrency, rate, moves)


def origin(job: Job, lane: ExportedLane, *notes: str) -> dict[str, Any]:
    """For a key of our own in the file: the session, the lane, and what the reader must know of the figures."""
    all_notes = [*notes, NO_TEXTS] + ([] if lane.has_chunks else [NO_CHUNKS])
    setting = exported_setting(job, lane)
    if setting.moves:
        times = "once" if setting.moves == 1 else f"{setting.moves} times"
        all_notes.append(f"the dials moved {times} within: export one segment for the figures of one setting")
    return {
        "session": job.info.name,
        "lane": lane.name,
        "engine": lane.info.engine,
        "engine_version": lane.info.version,
        "arrival": setting.arrival,  # these tools have words for some of ours only
        "cancelled": lane.cancelled,
        "notes": all_notes,
    }
