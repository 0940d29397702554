"""One lane, whose driver may die and is started again."""

import asyncio
import os
import signal

import pytest

from tests.odd.refusals import SHAPES
from tests.odd.server import serving as serving_odd
from tests.simulator.serving import serving
from tui.load.driver import Setting
from tui.model.dials import Dials
from tui.model.profile import LaneProfile, Profile
from tui.model.rows import EventRow, RequestRow
from tui.model.text import UserError
from tui.session.clock import Clock
from tui.session.lane import FREE_FRAMES, LaneRun
from tui.session.messages import DriverEnded, EventHappened, FrameReceived, Messages


class Posted:
    """What a lane posted."""

    def __init__(self) -> None:
        self.messages: Messages = asyncio.Queue()
        self.rows: list[RequestRow] = []
        self.ended = 0
        self.adapted: list[str] = []

    async def rows_after(self, count: int, ended: int) -> list[RequestRow]:
        """So many rows after so many ends of a driver."""
        async with asyncio.timeout(20):
            while self.ended < ended or len(self.rows) < count:
                message = await self.messages.get()
                self.ended += isinstance(message, DriverEnded)
                self.rows += message.frame.requests if isinstance(message, FrameReceived) else []
                if isinstance(message, EventHappened) and message.row.kind == "adapted":
                    self.adapted.append(message.row.text)
        return self.rows

    def events(self) -> list[EventRow]:
        messages = [self.messages.get_nowait() for _ in range(self.messages.qsize())]
        return [message.row for message in messages if isinstance(message, EventHappened)]


def lane_at(url: str, posted: Posted, go: asyncio.Event) -> LaneRun:
    server = LaneProfile(url=url)
    profile = Profile(name="t", a=server, b=server)
    return LaneRun("a", profile, server, "salt", posted.messages, Clock(), go, 0.05)


async def test_a_driver_started_again_goes_on_numbering() -> None:
    posted = Posted()
    go = asyncio.Event()
    go.set()
    async with serving("vllm") as client:
        run = lane_at(str(client.base_url).rstrip("/"), posted, go)
        run.apply(Setting(1, Dials(concurrency=4, prompt_tokens=16, output_tokens=2)))
        running = asyncio.create_task(run.run())
        before = len(await posted.rows_after(8, ended=0))
        assert run.driver is not None
        os.kill(run.driver.pid, signal.SIGKILL)
        before = len(await posted.rows_after(before, ended=1))
        rows = await posted.rows_after(before + 8, ended=1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    numbers = [row.request for row in rows]
    assert len(set(numbers)) == len(numbers)
    assert min(numbers[before:]) > max(numbers[:before])


def test_a_span_in_which_the_client_is_the_limit_has_a_beginning_and_an_end() -> None:
    posted = Posted()
    run = lane_at("http://h", posted, asyncio.Event())
    for why in ["", "late", "", "late", *[""] * (FREE_FRAMES - 1), "core", *[""] * FREE_FRAMES, ""]:
        run._set_bound(why)
    assert [(event.kind, event.new, event.text) for event in posted.events()] == [
        ("bound", "on", "late"),
        ("bound", "off", ""),
    ]


async def test_an_engine_that_counts_at_the_end_only_is_not_asked_for_more(llamacpp_url: str) -> None:
    server = LaneProfile(url=llamacpp_url, usage="each")
    lane = LaneRun("a", Profile(a=server), server, "salt", asyncio.Queue(), Clock(), asyncio.Event(), 2.0)
    with pytest.raises(UserError, match=r"llama\.cpp counts tokens at the end of an answer only: leave usage out"):
        await lane.first_look()


async def test_what_is_done_otherwise_for_a_server_is_said_once_and_the_load_does_it() -> None:
    posted = Posted()
    odd = next(each for each in SHAPES if each.name == "two fields refused by 422")
    async with serving_odd(odd) as server:
        run = lane_at(server.url, posted, go := asyncio.Event())
        go.set()
        run.apply(Setting(1, Dials(concurrency=1, prompt_tokens=16, output_tokens=6)))
        running = asyncio.create_task(run.run())
        rows = await posted.rows_after(3, ended=0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert {row.outcome for row in rows} <= {"ok", "cancelled"}
    assert run.info is not None
    assert [sentence.partition(" (")[0] for sentence in run.info.adapted] == [
        f"/v1/chat/completions refuses the field {field}" for field in ("seed", "stream_options")
    ]
    assert posted.adapted == run.info.adapted


async def test_a_server_that_refuses_for_good_is_down_and_says_how_to_go_on() -> None:
    posted = Posted()
    odd = next(each for each in SHAPES if each.name == "key wanted by the endpoint alone")
    async with serving_odd(odd) as server:
        running = asyncio.create_task(lane_at(server.url, posted, asyncio.Event()).run())
        async with asyncio.timeout(20):
            while not isinstance(message := await posted.messages.get(), EventHappened):
                pass
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert message.row.kind == "down"
    assert "api_key_env" in message.row.text
