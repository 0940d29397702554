"""One lane as the field's tools see a run: a list of requests with the times of their output chunks.

These tools write one result a server, and they know nothing of a request that the operator cut off: cancelled ones
are counted beside the run and left out of it.

Latency percentiles over time: of values, in windows that are long enough to carry them.

Summaries as the field's tools compute them: numpy's linear percentiles and the population's deviation.

What a file in another tool's schema says of where it comes from, and the dials that were in force.

GuideLLM's distributions: inverse-CDF percentiles without interpolation, weighted, and rates weighted by time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tui.export.job import Job
from tui.model.metrics import SAMPLES_NEEDED
from tui.model.rows import Lane
from tui.model.session import LaneInfo
from tui.report.svg import Values

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NS = 1e9


@dataclass(frozen=True)
class ExportedLane:
    """The requests of one lane in order of their due times, and their chunks."""

    lane: Lane
    info: LaneInfo
    requests: pl.DataFrame  # of the selection; cancelled ones only where they were asked for
    cancelled: int
    chunk_t_ns: Ints  # of all requests, one after the other in their order, each one's rising
    chunk_ends: Ints  # where each request's chunks end in it

    @cached_property
    def ok(self) -> NDArray[np.bool_]:
        """Which requests ended well. One without output is a failure to these tools."""
        return (
            self.requests.select((pl.col("outcome") == "ok") & pl.col("t_last_ns").is_not_null())
            .to_series()
            .to_numpy()
        )

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
        """Prompt tokens as the server counted them, and as asked where it did not tell."""
        return (
            self.requests.select(pl.coalesce("prompt_tokens", "prompt_tokens_asked").cast(pl.Int64))
            .to_series()
            .to_numpy()
        )

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
        """From the first due time to the last end: ramp and drain inside, as the field's tools have it."""
        return max(self.end_ns - self.start_ns, 1) / NS  # of an imported run in which all failed nothing is known

    @property
    def errors(self) -> list[str]:
        """For each request what went wrong; empty where nothing did."""
        rows = zip(self.requests["cause"], self.requests["detail"], self.ok.tolist(), strict=True)
        return ["" if ok else ": ".join(filter(None, (cause or "no output", detail))) for cause, detail, ok in rows]

    def chunk_times(self, at: int) -> Ints:
        """When each output chunk of one request arrived."""
        return self.chunk_t_ns[self.chunk_ends[at - 1] if at else 0 : self.chunk_ends[at]]

    def gaps_s(self) -> Iterator[list[float]]:
        """For each request the gaps between its output chunks; none for one that failed."""
        for at, ok in enumerate(self.ok):
            yield (np.diff(self.chunk_times(at)) / NS).tolist() if ok else []

    @cached_property
    def all_gaps_s(self) -> Floats:
        """The gaps between chunks of all requests that ended well, in one array."""
        counts = np.diff(self.chunk_ends, prepend=0)
        of_ok = np.repeat(self.ok, counts)
        gaps = np.diff(self.chunk_t_ns, prepend=0)
        first = np.zeros(gaps.size, dtype=bool)
        first[(self.chunk_ends - counts)[counts > 0]] = True
        return gaps[of_ok & ~first] / NS

    @cached_property
    def ok_chunk_t_ns(self) -> Ints:
        """When the chunks of all requests that ended well arrived."""
        return self.chunk_t_ns[np.repeat(self.ok, np.diff(self.chunk_ends, prepend=0))]


def exported_lanes(job: Job, *, with_cancelled: bool = False) -> list[ExportedLane]:
    """A run for each chosen lane of the session that has a request in the selection."""
    runs = [_lane_run(job, lane, with_cancelled) for lane in job.selection.lanes if lane in job.info.lanes]
    return [run for run in runs if run.requests.height]


def _lane_run(job: Job, lane: Lane, with_cancelled: bool) -> ExportedLane:
    requests = job.rows("requests").filter(pl.col("lane") == lane).sort("t_sched_ns", "request").collect()
    cancelled = pl.col("outcome") == "cancelled"
    kept = requests.filter(~cancelled | with_cancelled).with_row_index("at")
    # A chunk belongs to a run by its request, whatever the window: half a request would be no request.
    chunks = (
        job.recorded.scan("chunks")
        .filter(pl.col("lane") == lane)
        .join(kept.lazy().select("request", "at"), on="request")
        .select("at", "t_ns")
        .sort("at", "t_ns")
        .collect()
    )
    counts = np.bincount(chunks["at"].to_numpy(), minlength=kept.height)
    return ExportedLane(
        lane=lane,
        info=job.info.lanes[lane],
        requests=kept.drop("at"),
        cancelled=requests.filter(cancelled).height,
        chunk_t_ns=chunks["t_ns"].to_numpy(),
        chunk_ends=np.cumsum(counts, dtype=np.int64),
    )


WINDOWS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)


@dataclass(frozen=True, slots=True)
class OverTime:
    """A percentile of both lanes."""

    percentile: str
    window_s: int
    lines: Mapping[str, Values]  # of each lane: ms, a value for each second; None where its window holds too few


def over_time(values: Mapping[Lane, pl.DataFrame], percentiles: tuple[str, ...], seconds: int) -> OverTime | None:
    """The first of the percentiles (`p99`) that a window can carry, in the shortest such window.

    Each lane's frame has `second`, counted from the start, and `ms`, a row a value. None where there are too few.
    """
    values = {lane: frame for lane, frame in values.items() if frame.height}
    if not values:
        return None
    for percentile in percentiles:
        for window_s in WINDOWS_S:
            found = {lane: _by_window(frame, percentile, window_s) for lane, frame in values.items()}
            if window_s <= max(seconds, 1) and all(_mostly_told(frame) for frame in found.values()):
                lines: dict[str, Values] = {
                    lane: _by_second(frame, window_s, seconds) for lane, frame in found.items()
                }
                return OverTime(percentile, window_s, lines)
    return None


def _by_window(values: pl.DataFrame, percentile: str, window_s: int) -> pl.DataFrame:
    """Columns `window` and `ms`, by nearest rank; null where a window has fewer values than the percentile needs."""
    share = int(percentile[1:]) / 100
    told = pl.len() >= SAMPLES_NEEDED[percentile]
    return (
        values.lazy()
        .group_by(window=pl.col("second") // window_s)
        .agg(ms=pl.when(told).then(pl.col("ms").quantile(share, "equiprobable")))
        .sort("window")
        .collect()
    )


def _mostly_told(windows: pl.DataFrame) -> bool:
    """At least half of the windows that hold anything hold enough."""
    return 2 * windows["ms"].null_count() <= windows.height


def _by_second(windows: pl.DataFrame, window_s: int, seconds: int) -> Values:
    values: list[float | None] = [None] * seconds
    for window, ms in windows.iter_rows():
        for second in range(max(window * window_s, 0), min((window + 1) * window_s, seconds)):
            values[second] = ms
    return values


def summary_ms(name: str, values_s: Floats, percents: Iterable[int]) -> dict[str, float]:
    """`mean_NAME_ms`, `median_NAME_ms`, `std_NAME_ms`, `pNN_NAME_ms`; all 0 without values, as vLLM and SGLang do."""
    ms = values_s * 1000 if values_s.size else np.zeros(1)
    found = {"mean": ms.mean(), "median": np.median(ms), "std": ms.std()}
    found |= {f"p{percent}": np.percentile(ms, percent) for percent in percents}
    return {f"{what}_{name}_ms": float(value) for what, value in found.items()}


def busiest_second(moments_ns: Ints, start_ns: int) -> float:
    """The most chunks that arrived in one second counted from `start_ns`."""
    return float(np.bincount((moments_ns - start_ns) // int(NS)).max()) if moments_ns.size else 0.0


def most_at_once(starts_ns: Floats, latencies_s: Floats) -> int:
    """The most requests that touched one second counted from the first start: more than were ever running at once."""
    if not starts_ns.size:
        return 0
    since_s = (starts_ns - starts_ns.min()) / NS
    change = np.zeros(int((since_s + latencies_s).max()) + 2, dtype=np.int64)
    np.add.at(change, since_s.astype(np.int64), 1)
    np.add.at(change, (since_s + latencies_s).astype(np.int64) + 1, -1)
    return int(np.cumsum(change).max())


def or_zero(values: Floats) -> list[float]:
    """Values for a list in which these tools write 0 where there is none."""
    return np.nan_to_num(values).tolist()  # type: ignore[no-any-return]


def good(ttft_s: Floats, tpot_all_s: Floats, e2e_s: Floats, slo: Mapping[str, Any]) -> int | None:
    """How many requests met every limit of a profile's `[slo]`, in ms; None when it has no limit."""
    values_s = {"ttft_ms": ttft_s, "tpot_ms": tpot_all_s, "e2e_ms": e2e_s}
    met = [of * 1000 <= slo[name] for name, of in values_s.items() if slo.get(name) is not None]
    return int(np.logical_and.reduce(met).sum()) if met else None


def tpot_or_zero_s(latency_s: Floats, ttft_s: Floats, tokens: Ints) -> Floats:
    """TPOT of every request; 0 for one of a single token, which therefore meets any limit on it."""
    return np.where(tokens > 1, (latency_s - ttft_s) / np.maximum(tokens - 1, 1), 0.0)


def tpot_s(latency_s: Floats, ttft_s: Floats, tokens: Ints) -> Floats:
    """`(latency - ttft) / (n - 1)` of requests with more than one token: vLLM's and SGLang's TPOT."""
    more = tokens > 1
    return tpot_or_zero_s(latency_s, ttft_s, tokens)[more]


NO_TEXTS = "answers are not recorded: generated texts are empty"
NO_CHUNKS = "chunks were not recorded: there are no inter-token latencies"


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


def first_setting(job: Job, run: ExportedLane) -> ExportedSetting:
    """The dials of a lane, from its profile and from every turn until its first chosen request."""
    profile = job.info.profile
    dials: dict[str, Any] = {"arrival": "closed", "concurrency": 0, "request_rate": 0.0}
    dials |= profile.get("load", {}) | (profile.get(run.lane) or {}).get("dials", {})
    turns = job.recorded.scan("events").filter((pl.col("kind") == "dial") & pl.col("lane").is_in([run.lane, ""]))
    moves = 0
    for t_ns, name, new in turns.sort("t_ns").select("t_ns", "name", "new").collect().iter_rows():
        if t_ns <= run.start_ns:
            dials[name] = new
        elif t_ns < run.end_ns:
            moves += 1
    return ExportedSetting(
        str(dials["arrival"]), int(float(dials["concurrency"])), float(dials["request_rate"]), moves
    )


def origin(job: Job, run: ExportedLane, *notes: str) -> dict[str, Any]:
    """For a key of our own in the file: the session, the lane, and what the reader must know of the figures."""
    says = [*notes, NO_TEXTS] + ([] if run.has_chunks else [NO_CHUNKS])
    dials = first_setting(job, run)
    if dials.moves:
        times = "once" if dials.moves == 1 else f"{dials.moves} times"
        says.append(f"the dials moved {times} within: export one segment for the figures of one setting")
    return {
        "session": job.info.name,
        "lane": run.lane,
        "engine": run.info.engine,
        "engine_version": run.info.version,
        "arrival": dials.arrival,  # these tools have words for some of ours only
        "cancelled": run.cancelled,
        "notes": says,
    }


PERCENTS = {
    "p001": 0.001, "p01": 0.01, "p05": 0.05, "p10": 0.1, "p25": 0.25, "p50": 0.5,
    "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999,
}  # fmt: skip
MERGE_S = 1e-4  # events closer than this are one to GuideLLM
_TINY = 1e-6


def distribution(values: Floats, weights: Floats | None = None, count: int | None = None) -> dict[str, Any]:
    """The summary of values, each as often as its weight; all 0 without any."""
    weights = np.ones(values.size) if weights is None else weights
    if count is None:
        count = round(float(weights.sum()))
    values, weights = _distinct(values, weights)
    if not values.size:
        return _summary(np.zeros(1), np.ones(1), np.ones(1), count)
    share = weights / weights.sum()
    return _summary(values, share, np.cumsum(share), count)


def rates(times_s: Floats, weights: Floats, start_s: float, end_s: float) -> dict[str, Any]:
    """Events a second: each event over the half-way to its neighbours, weighted by that time."""
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
    """How many were open at once, weighted by time."""
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


def _summary(values: Floats, share: Floats, reached: Floats, count: int) -> dict[str, Any]:
    at = np.minimum(np.searchsorted(reached, list(PERCENTS.values()), side="left"), values.size - 1)
    percentiles = dict(zip(PERCENTS, values[at].tolist(), strict=True))
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
