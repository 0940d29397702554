"""A token source on loopback that logs when it sent what: the other end of the accuracy measurement.

Run as a process, it prints its port, serves, and prints its log as JSON when its stdin ends.
`/p/TTFT_US/STEP_US/v1/...` paces the tokens, every other path sends them as fast as they are read.
"""

import asyncio
import sys
import time
from dataclasses import dataclass, field

import msgspec

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = (
    b'data: {"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":1764000000,'
    b'"model":"accuracy","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":%s}]}\n\n'
)
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}\n\n'
BLOCK_TOKENS = 250  # about 64 kB


class ParsedRequest(msgspec.Struct):
    prompt: list[int]
    max_tokens: int
    seed: int


class SourceAnswer(msgspec.Struct):
    """One paced answer."""

    seed: int
    received_ns: int
    sent_ns: list[int]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


TOKEN, LAST = chunk(EVENT % b"null"), chunk(EVENT % b'"length"')
BLOCK = TOKEN * BLOCK_TOKENS


@dataclass
class Source(asyncio.Protocol):
    log: list[SourceAnswer]
    _request: bytearray = field(default_factory=bytearray)
    _writable: asyncio.Event = field(default_factory=asyncio.Event)
    _answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answering is not None:
            self._answering.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        received_ns = time.monotonic_ns()
        self._request += data
        head, end, rest = self._request.partition(b"\r\n\r\n")
        if not end or len(rest) < int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            return
        request = msgspec.json.decode(rest, type=ParsedRequest)
        path = head.split(b" ")[1].decode("ascii").split("/")
        self._request.clear()
        self._transport.write(HEAD)
        if path[1] == "p":
            work = self._pace(request, received_ns, int(path[2]) / 1e6, int(path[3]) / 1e6)
        else:
            work = self._pour(request)
        self._answering = asyncio.get_running_loop().create_task(work)

    async def _pace(self, request: ParsedRequest, received_ns: int, ttft_s: float, step_s: float) -> None:
        loop = asyncio.get_running_loop()
        due_s, sent_ns = loop.time() + ttft_s, []
        for left in range(request.max_tokens, 0, -1):
            await asyncio.sleep(due_s - loop.time())
            sent_ns.append(time.monotonic_ns())
            self._transport.write(TOKEN if left > 1 else LAST)
            due_s += step_s
        self.log.append(SourceAnswer(request.seed, received_ns, sent_ns))
        self._end(request)

    async def _pour(self, request: ParsedRequest) -> None:
        blocks, odd = divmod(request.max_tokens - 1, BLOCK_TOKENS)
        for _ in range(blocks):
            await self._writable.wait()
            self._transport.write(BLOCK)
            await asyncio.sleep(0)  # let the other connections run
        self._transport.write(TOKEN * odd + LAST)
        self._end(request)

    def _end(self, request: ParsedRequest) -> None:
        usage = chunk(USAGE % (len(request.prompt), request.max_tokens))
        self._transport.write(usage + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")


async def serve() -> None:
    """Serve until stdin ends, then print the log."""
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
