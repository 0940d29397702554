"""Drives the real code against an odd server, in this process: doctor, the load of one lane, and its figures."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.judge.joined_tokens import frame
from tests.odd.server import OddServer, Running, serving
from tui.cli.run import CollectedRows
from tui.doctor.checks import DoctorReport, examine
from tui.judge.live_counts import LiveCounts
from tui.load.driver import LanePlan, Setting
from tui.load.lane import LaneLoad
from tui.model.dials import Dials
from tui.model.profile import LaneProfile, LoadProfile, Profile
from tui.model.rows import Batch, Chunks, RequestRow
from tui.model.session import LaneInfo, SessionInfo
from tui.session.clock import Clock
from tui.session.lane import LaneRun
from tui.session.seconds import ChunkArrays

STREAMS = Setting(1, Dials(concurrency=1, prompt_tokens=16, output_tokens=10))
PATIENCE_S = 30.0

_reports: dict[str, DoctorReport] = {}
_outcomes: dict[str, "Outcome"] = {}


def profile_of(odd: OddServer, url: str) -> Profile:
    return Profile(a=LaneProfile(url=url, **odd.lane), load=LoadProfile(connect_timeout_s=2.0))


async def examined(odd: OddServer) -> DoctorReport:
    """What doctor makes of it; asked once in a process."""
    import openai  # noqa: F401 - the first import takes seconds on a busy host, and is not the server's fault

    if odd.name not in _reports:
        async with serving(odd) as running, asyncio.timeout(PATIENCE_S):
            _reports[odd.name] = await examine(profile_of(odd, running.url))
    return _reports[odd.name]


async def loaded(odd: OddServer) -> "Outcome":
    """What the load makes of it; asked once in a process."""
    if odd.name not in _outcomes:
        async with serving(odd) as running:
            brought = await load(bare_plan(odd, running), odd.answers)
            brought.gaps_ms = running.true_gaps_ms()
        _outcomes[odd.name] = brought
    return _outcomes[odd.name]


def bare_plan(odd: OddServer, running: Running) -> LanePlan:
    """The load as it would be if detection had passed the server."""
    fields = {
        "lane": "a",
        "url": running.url,
        "engine": "openai",
        "model": "m",
        "endpoint": "chat",
        "prompt_form": "text",
        "read_timeout_s": 2.0,
        "connect_timeout_s": 1.0,
    }
    return msgspec.convert(fields | dict(odd.plan), LanePlan)


async def planned(odd: OddServer, url: str) -> LanePlan:
    """The load as a session plans it after its first look at the server. UserError when that refuses it."""
    profile = profile_of(odd, url)
    lane = LaneRun("a", profile, profile.a, "salt", asyncio.Queue(), Clock(), asyncio.Event(), 2.0)
    async with asyncio.timeout(PATIENCE_S):
        await lane.first_look()
    assert lane.detected is not None
    return lane._plan(lane.detected)


@dataclass(slots=True)
class Outcome:
    """What a lane's load brought."""

    rows: list[RequestRow] = field(default_factory=list)
    chunks: Chunks = field(default_factory=Chunks)
    gaps_ms: dict[str, float] = field(default_factory=dict)  # how far apart the server sent its pieces of output

    def summary(self) -> dict[str, Any]:
        """Its lane in the object of `run --json`."""
        info = LaneInfo(url="http://a", engine="openai", title="a server", model="m", endpoint="chat")
        session = SessionInfo(
            name="odd", profile={}, lanes={"a": info}, t0_ns=0, wall_ns=0, host={}, version="0", duration_s=1.0
        )
        collected = CollectedRows()
        collected(Batch(t_ns=0, chunks=[("a", self.chunks)]))
        collected(Batch(t_ns=0, requests=self.rows))
        lane: dict[str, Any] = collected.summary(session)["lanes"]["a"]
        return lane


async def load(plan: LanePlan, answers: int) -> Outcome:
    """Load with one stream until so many requests have ended, but for those that we cancel."""
    lane, counts = LaneLoad(plan, STREAMS), LiveCounts()
    rows: list[RequestRow] = []
    came: list[Chunks] = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            while len(rows) < answers:
                lane.housekeeping()
                await asyncio.sleep(0.005)
                if lane.rows:  # a frame each time that an answer has ended
                    came.append(
                        counts.estimate(frame(0, 1, lane.sink.chunks(), lane.rows, lane.sink.counted.tobytes()))
                    )
                    rows += lane.rows
                    lane.rows = []
                    lane.sink.clear()
    finally:
        lane.close()
    return Outcome([row for row in rows if row.outcome != "cancelled"], ChunkArrays.of(came).pack())


def sentences(value: object) -> Iterator[str]:
    """Every text of at least four words in a JSON value, keys included."""
    if isinstance(value, str) and value.count(" ") >= 3:
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from sentences(key)
            yield from sentences(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from sentences(inner)


def says(pattern: str, texts: Iterator[str] | list[str]) -> bool:
    """Whether one of the texts holds one of the words, which are divided by bars."""
    wanted = re.compile("|".join(map(re.escape, pattern.split("|"))), re.IGNORECASE)
    return any(wanted.search(text) for text in texts)
