"""One lane, whose driver may die and is started again."""

import asyncio
import os
import signal

import pytest

from tests.simulator.serving import serving
from tui.load.pipe import Setting
from tui.model.dials import Dials
from tui.model.profile import LaneProfile, Profile
from tui.model.rows import EventRow, Frame, GaugeRow, Lane, RequestRow
from tui.session import lane
from tui.session.lane import LaneRun


class Heard:
    """What a lane said, and a bell for each thing."""

    def __init__(self) -> None:
        self.rows: list[RequestRow] = []
        self.events: list[EventRow] = []
        self.ended = 0
        self.bell = asyncio.Event()

    def frame(self, _: Lane, frame: Frame) -> None:
        self.rows += frame.requests
        self.bell.set()

    def driver_gone(self, _: Lane) -> None:
        self.ended += 1
        self.bell.set()

    def event(self, row: EventRow) -> None:
        self.events.append(row)

    def gauges(self, rows: list[GaugeRow]) -> None: ...
    def found(self, lane: Lane) -> None: ...

    async def rows_after(self, count: int, ended: int) -> list[RequestRow]:
        """So many rows after so many ends."""
        async with asyncio.timeout(20):
            while self.ended < ended or len(self.rows) < count:
                self.bell.clear()
                await self.bell.wait()
        return self.rows


def lane_of(url: str, heard: Heard, asked: Setting, go: asyncio.Event) -> LaneRun:
    server = LaneProfile(url=url)
    return LaneRun("a", Profile(name="t", a=server, b=server), server, "salt", heard, lambda: asked, go)


async def test_a_driver_started_again_goes_on_numbering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "RETRY_S", 0.05)
    heard, asked = Heard(), Setting(1, Dials(concurrency=4, prompt_tokens=16, output_tokens=2))
    go = asyncio.Event()
    go.set()
    async with serving("vllm") as client:
        run = lane_of(str(client.base_url).rstrip("/"), heard, asked, go)
        running = asyncio.create_task(run.run())
        before = len(await heard.rows_after(8, ended=0))
        assert run.driver is not None
        os.kill(run.driver.pid, signal.SIGKILL)
        before = len(await heard.rows_after(before, ended=1))
        rows = await heard.rows_after(before + 8, ended=1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    numbers = [row.request for row in rows]
    assert len(set(numbers)) == len(numbers)
    assert min(numbers[before:]) > max(numbers[:before])


def test_a_span_in_which_the_client_is_the_limit_has_a_beginning_and_an_end() -> None:
    heard = Heard()
    run = lane_of("http://h", heard, Setting(1, Dials()), asyncio.Event())
    for why in ["", "late", "", "late", *[""] * (lane.FREE_FRAMES - 1), "core", *[""] * lane.FREE_FRAMES, ""]:
        run._set_bound(why)
    assert [(event.kind, event.new, event.text) for event in heard.events] == [
        ("bound", "on", "late"),
        ("bound", "off", ""),
    ]
