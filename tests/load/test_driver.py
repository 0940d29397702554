"""The driver process: it obeys, measures real servers correctly, and never outlives its parent."""

import asyncio
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.load.faulty_server import GOOD, HEAD, always, serving, token
from tui.load.driver import HEADER_BYTES, Driver, LanePlan, Setting, Stop, Unpacker, body_length, pack
from tui.model.dials import MAX_STREAMS, Dials
from tui.model.rows import Frame, RequestRow
from tui.net.socket import GRID_NS

KEY = "sk-never-shown"


def plan(url: str, **changes: object) -> LanePlan:
    fields = {"lane": "a", "url": url, "engine": "openai", "model": "m", "endpoint": "chat", "prompt_form": "text"}
    return LanePlan(**(fields | changes))  # type: ignore[arg-type]


async def take(frames: AsyncIterator[Frame], count: int) -> list[Frame]:
    taken: list[Frame] = []
    async with asyncio.timeout(20):
        async for frame in frames:
            taken.append(frame)
            if sum(len(f.requests) for f in taken) >= count:
                return taken
    raise AssertionError("the driver ended")


async def test_frames_carry_rows_and_packed_columns_that_agree() -> None:
    async with serving(always(GOOD)) as port:
        driver = await Driver.start(plan(f"http://127.0.0.1:{port}"), Setting(7, Dials(concurrency=2)))
        frames = await take(driver.frames(), 20)
        await driver.stop()
    rows = [row for frame in frames for row in frame.requests]
    tokens = np.concatenate([np.frombuffer(f.chunks.tokens, "<i4") for f in frames])
    arrivals = np.concatenate([np.frombuffer(f.chunks.t_ns, "<i8") for f in frames])
    assert {row.segment for row in rows} == {7}
    assert tokens.sum() >= sum(row.output_tokens for row in rows)
    assert len(tokens) == len(arrivals)
    assert not any(arrivals % GRID_NS)
    assert {row.t_first_ns for row in rows} <= set(arrivals.tolist())
    for before, frame in pairwise(frames):  # nothing before a frame's time is still to come
        assert all(np.frombuffer(frame.chunks.t_ns, "<i8") >= before.t_ns)
    assert frames[-1].rss_bytes > 0
    assert frames[-1].due_total >= frames[-1].started_total > 0


async def test_a_driver_asked_to_stop_gives_its_last_frame_and_ends() -> None:
    async with serving(always(GOOD)) as port:
        driver = await Driver.start(plan(f"http://127.0.0.1:{port}"), Setting(1, Dials(concurrency=1)))
        frames = driver.frames()
        await take(frames, 1)
        stopping = asyncio.create_task(driver.stop())
        last = [frame async for frame in frames][-1]
        await stopping
    assert last.in_flight == 0
    assert driver.reason == ""


async def test_a_last_frame_larger_than_the_pipe_comes_once_and_whole() -> None:
    streams = 800  # a cancelled request is about 100 bytes, a pipe holds 65,536
    async with serving(always(HEAD + token(), then="silence")) as port, asyncio.timeout(20):
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tui.load.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert worker.stdin
        assert worker.stdout
        worker.stdin.write(pack(plan(f"http://127.0.0.1:{port}")))
        worker.stdin.write(pack(Setting(1, Dials(concurrency=streams))))
        first = 0
        while first < streams:
            size = body_length(await worker.stdout.readexactly(HEADER_BYTES))
            first += len(msgspec.msgpack.decode(await worker.stdout.readexactly(size), type=Frame).first_t_ns) // 8
        worker.stdin.write(pack(Stop()))
        rest = await worker.stdout.read()
    messages = list(Unpacker().feed(rest))
    assert sum(HEADER_BYTES + len(message) for message in messages) == len(rest)
    last = msgspec.msgpack.decode(messages[-1], type=Frame)
    assert [row.outcome for row in last.requests] == ["cancelled"] * streams


async def test_a_driver_that_is_killed_says_so() -> None:
    async with serving(always(GOOD)) as port:
        driver = await Driver.start(plan(f"http://127.0.0.1:{port}"), Setting(1, Dials(concurrency=1)))
        frames = driver.frames()
        await take(frames, 1)
        os.kill(driver.pid, signal.SIGKILL)
        async for _ in frames:
            pass
        await driver.stop()
    assert driver.reason == "exit code -9"


async def test_the_key_is_on_no_command_line() -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with serving(always(GOOD)) as port:
        driver = await Driver.start(
            plan(f"http://127.0.0.1:{port}", headers=headers), Setting(1, Dials(concurrency=1))
        )
        await take(driver.frames(), 1)
        for name in ("cmdline", "environ"):
            assert KEY.encode() not in Path(f"/proc/{driver.pid}/{name}").read_bytes()
        await driver.stop()


PARENT = """
import asyncio, sys
from tui.load.driver import Driver
from tui.load.driver import LanePlan, Setting
from tui.model.dials import Dials
async def main():
    url = "http://127.0.0.1:9"
    plan = LanePlan(lane="a", url=url, engine="openai", model="m", endpoint="chat", prompt_form="text")
    driver = await Driver.start(plan, Setting(0, Dials(concurrency=0)))
    async for _ in driver.frames():
        print(driver.pid, flush=True)
asyncio.run(main())
"""


def test_a_driver_does_not_outlive_its_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    watch = os.pidfd_open(pid)
    parent.kill()
    parent.wait()
    assert select.select([watch], [], [], 10)[0]  # the driver has ended
    os.close(watch)


async def test_a_starved_driver_says_that_it_is_the_limit_and_a_healthy_one_does_not() -> None:
    async with serving(always(GOOD)) as port:
        driver = await Driver.start(
            plan(f"http://127.0.0.1:{port}"), Setting(1, Dials(arrival="constant", request_rate=20.0))
        )
        frames = driver.frames()
        healthy = await take(frames, 20)
        os.kill(driver.pid, signal.SIGSTOP)
        await asyncio.sleep(0.6)
        os.kill(driver.pid, signal.SIGCONT)
        starved = [await anext(frames) for _ in range(3)]
        await driver.stop()
    assert [frame.bound for frame in healthy if frame.bound] == []
    assert any("late" in frame.bound for frame in starved)


async def test_a_real_llamacpp_server_counts_as_we_do(llamacpp_url: str) -> None:
    driver = await Driver.start(
        plan(
            llamacpp_url,
            engine="llamacpp",
            model="tiny",
            endpoint="completions",
            prompt_form="ids",
            token_pool=[5, 6, 7, 8],
        ),
        Setting(1, Dials(concurrency=3, prompt_tokens=40, output_tokens=20)),
    )
    frames = await take(driver.frames(), 15)
    await driver.stop()
    rows = [row for frame in frames for row in frame.requests]
    assert {row.outcome for row in rows} == {"ok"}, rows
    assert all(row.prompt_tokens == 40 for row in rows)
    assert all(row.output_tokens == row.output_tokens_asked for row in rows)
    assert all(row.tokens_from == "usage at end" for row in rows)


@pytest.mark.parametrize("streams", [64])
async def test_many_streams_at_once_on_a_real_process(streams: int) -> None:
    async with serving(always(GOOD)) as port:
        driver = await Driver.start(plan(f"http://127.0.0.1:{port}"), Setting(1, Dials(concurrency=streams)))
        frames = await take(driver.frames(), streams * 3)
        await driver.stop()
    assert max(frame.in_flight for frame in frames) <= streams
    assert not [row for frame in frames for row in frame.requests if row.outcome == "failed"]


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
