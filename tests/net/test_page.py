"""A page asked for again and again, from a server on a real socket."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import pytest

from tui.net.coding import CodingError
from tui.net.http import TooLargeError
from tui.net.page import PageReader
from tui.net.response import BadResponseError
from tui.net.socket import WireError


class Server:
    """Answers each request with the next of `answers`, whole; an empty one closes the connection."""

    def __init__(self, *answers: bytes, closes_after: int = 1_000) -> None:
        self.answers = list(answers)
        self.closes_after = closes_after  # requests on one connection
        self.requests: list[bytes] = []
        self.connections = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            for _ in range(self.closes_after):
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(self.answers.pop(0))
                await writer.drain()
                if b"until close" in self.requests[-1]:
                    return
        except (ConnectionError, asyncio.IncompleteReadError, IndexError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def page_of(server: Server, path: str = "/metrics", timeout_s: float = 5.0) -> AsyncIterator[PageReader]:
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    host = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    with closing(PageReader(f"http://{host}{path}", {"Authorization": "Bearer k"}, timeout_s=timeout_s)) as page:
        yield page
    listening.close()


def whole(body: bytes, *head: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *head, b"", body])


async def test_pages_come_over_one_connection_and_the_key_goes_with_each() -> None:
    server = Server(whole(b"one"), whole(b"two"), whole(b"", b"Location: /x").replace(b"200 OK", b"302 Found"))
    async with page_of(server, "/metrics?of=a") as page:
        assert [(await page.read()).body for _ in range(2)] == [b"one", b"two"]
        moved = await page.read()
    assert (moved.status, moved.location) == (302, "/x")
    assert server.connections == 1
    assert all(asked.startswith(b"GET /metrics?of=a HTTP/1.1\r\nHost: 127.0.0.1:") for asked in server.requests)
    assert all(b"\r\nAuthorization: Bearer k\r\n" in asked for asked in server.requests)


async def test_a_server_that_closed_the_kept_connection_is_asked_again_at_once() -> None:
    server = Server(whole(b"one"), whole(b"two"), whole(b"three"), closes_after=1)
    async with page_of(server) as page:
        assert [(await page.read()).body for _ in range(3)] == [b"one", b"two", b"three"]
    assert server.connections == 3


async def test_bodies_in_chunks_compressed_or_until_the_connection_ends() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    server = Server(chunked, interim + whole(gzip.compress(b"plain"), b"Content-Encoding: gzip"))
    async with page_of(server) as page:
        assert [(await page.read()).body for _ in range(2)] == [b"onetwo", b"plain"]
    server = Server(b"HTTP/1.1 200 OK\r\n\r\nall there is", closes_after=1)
    async with page_of(server) as page:
        assert (await page.read()).body == b"all there is"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", BadResponseError),
        (b"not HTTP\r\n\r\n", BadResponseError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 17), BadResponseError),
        (whole(b"x", b"Content-Encoding: br"), CodingError),
        (whole(b"x" * 5_000_000), TooLargeError),
    ],
)
async def test_what_is_no_page_is_an_error_and_the_next_reading_is_whole(
    answer: bytes, error: type[Exception]
) -> None:
    server = Server(answer, whole(b"good"), closes_after=1)
    async with page_of(server) as page:
        with pytest.raises(error):
            await page.read()
        assert (await page.read()).body == b"good"


async def test_nobody_there_and_a_silent_server() -> None:
    with closing(PageReader("http://127.0.0.1:1/metrics", {}, timeout_s=5)) as page, pytest.raises(WireError):
        await page.read()
    async with page_of(Server(b""), timeout_s=0.05) as page:
        with pytest.raises(TimeoutError):
            await page.read()


@pytest.mark.parametrize("url", ["ftp://host/metrics", "http://host:port/metrics", "http:///metrics"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"host|port"):
        PageReader(url, {}, timeout_s=1)
