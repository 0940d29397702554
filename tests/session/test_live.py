"""A live head-to-head on simulated engines: seconds, dials, a lane that dies and comes back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import httpx
import msgspec
import pytest

from tui.model.profile import LaneProfile, LoadProfile, Profile, RecordProfile, Step
from tui.model.rows import Batch, Lane
from tui.model.session import SessionInfo
from tui.model.text import UserError
from tui.recording.catalog import read_info
from tui.recording.reader import open_session
from tui.recording.recorder import Recorder
from tui.session.live import LiveSession
from tui.session.view import View
from tui.simulator.process import SimulatorProcess, start_simulator

LOAD = LoadProfile(concurrency=3, prompt_tokens=32, output_tokens=16)


@pytest.fixture
async def pair() -> AsyncIterator[list[SimulatorProcess]]:
    processes = list(await asyncio.gather(*(start_simulator(engine, speed=20) for engine in ("vllm", "sglang"))))
    yield processes
    await asyncio.gather(*(process.stop() for process in processes))


def profile(pair: list[SimulatorProcess], **changes: object) -> Profile:
    a, b = (LaneProfile(url=process.url, dcgm=process.dcgm_url) for process in pair)
    return msgspec.structs.replace(Profile(name="test", a=a, b=b, load=LOAD), **changes)


class Watched:
    """A running session and an event for each of its seconds."""

    def __init__(self, session: LiveSession) -> None:
        self.session = session
        self.batches: list[Batch] = []
        self._second = asyncio.Event()
        session.listen(self.batches.append)

    async def start(self) -> None:
        await self.session.start(self._second.set)

    async def view_when(self, holds: Callable[[View], bool], within_s: float = 20) -> View:
        async with asyncio.timeout(within_s):
            while True:
                view = self.session.view(10)
                if holds(view):
                    return view
                self._second.clear()
                await self._second.wait()


async def test_both_lanes_fill_up_with_figures(pair: list[SimulatorProcess]) -> None:
    watched = Watched(LiveSession(profile(pair)))
    assert watched.session.view(10).lanes["a"].state == "connecting"  # before anything has begun
    await watched.start()
    view = await watched.view_when(
        lambda view: view.second >= 3 and all(lane.latencies["itl"].n > 10 for lane in view.lanes.values())
    )
    await watched.session.stop("done")
    assert view.simulated
    for shown, title in zip(view.lanes.values(), ("vLLM", "SGLang"), strict=True):
        assert shown.info is not None
        assert shown.info.title == title
        assert shown.state == "up"
        assert shown.output_tps
        assert shown.total_tps
        assert shown.total_tps > shown.output_tps
        assert shown.done > 0
        assert shown.failed == 0
        assert shown.latencies["ttft"].ms["p50"] is not None
        assert shown.prompt_tokens_seen == 32
        assert shown.in_flight <= 3
        assert shown.server.running is not None
        assert shown.gpus[0].memory_used_bytes
        assert shown.stamp == "kernel"
    assert not [event for batch in watched.batches for event in batch.events if event.kind == "down"]


async def test_seconds_hold_exactly_what_the_rows_say(pair: list[SimulatorProcess]) -> None:
    watched = Watched(LiveSession(profile(pair)))
    await watched.start()
    await watched.view_when(lambda view: view.second >= 3)
    await watched.session.stop("done")
    lanes: tuple[Lane, ...] = ("a", "b")
    for lane in lanes:
        seconds = [row for batch in watched.batches for row in batch.seconds if row.lane == lane]
        requests = [row for batch in watched.batches for row in batch.requests if row.lane == lane]
        end_ns = seconds[-1].t_ns + 1_000_000_000
        assert [b.t_ns - a.t_ns for a, b in pairwise(seconds)] == [10**9] * (len(seconds) - 1)
        assert sum(s.finished for s in seconds) == sum(r.outcome == "ok" and r.t_end_ns < end_ns for r in requests)
        assert sum(s.started for s in seconds) >= sum(s.finished for s in seconds)
        whole = [r for r in requests if r.outcome == "ok" and r.t_end_ns < end_ns]
        assert sum(s.output_tokens for s in seconds) >= sum(r.output_tokens for r in whole)
        assert watched.session.info is not None
        assert seconds[0].t_ns == watched.session.info.t0_ns


@pytest.mark.parametrize("chunks", [True, False])
async def test_chunks_are_recorded_unless_the_profile_says_not(
    pair: list[SimulatorProcess], tmp_path: Path, chunks: bool
) -> None:
    only = msgspec.structs.replace(profile(pair), b=None, record=RecordProfile(chunks=chunks))
    watched = Watched(LiveSession(only, record=lambda info: Recorder(tmp_path / "s", info)))
    await watched.start()
    # On the screen inter-token latencies are known either way.
    await watched.view_when(lambda view: view.second >= 2 and view.lanes["a"].latencies["itl"].n > 0)
    await watched.session.stop("done")
    recorded = open_session(tmp_path / "s")
    assert recorded.info.ended == "done"
    assert recorded.scan("seconds").collect().height
    assert (recorded.scan("chunks").collect().height > 0) is chunks


async def test_both_lanes_are_sent_the_same_requests(pair: list[SimulatorProcess]) -> None:
    watched = Watched(LiveSession(profile(pair)))
    await watched.start()
    await watched.view_when(lambda view: min(lane.done for lane in view.lanes.values()) >= 6)
    await watched.session.stop("done")
    rows = [row for batch in watched.batches for row in batch.requests]
    asked = {
        lane: {r.request: (r.prompt_tokens_asked, r.output_tokens_asked) for r in rows if r.lane == lane}
        for lane in ("a", "b")
    }
    common = asked["a"].keys() & asked["b"].keys()
    assert len(common) >= 6
    assert all(asked["a"][number] == asked["b"][number] for number in common)


async def test_a_turn_of_a_dial_is_in_force_recorded_and_drawn(pair: list[SimulatorProcess]) -> None:
    watched = Watched(LiveSession(profile(pair)))
    await watched.start()
    await watched.view_when(lambda view: view.second >= 1)
    watched.session.board.set("concurrency", 6)
    view = await watched.view_when(lambda view: view.lanes["a"].in_flight == 6 == view.lanes["b"].in_flight)
    assert view.dial_marks[-1][1] == "conc 3→6"
    assert view.settling_s > 0
    watched.session.board.toggle_link()
    watched.session.board.set("concurrency", 1, "b")
    view = await watched.view_when(lambda view: view.lanes["b"].in_flight <= 1 and view.lanes["a"].in_flight == 6)
    await watched.session.stop("done")
    events = [row for batch in watched.batches for row in batch.events if row.kind == "dial"]
    assert [(e.lane, e.name, e.old, e.new) for e in events] == [
        ("", "concurrency", "3", "6"),
        ("b", "concurrency", "6", "1"),
    ]
    assert {r.segment for b in watched.batches for r in b.requests} == {0, 1, 2}


async def test_a_lane_that_dies_says_so_and_comes_back_and_the_other_goes_on(pair: list[SimulatorProcess]) -> None:
    watched = Watched(LiveSession(profile(pair)))
    await watched.start()
    before = await watched.view_when(lambda view: view.lanes["b"].done > 3)
    pair[1].process.kill()
    view = await watched.view_when(lambda view: view.lanes["b"].state == "down")
    assert "refused" in view.lanes["b"].state_text
    assert view.lanes["b"].done >= before.lanes["b"].done  # its history stays
    assert view.lanes["a"].state == "up"
    done = view.lanes["a"].done
    await watched.view_when(lambda view: view.lanes["a"].done > done)
    port = pair[1].url.rsplit(":", 1)[1]
    pair[1] = await start_simulator("sglang", speed=20, port=int(port))
    down_at = view.lanes["b"].done
    view = await watched.view_when(lambda view: view.lanes["b"].state == "up" and view.lanes["b"].done > down_at)
    await watched.session.stop("done")
    kinds = [e.kind for b in watched.batches for e in b.events if e.lane == "b"]
    assert kinds.index("down") < kinds.index("up")
    assert None in view.lanes["b"].curve  # a gap, not a zero


async def test_a_lane_without_a_server_does_not_keep_the_other_waiting(
    pair: list[SimulatorProcess],
) -> None:
    nobody = LaneProfile(url="http://127.0.0.1:9")
    watched = Watched(LiveSession(profile(pair, b=nobody), first_lane_waits_s=0.2))
    await watched.start()
    view = await watched.view_when(lambda view: view.lanes["a"].done > 3)
    assert view.lanes["b"].state == "down"
    assert "nobody answers at http://127.0.0.1:9" in view.lanes["b"].state_text
    await watched.session.stop("done")


async def test_a_server_that_comes_late_is_in_the_recording_at_once(
    pair: list[SimulatorProcess], tmp_path: Path
) -> None:
    """So that a session killed early knows its servers."""
    late, port = profile(pair), int(pair[1].url.rpartition(":")[2])
    await pair[1].stop()

    def record(info: SessionInfo) -> Recorder:
        return Recorder(tmp_path / "s", info)

    watched = Watched(LiveSession(late, record=record, first_lane_waits_s=0.2, retry_s=0.1))
    await watched.start()
    await watched.view_when(lambda view: view.lanes["a"].done > 3)
    assert list(read_info(tmp_path / "s").lanes) == ["a"]
    pair[1] = await start_simulator("sglang", speed=20, port=port)
    view = await watched.view_when(lambda view: view.lanes["b"].state == "up" and view.lanes["b"].done > 0)
    await watched.view_when(lambda later: later.second > view.second + 1)
    recorded = read_info(tmp_path / "s")
    assert (recorded.ended, recorded.lanes["b"].title) == ("", "SGLang")
    await watched.session.stop("done")


async def test_one_lane_alone(pair: list[SimulatorProcess]) -> None:
    watched = Watched(LiveSession(profile(pair, b=None)))
    await watched.start()
    view = await watched.view_when(lambda view: view.lanes["a"].done > 3)
    await watched.session.stop("done")
    assert list(view.lanes) == ["a"]


async def test_before_a_run_every_server_must_answer(pair: list[SimulatorProcess]) -> None:
    session = LiveSession(profile(pair, b=LaneProfile(url="http://127.0.0.1:9")))
    with pytest.raises(UserError, match=r"nobody answers at http://127\.0\.0\.1:9"):
        await session.reach()
    await session.stop("never began")


async def test_failures_are_counted_by_cause_and_are_no_latency(pair: list[SimulatorProcess]) -> None:
    watched = Watched(LiveSession(profile(pair)))
    await watched.start()
    await watched.view_when(lambda view: view.lanes["a"].done > 3)
    async with httpx.AsyncClient() as client:
        for kind in ("http_503", "error_in_stream", "cut"):
            await client.post(f"{pair[0].url}/_simulator/fault", json={"kind": kind, "count": 1})
    view = await watched.view_when(lambda view: view.lanes["a"].failed >= 3)
    await watched.session.stop("done")
    assert dict(view.lanes["a"].causes) == {"http 5xx": 1, "error in stream": 1, "cut short": 1} | {
        key: 1 for key in view.lanes["a"].causes if key == "reset"
    }
    assert view.lanes["b"].failed == 0


async def test_the_load_stops_at_once_and_comes_back(pair: list[SimulatorProcess]) -> None:
    watched = Watched(LiveSession(msgspec.structs.replace(profile(pair), plan=[Step(requests=5)])))
    await watched.start()
    await watched.view_when(lambda view: view.lanes["a"].done > 1)
    assert watched.session.board.toggle_load() is False
    assert watched.session.schedule.settings(load_on=watched.session.board.load_on)[
        "a"
    ].cancel  # streams under way are not left to the server
    view = await watched.view_when(lambda view: view.lanes["a"].state == "stopped" == view.lanes["b"].state)
    assert view.lanes["a"].in_flight == 0
    assert watched.session.toggle_plan() == "the load is stopped: x starts it, and the plan can go on then"
    drained = await watched.view_when(lambda view: view.events[-1].kind == "settled")
    assert drained.events[-1].text == "nothing is in flight any more"
    assert watched.session.board.toggle_load() is True
    done = view.lanes["a"].done
    await watched.view_when(lambda view: view.lanes["a"].done > done)
    await watched.session.stop("done")


async def test_a_lane_asks_the_endpoint_of_its_profile_and_its_recording_says_so(
    pair: list[SimulatorProcess], tmp_path: Path
) -> None:
    _, b = pair
    lane = LaneProfile(url=b.url, endpoint="generate")
    session = LiveSession(Profile(name="own", a=lane, load=LOAD), record=lambda info: Recorder(tmp_path / "s", info))
    watched = Watched(session)
    await watched.start()
    await watched.view_when(lambda view: view.lanes["a"].done > 3)
    await session.stop("done")
    rows = [row for batch in watched.batches for row in batch.requests if row.outcome != "cancelled"]
    assert {(row.outcome, row.cause, row.tokens_from, row.prompt_tokens) for row in rows} == {("ok", "", "usage", 32)}
    assert read_info(tmp_path / "s").lanes["a"].endpoint == "generate"
