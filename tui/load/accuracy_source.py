"""A token source on loopback that notes when it sent what: the other end of the ruler.

Run as a process: it prints its port, serves, and when its stdin ends it prints its log, one JSON line an answer.
`/p/TTFT_US/STEP_US/v1/...` paces its tokens, every other path sends them as fast as they are taken.
"""

import asyncio
import sys
import time
from dataclasses import dataclass, field

import msgspec

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = (
    b'data: {"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":1764000000,'
    b'"model":"ruler","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":%s}]}\n\n'
)
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}\n\n'
BLOCK_TOKENS = 250  # about 64 kB


class ParsedRequest(msgspec.Struct):
    """What the source wants to know of a request's body."""

    prompt: list[int]
    max_tokens: int
    seed: int


class SourceAnswer(msgspec.Struct):
    """One paced answer, as the source saw it."""

    seed: int
    received_ns: int
    sent_ns: list[int]


def chunk(data: bytes) -> bytes:
    """As a piece of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


TOKEN, LAST = chunk(EVENT % b"null"), chunk(EVENT % b'"length"')
BLOCK = TOKEN * BLOCK_TOKENS


@dataclass
class Source(asyncio.Protocol):
    """One connection."""

    log: list[SourceAnswer]
    _heard: bytearray = field(default_factory=bytearray)
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        if self._answering is not None:
            self._answering.cancel()

    def pause_writing(self) -> None:
        """The socket is full."""
        self._room.clear()

    def resume_writing(self) -> None:
        """There is room again."""
        self._room.set()

    def data_received(self, data: bytes) -> None:
        """A request, in pieces."""
        received_ns = time.monotonic_ns()
        self._heard += data
        head, end, rest = self._heard.partition(b"\r\n\r\n")
        if not end or len(rest) < int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            return
        asked = msgspec.json.decode(rest, type=ParsedRequest)
        path = head.split(b" ")[1].decode("ascii").split("/")
        self._heard.clear()
        self._transport.write(HEAD)
        if path[1] == "p":
            work = self._pace(asked, received_ns, int(path[2]) / 1e6, int(path[3]) / 1e6)
        else:
            work = self._pour(asked)
        self._answering = asyncio.get_running_loop().create_task(work)

    async def _pace(self, asked: ParsedRequest, received_ns: int, ttft_s: float, step_s: float) -> None:
        loop = asyncio.get_running_loop()
        due_s, sent_ns = loop.time() + ttft_s, []
        for left in range(asked.max_tokens, 0, -1):
            await asyncio.sleep(due_s - loop.time())
            sent_ns.append(time.monotonic_ns())
            self._transport.write(TOKEN if left > 1 else LAST)
            due_s += step_s
        self.log.append(SourceAnswer(asked.seed, received_ns, sent_ns))
        self._end(asked)

    async def _pour(self, asked: ParsedRequest) -> None:
        blocks, odd = divmod(asked.max_tokens - 1, BLOCK_TOKENS)
        for _ in range(blocks):
            await self._room.wait()
            self._transport.write(BLOCK)
            await asyncio.sleep(0)  # the others' turn
        self._transport.write(TOKEN * odd + LAST)
        self._end(asked)

    def _end(self, asked: ParsedRequest) -> None:
        usage = chunk(USAGE % (len(asked.prompt), asked.max_tokens))
        self._transport.write(usage + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")


async def serve() -> None:
    """Serve until stdin ends, then tell."""
    log: list[SourceAnswer] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Source(log), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()
    sys.stdout.buffer.write(msgspec.json.encode(log))


if __name__ == "__main__":
    asyncio.run(serve())
