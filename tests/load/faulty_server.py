"""A server that fails in every way a server can, on plain sockets, because no well-behaved library would."""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def token(text: str = "hi", finish: str | None = None, *, tokens: int = 0) -> bytes:
    """`tokens`: of the answer so far, by its usage; 0 without one."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    counts = {"usage": {"completion_tokens": tokens}} if tokens else {}
    return chunk(f"data: {json.dumps({'choices': [choice], **counts})}\n\n".encode())


def usage(prompt_tokens: int, completion_tokens: int) -> bytes:
    event = {"choices": [], "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}}
    return chunk(f"data: {json.dumps(event)}\n\n".encode())


DONE = chunk(b"data: [DONE]\n\n")
END = b"0\r\n\r\n"
GOOD = HEAD + token() + token() + token(finish="length") + usage(7, 3) + DONE + END


def plain(status: str, body: bytes, kind: str = "application/json") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        status.encode(),
        kind.encode(),
        len(body),
        body,
    )


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One request's body; empty when the client is gone."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = await reader.readline()
        if not line:
            return b""
        head += line
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return await reader.readexactly(length)


def always(answer: bytes, *, then: str = "keep") -> Behaviour:
    """Give that answer to every request; then keep the connection, close it, reset it, or stay silent."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader):
            writer.write(answer)
            await writer.drain()
            if then == "reset":
                sock: socket.socket = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return
            if then == "close":
                return
            if then == "silence":
                await asyncio.Event().wait()

    return behaviour


@asynccontextmanager
async def serving(
    behaviour: Behaviour, port: int = 0, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve with this behaviour; gives the port."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await behaviour(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, host, port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
