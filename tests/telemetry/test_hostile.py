"""Servers that fail, hang, flood or lie, on a real socket: one note each, and the next scrape is never held up."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tui.engines.detect import DetectedServer
from tui.model.rows import GaugeRow
from tui.model.session import LaneInfo
from tui.net.prometheus import MAX_SAMPLES
from tui.telemetry.gpus import DcgmReader
from tui.telemetry.server import NothingToReadError, ServerScraper, poll, reading

Answer = Callable[[asyncio.StreamWriter, int, bytes], Awaitable[None]]
SCRAPES = 2
NO_HTTP = "closes the connection early, or does not speak HTTP"
MB = 1 << 20
NOTHING_MUCH = gzip.compress(bytes(8 * MB), 1)


def whole(body: bytes, *head: bytes, status: bytes = b"200 OK") -> bytes:
    lines = (b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), b"Connection: close", *head)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def sends(answer: Callable[[int, bytes], bytes]) -> Answer:
    async def send(writer: asyncio.StreamWriter, number: int, metric: bytes) -> None:
        writer.write(answer(number, metric))
        await writer.drain()

    return send


async def hangs(writer: asyncio.StreamWriter, number: int, metric: bytes) -> None:
    await asyncio.Event().wait()


async def trickles(writer: asyncio.StreamWriter, number: int, metric: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b"v")
        await writer.drain()
        await asyncio.sleep(0.02)


async def floods(writer: asyncio.StreamWriter, number: int, metric: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"# more\n" * 10_000)
        await writer.drain()


async def resets(writer: asyncio.StreamWriter, number: int, metric: bytes) -> None:
    writer.transport.abort()


HOSTILE: dict[str, tuple[Answer, str]] = {
    "fails": (sends(lambda n, m: whole(b"no %d" % n, status=b"500 Oops")), "answers HTTP 500"),
    "redirects": (sends(lambda n, m: whole(b"", b"Location: /metrics", status=b"302 Found")), "answers HTTP 302"),
    "hangs": (hangs, "gives no complete answer within 0.1 s"),
    "trickles": (trickles, "gives no complete answer within 0.1 s"),
    "floods": (floods, "the answer is larger than 4 MB"),
    "resets": (resets, NO_HTTP),
    "closes": (sends(lambda n, m: b""), NO_HTTP),
    "is cut short": (sends(lambda n, m: whole(b"x" * 99)[:-50]), NO_HTTP),
    "speaks no HTTP": (sends(lambda n, m: b"\x16\x03\x01 %d\r\n\r\n" % n), NO_HTTP),
    "has an endless head": (
        sends(lambda n, m: b"HTTP/1.1 200 OK\r\nX: " + b"x" * MB),
        NO_HTTP,
    ),
    "is compressed to nothing": (
        sends(lambda n, m: whole(NOTHING_MUCH, b"Content-Encoding: gzip")),
        "the answer is larger than 4 MB",
    ),
    "is a web page": (sends(lambda n, m: whole(b"<html>%d</html>" % n)), "has no"),
    "is empty": (sends(lambda n, m: whole(b"")), "has no"),
    "lies about values": (sends(lambda n, m: whole(b"%s{} v%d\n" % (m, n))), "a metric's value is not a number"),
    "never ends its labels": (sends(lambda n, m: whole(m + b'{a="' + b"x" * MB)), "a metric's labels do not end"),
    "is one long line": (sends(lambda n, m: whole((b"x " + m) * (3 * MB // (len(m) + 2)))), "has no"),
    "has a million series": (
        sends(lambda n, m: whole(b"".join(b'%s{gpu="%d"} 1\n' % (m, i) for i in range(60_000)))),
        f"more than {MAX_SAMPLES:,} samples",
    ),
    "is no number": (sends(lambda n, m: whole(b"%s NaN\n%s{} +Inf\n" % (m, m))), "has no"),
}  # fmt: skip


@asynccontextmanager
async def serving(answer: Answer, metric: bytes) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A server on a port of its own; the event is set when it has been asked more often than retries explain."""
    asked, enough, writers = 0, asyncio.Event(), set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writers.add(writer)
        if asked > 2 * SCRAPES:
            enough.set()
        try:
            await reader.readuntil(b"\r\n\r\n")
            await answer(writer, asked, metric)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/metrics", enough
    finally:
        listening.close()
        for writer in writers:
            writer.transport.abort()


def scraper(kind: str, url: str, timeout_s: float) -> ServerScraper | DcgmReader:
    if kind == "dcgm":
        return DcgmReader("a", url, (), timeout_s=timeout_s)
    info = LaneInfo(url=url, engine=kind, title=kind, model="m")
    return ServerScraper("a", DetectedServer(info, [], url, ""), timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("kind", "metric"), [("vllm", b"vllm:num_requests_running"), ("dcgm", b"DCGM_FI_DEV_FB_USED")]
)
@pytest.mark.parametrize("manner", HOSTILE)
async def test_it_is_one_note_and_never_a_stall(kind: str, metric: bytes, manner: str) -> None:
    answer, line = HOSTILE[manner]
    rows: list[GaugeRow] = []
    faults: list[str] = []
    async with serving(answer, metric) as (url, enough):
        reader = scraper(kind, url, timeout_s=0.1 if "within" in line else 20)
        task = asyncio.create_task(reader.run(rows.extend, faults.append, period_s=0.01))
        async with asyncio.timeout(30):
            await enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not rows
    assert len(faults) == 1
    assert line in faults[0] or (line == "has no" and "it has no" in faults[0])
    assert faults[0].startswith(url)


async def test_nobody_there_is_one_note_too() -> None:
    faults: list[str] = []
    beats = 0

    async def read() -> list[GaugeRow]:
        nonlocal beats
        beats += 1
        if beats > SCRAPES:
            raise NothingToReadError("enough")
        with reading("http://127.0.0.1:1/metrics", {}) as page:
            await page()
        return []

    await poll(read, lambda rows: None, faults.append, 0.01)
    assert faults == ["nobody answers at http://127.0.0.1:1/metrics", "enough"]


async def test_an_exporter_url_that_is_none_ends_in_one_line() -> None:
    faults: list[str] = []
    await DcgmReader("a", "http://exporter:port", ()).run(lambda rows: None, faults.append)
    assert faults == ["http://exporter:port/metrics is not a URL"]
