"""One lane as the field's tools see a run: a list of requests with the times of their output chunks.

These tools write one result a server, and they know nothing of a request that the operator cut off: cancelled ones
are counted beside the run and left out of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tui.recording.export.job import Job
from tui.records.rows import Lane
from tui.records.session import LaneInfo

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NS = 1e9


@dataclass(frozen=True)
class LaneRun:
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


def lane_runs(job: Job, *, with_cancelled: bool = False) -> list[LaneRun]:
    """A run for each chosen lane of the session that has a request in the selection."""
    runs = [_lane_run(job, lane, with_cancelled) for lane in job.selection.lanes if lane in job.info.lanes]
    return [run for run in runs if run.requests.height]


def _lane_run(job: Job, lane: Lane, with_cancelled: bool) -> LaneRun:
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
    return LaneRun(
        lane=lane,
        info=job.info.lanes[lane],
        requests=kept.drop("at"),
        cancelled=requests.filter(cancelled).height,
        chunk_t_ns=chunks["t_ns"].to_numpy(),
        chunk_ends=np.cumsum(counts, dtype=np.int64),
    )
