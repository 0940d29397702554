"""What makes two servers incomparable stays above the verdict and in the record until it is gone or waived."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.session.test_live import Watched, profile
from tui.doctor.examine import LaneCheck
from tui.engines.detect import DetectedServer
from tui.model.profile import LaneProfile
from tui.model.rows import EventRow, Lane
from tui.session.live import LiveSession
from tui.session.view import View
from tui.simulator.process import SimulatorProcess, start_simulator

WHY = "not comparable because KV tokens differ (65,536 against 32,768)"


@pytest.fixture
async def pair() -> AsyncIterator[list[SimulatorProcess]]:
    processes = list(await asyncio.gather(*(start_simulator(engine, speed=20) for engine in ("vllm", "sglang"))))
    yield processes
    await asyncio.gather(*(process.stop() for process in processes))


class Pools:
    """Both servers' pools as they would be read back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.of: dict[Lane, int] = {"a": 65_536, "b": 32_768}
        monkeypatch.setattr("tui.doctor.checks.quick_check", self._glance)

    async def _glance(self, lane: Lane, server: LaneProfile, detected: DetectedServer) -> LaneCheck:
        settings = {
            "engine": detected.info.engine,
            "version": "0",
            "model": "m",
            "weights": "w",
            "kv_tokens": self.of[lane],
        }
        return LaneCheck(lane, detected.info.url, server=detected, settings=settings)


def said(watched: Watched) -> list[EventRow]:
    return [event for batch in watched.batches for event in batch.events if event.kind == "incomparable"]


async def test_it_is_said_until_the_server_comes_back_alike(
    pair: list[SimulatorProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = Pools(monkeypatch)
    watched = Watched(LiveSession(profile(pair)))
    await watched.start()
    view = await watched.view_when(lambda view: view.second >= 1 and bool(view.incomparable))
    assert view.incomparable == WHY
    assert view.verdicts["output_tps"].word == "not comparable"
    pools.of["b"] = 65_536
    await pair[1].stop()
    pair[1] = await start_simulator("sglang", speed=20, port=int(pair[1].url.rpartition(":")[2]))
    view = await watched.view_when(lambda view: not view.incomparable)
    await watched.session.stop("done")
    assert [event.text for event in dict.fromkeys(said(watched))] == [WHY, ""]


async def test_waived_by_name_it_is_not_said(pair: list[SimulatorProcess], monkeypatch: pytest.MonkeyPatch) -> None:
    Pools(monkeypatch)
    watched = Watched(LiveSession(profile(pair, waive=["kv_tokens"])))
    await watched.start()
    view = await watched.view_when(lambda view: view.second >= 2)
    await watched.session.stop("done")
    assert view.incomparable == ""
    assert not said(watched)


async def test_another_server_that_comes_back_gets_a_new_driver(pair: list[SimulatorProcess]) -> None:
    watched = Watched(LiveSession(profile(pair)))
    await watched.start()
    await watched.view_when(lambda view: view.lanes["b"].done > 0)
    await pair[1].stop()
    pair[1] = await start_simulator("vllm", speed=20, port=int(pair[1].url.rpartition(":")[2]))

    def lane_b_events(view: View) -> list[str]:
        return [event.text for event in view.events if event.lane == "b" and event.kind in ("start", "down")]

    view = await watched.view_when(lambda view: any(text.startswith("vLLM ") for text in lane_b_events(view)))
    before = view.lanes["b"].done
    view = await watched.view_when(lambda view: view.lanes["b"].done > before)
    await watched.session.stop("done")
    assert view.lanes["b"].info is not None
    assert view.lanes["b"].info.engine == "vllm"
    assert any("another server came back" in text for text in lane_b_events(view))
