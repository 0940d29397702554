"""A small server of odd answers on loopback: it sends bytes, because no HTTP library would send most of these."""

import asyncio
import json
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain, pairwise
from statistics import fmean, median
from typing import Any, Literal

EVENT_STREAM = "text/event-stream"
MODELS = {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "someone"}]}
DONE = b"data: [DONE]\n\n"
LAST_CHUNK = b"0\r\n\r\n"


def head(content_type: str = EVENT_STREAM, *more: str, status: str = "200 OK", chunked: bool = True) -> bytes:
    """Status line and headers; `more` are whole header lines."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", *more]
    lines += ["Transfer-Encoding: chunked"] if chunked else []
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def chunk(data: bytes) -> bytes:
    """One chunk of the chunked transfer coding."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(payload: object) -> bytes:
    return f"data: {json.dumps(payload, ensure_ascii=False)}\n\n".encode()


def delta(finish: str | None = None, **fields: object) -> bytes:
    """An event of a chat with these fields of output."""
    choice = {"index": 0, "delta": fields, "finish_reason": finish}
    return event({"object": "chat.completion.chunk", "choices": [choice]})


def words(count: int, finish: str | None = "length") -> list[bytes]:
    """So many events of one word each, the last with the finish reason."""
    return [delta(finish if n == count - 1 else None, content=f" w{n}") for n in range(count)]


def usage(output: int, prompt: int = 16, **more: object) -> bytes:
    counts = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    return event({"object": "chat.completion.chunk", "choices": [], "usage": counts | more})


def whole(status: str, body: object, content_type: str = "application/json", *more: str) -> bytes:
    """An answer with its length; `body` is bytes, text or something to send as JSON."""
    if not isinstance(body, bytes):
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
    return head(content_type, *more, f"Content-Length: {len(body)}", status=status, chunked=False) + body


@dataclass(slots=True)
class Exchange:
    """One request as it arrived, and the way to answer it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    number: int  # how many POSTs came before it
    writer: asyncio.StreamWriter
    running: "Running"
    then: Literal["keep", "close", "reset"] = "keep"

    @property
    def fields(self) -> dict[str, Any]:
        """The JSON object of the body; empty for a request without one."""
        decoded: dict[str, Any] = json.loads(self.body) if self.body else {}
        return decoded

    async def send(self, *pieces: bytes, gap_s: float = 0.0) -> None:
        """Send piece by piece, each in a write of its own, after a pause."""
        for piece in pieces:
            if gap_s:
                await asyncio.sleep(gap_s)
            self.writer.write(piece)
            await self.writer.drain()

    async def output(self, *pieces: bytes, gap_s: float = 0.005) -> None:
        """Send output and keep how far apart the pieces really were: a busy host sleeps longer than asked."""
        times = []
        for piece in pieces:
            await self.send(piece, gap_s=gap_s)
            times.append(time.monotonic())
        if len(times) > 1:
            self.running.gaps_ms.append([(after - before) * 1e3 for before, after in pairwise(times)])


@dataclass(slots=True)
class Running:
    """A server that runs, and what it remembers."""

    port: int = 0
    url: str = ""
    posts: int = 0
    gaps_ms: list[list[float]] = field(default_factory=list)  # between pieces of output, of each answer
    stop_listening: Callable[[], None] = lambda: None

    def true_gaps_ms(self) -> dict[str, float]:
        """What TPOT and ITL would be if each piece were a token."""
        if not self.gaps_ms:
            return {}
        return {"tpot_ms": median(map(fmean, self.gaps_ms)), "itl_ms": median(chain.from_iterable(self.gaps_ms))}


Handler = Callable[[Exchange], Awaitable[None]]


def stream(
    *events: bytes,
    gap_s: float = 0.002,
    before: bytes | None = None,
    end: bytes = LAST_CHUNK,
    then: Literal["keep", "close", "reset"] = "keep",
) -> Handler:
    """Answers with a head, these events, each a chunk, and an end."""

    async def handler(exchange: Exchange) -> None:
        await exchange.send(head() if before is None else before)
        await exchange.output(*map(chunk, events), gap_s=gap_s)
        await exchange.send(end)
        exchange.then = then

    return handler


def raw(first: bytes, *pieces: bytes, gap_s: float = 0.002, then: Literal["keep", "close"] = "close") -> Handler:
    """Answers with just these bytes."""

    async def handler(exchange: Exchange) -> None:
        await exchange.send(first)
        await exchange.output(*pieces, gap_s=gap_s)
        exchange.then = then

    return handler


def always(answer: bytes) -> Handler:
    """Answers each request with the same bytes in one write."""
    return raw(answer, then="keep")


@dataclass(frozen=True, slots=True)
class Right:
    """What is right to make of a server. A text with bars lists words of which one must be there."""

    measurable: bool | None = True  # by doctor and by the load; None: it may also be refused with `words`
    outcome: Literal["ok", "failed", "refused"] = "ok"
    cause: str = ""  # of a failure; empty: any
    words: str = ""  # in the row of each failure, in doctor's sentence and in the JSON
    tokens: int | None = None  # output tokens of an answer
    chunks: int | None = None
    # Of `run --json`: None is unknown; a number is a multiple of the true gap, within a factor of two, or unknown.
    figures: Mapping[str, float | None] = field(default_factory=dict)
    says: str = ""  # in a sentence of the JSON and of doctor
    flag: str = ""  # where it may be refused: a way on that the sentence names


@dataclass(frozen=True, slots=True)
class OddServer:
    """A server unlike others, and what is right to make of it."""

    kind: int
    name: str
    answer: Handler  # to a POST
    right: Right = Right()
    pages: Mapping[str, bytes] = field(default_factory=dict)  # answers to GETs, by path
    paths: Sequence[str] = ("/v1/chat/completions",)  # that take a POST
    url: str = ""  # appended to the server's own
    lane: Mapping[str, Any] = field(default_factory=dict)  # keys of the lane's profile
    plan: Mapping[str, Any] = field(default_factory=dict)  # of the load
    answers: int = 1  # until the load has seen enough
    examined: bool = True  # whether doctor is asked

    async def handle(self, exchange: Exchange) -> None:
        pages = {"/v1/models": whole("200 OK", MODELS)} | dict(self.pages)
        page = pages.get(exchange.path, pages.get("*"))
        if exchange.method == "POST" and exchange.path in self.paths:
            exchange.running.posts += 1
            await self.answer(exchange)
        elif page is not None and exchange.method == "GET":
            await exchange.send(page)
        else:
            await exchange.send(whole("404 Not Found", {"detail": "Not Found"}))


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes]:
    """Raises IncompleteReadError when the client is gone."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    return method, path, headers, await reader.readexactly(int(headers.get("content-length", 0)))


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def serving(
    odd: OddServer, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Running]:
    """Serve it on a free port."""
    tasks: set[asyncio.Task[None]] = set()
    running = Running()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while True:
                exchange = Exchange(*await _request(reader), running.posts, writer, running)
                await odd.handle(exchange)
                if exchange.then == "reset":
                    _reset(writer)
                if exchange.then != "keep":
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, host, ssl=tls)
    running.port = server.sockets[0].getsockname()[1]
    running.url = f"{'https' if tls else 'http'}://{host}:{running.port}{odd.url}"
    running.stop_listening = server.close
    try:
        yield running
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
