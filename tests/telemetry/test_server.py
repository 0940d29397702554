"""The scraper: what it emits, when, and what it says when it cannot."""

import asyncio
import time
from collections.abc import Callable

import httpx
import pytest

from tests.telemetry.pages import CAPTURED, page
from tui.engines.detect import DetectedServer
from tui.model import gauges
from tui.model.rows import GaugeRow
from tui.model.session import LaneInfo
from tui.telemetry.polling import ReadingError, poll
from tui.telemetry.server import ServerScraper

URL = "http://engine.test/metrics"
Handler = Callable[[httpx.Request], httpx.Response]


def found(kind: str = "vllm", url: str = URL, note: str = "") -> DetectedServer:
    info = LaneInfo(url="http://engine.test", engine=kind, title=kind, model="m")
    return DetectedServer(info, [], url, note, {"Authorization": "Bearer secret"})


class Log:
    """What a scraper told, in order; `run` ends it after so many tellings."""

    def __init__(self) -> None:
        self.rows: list[list[GaugeRow]] = []
        self.told: list[str] = []
        self._enough = asyncio.Event()
        self._most = 0

    def emit(self, rows: list[GaugeRow]) -> None:
        self.rows.append(rows)
        self.told.append("rows")
        self._check()

    def fault(self, line: str) -> None:
        self.told.append(line)
        self._check()

    def _check(self) -> None:
        if len(self.told) >= self._most:
            self._enough.set()

    async def run(self, handler: Handler, tellings: int, lane: DetectedServer) -> None:
        self._most = tellings
        scraper = ServerScraper("a", lane, transport=httpx.MockTransport(handler))
        task = asyncio.create_task(scraper.run(self.emit, self.fault, period_s=0.01))
        async with asyncio.timeout(10):
            await self._enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_rows_carry_lane_source_name_and_time() -> None:
    log = Log()
    before = time.monotonic_ns()
    await log.run(lambda _: httpx.Response(200, content=page("vllm-0.32.0-c32.txt")), 1, found())
    values = {row.name: row.value for row in log.rows[0]}
    assert values[gauges.RUNNING] == 25
    assert {(row.lane, row.source) for row in log.rows[0]} == {("a", gauges.SERVER)}
    assert all(before < row.t_ns < time.monotonic_ns() for row in log.rows[0])


async def test_the_key_goes_with_each_scrape() -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, content=b"vllm:num_requests_running 1\n")

    await Log().run(handler, 2, found())
    assert seen[:2] == ["Bearer secret", "Bearer secret"]


async def test_a_trouble_is_told_once_and_its_end_too() -> None:
    answers = [httpx.Response(503)] * 3 + [httpx.Response(200, content=b"vllm:num_requests_running 1\n")] * 2
    answers += [httpx.Response(404)] * 3
    log = Log()
    await log.run(lambda _: answers.pop(0) if answers else httpx.Response(500), 6, found())
    told = [line.replace(URL, "it") for line in log.told]
    assert told[:5] == ["it answers HTTP 503", "rows", "", "rows", "it answers HTTP 404"]
    assert told[5] == "it answers HTTP 500"


async def test_a_falling_counter_is_passed_on() -> None:
    counts = iter((100, 7))
    log = Log()
    await log.run(
        lambda _: httpx.Response(200, content=b"vllm:generation_tokens_total %d\n" % next(counts, 7)), 2, found()
    )
    assert [rows[0].value for rows in log.rows[:2]] == [100, 7]


async def test_a_huge_page_is_one_line_and_not_read_to_its_end() -> None:
    sent = 0

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]
            nonlocal sent
            while True:
                sent += 1
                yield b"x" * (1 << 20)

    log = Log()
    await log.run(lambda _: httpx.Response(200, stream=Endless()), 1, found())
    assert log.told == [f"{URL}: the answer is larger than 4 MB"]
    assert sent <= 6


async def test_a_page_of_something_else_and_a_malformed_one() -> None:
    for content, line in (
        (b"<html>hello</html>", "has no metric of vLLM"),
        (b"vllm:num_requests_running many\n", "cannot be read"),
        (b'{"detail": "x"}', "cannot be read"),
    ):
        log = Log()
        await log.run(lambda _, content=content: httpx.Response(200, content=content), 1, found())  # type: ignore[misc]
        assert line in log.told[0]


async def test_a_server_that_closed_the_kept_connection_is_asked_again_at_once() -> None:
    calls = 0

    def handler(_: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        return httpx.Response(200, content=b"vllm:num_requests_running 1\n")

    log = Log()
    await log.run(handler, 1, found())
    assert log.told == ["rows"]


async def test_sglang_without_metrics_gives_its_loads_and_says_so() -> None:
    raw = (CAPTURED / "sglang-0.5.23-loads-c32.json").read_bytes()
    log = Log()
    await log.run(
        lambda _: httpx.Response(200, content=raw),
        2,
        found("sglang", "http://engine.test/v1/loads", "start it with …"),
    )
    assert log.told[:2] == ["start it with …", "rows"]
    assert {row.name: row.value for row in log.rows[0]}[gauges.RUNNING] == 32


async def test_nothing_to_scrape_ends_at_once() -> None:
    log = Log()
    await ServerScraper("a", found(url="", note="Ollama exposes no metrics")).run(log.emit, log.fault)
    assert log.told == ["Ollama exposes no metrics"]


async def test_beats_keep_their_schedule_and_skip_what_a_slow_reading_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    started: list[float] = []
    took = iter((0.3, 2.4, 0.1, 1.0, 0.0))

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    async def read() -> list[GaugeRow]:
        nonlocal now
        started.append(now)
        now += next(took)
        if len(started) == 5:
            raise asyncio.CancelledError
        raise ReadingError("nothing")

    monkeypatch.setattr("tui.telemetry.polling.time.monotonic", lambda: now)
    monkeypatch.setattr("tui.telemetry.polling.asyncio.sleep", sleep)
    told: list[str] = []
    with pytest.raises(asyncio.CancelledError):
        await poll(read, lambda _: None, told.append, 1.0)
    assert started == [100, 101, 104, 105, 106]
    assert told == ["nothing"]
