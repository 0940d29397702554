"""What a file in another tool's schema says of where it comes from, and the dials that were in force."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from tui.recording.export.job import Job
from tui.recording.export.lane_run import LaneRun

NO_TEXTS = "answers are not recorded: generated texts are empty"
NO_CHUNKS = "chunks were not recorded: there are no inter-token latencies"


@dataclass(frozen=True, slots=True)
class Setting:
    """The load of one lane when its first chosen request was due."""

    arrival: str
    concurrency: int
    request_rate: float
    moves: int  # of the dials after that, within the selection

    @property
    def closed(self) -> bool:
        """Whether a fixed number of streams was kept busy."""
        return self.arrival == "closed"


def setting(job: Job, run: LaneRun) -> Setting:
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
    return Setting(str(dials["arrival"]), int(float(dials["concurrency"])), float(dials["request_rate"]), moves)


def origin(job: Job, run: LaneRun, *notes: str) -> dict[str, Any]:
    """For a key of our own in the file: the session, the lane, and what the reader must know of the figures."""
    says = [*notes, NO_TEXTS] + ([] if run.has_chunks else [NO_CHUNKS])
    dials = setting(job, run)
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
