"""As many streams as a dial can ask for, exactly, on a real driver."""

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.load.faulty_server import GOOD
from tests.load.test_driver import plan
from tui.load.driver import Driver
from tui.load.pipe import Setting
from tui.model.dials import MAX_STREAMS, Dials
from tui.model.rows import Frame, RequestRow

OTHER_FILES = 200  # that a test run has open
WITHIN_S = 50


class Holding(asyncio.Protocol):
    """Holds every request until it is let go."""

    def __init__(self, held: "set[Holding]") -> None:
        self.held = held
        self._asked = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._asked += data
        if self._asked.endswith(b"}"):  # each request is one JSON object, and no other follows before its answer
            self._asked = b""
            self.held.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self.held.discard(self)

    def answer(self) -> None:
        self.held.discard(self)
        self.transport.write(GOOD)


@pytest.fixture
def _open_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = MAX_STREAMS + OTHER_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"this host allows a process {hard} open files, and {needed} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def holding(frames: AsyncIterator[Frame], held: set[Holding], streams: int) -> list[RequestRow]:
    """Wait until the server holds exactly so many requests, and the driver says so too; the rows until then."""
    rows: list[RequestRow] = []
    async with asyncio.timeout(WITHIN_S):
        async for frame in frames:
            rows += frame.requests
            assert frame.in_flight <= streams
            if len(held) == frame.in_flight == streams and not frame.requests:
                return rows
    raise AssertionError("the driver ended")


@pytest.mark.usefixtures("_open_files")
async def test_the_most_streams_that_can_be_asked_for_run_exactly() -> None:
    held: set[Holding] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: Holding(held), "127.0.0.1", 0, backlog=MAX_STREAMS
    )
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    lane = plan(url, connect_timeout_s=30.0)
    dials = Dials(concurrency=MAX_STREAMS, prompt_tokens=16, output_tokens=3)
    driver = await Driver.start(lane, Setting(1, dials))
    frames = driver.frames()
    assert await holding(frames, held, MAX_STREAMS) == []
    for each in list(held):
        each.answer()
    rows = await holding(frames, held, MAX_STREAMS)  # each slot is filled again
    assert [row.outcome for row in rows] == ["ok"] * MAX_STREAMS
    assert {row.output_tokens for row in rows} == {3}
    driver.set(Setting(2, Dials(concurrency=100, prompt_tokens=16), cancel=True))
    cancelled: list[RequestRow] = []
    async with asyncio.timeout(WITHIN_S):
        while len(held) != 100 or len(cancelled) < MAX_STREAMS - 100:
            cancelled += (await anext(frames)).requests
    assert {row.outcome for row in cancelled} == {"cancelled"}
    server.close()
    await driver.stop()
