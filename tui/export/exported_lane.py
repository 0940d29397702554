"""One lane as other benchmark tools see a run: requests with the times of their output chunks, and its load.

These tools write one result a server and know no request that the operator cut off: cancelled ones are counted next
to the run and left out of it, unless a tool has a place for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tui.export.distributions import NS, Floats, Ints, tpot_or_zero_s
from tui.export.job import Job
from tui.model.profile import Limits
from tui.model.rows import Lane
from tui.model.session import LaneInfo
from tui.stats.goodput import within_limits

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
