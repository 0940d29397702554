"""Other ways to read the same streams: `python -m tests.bench.load.readers NAME URL STREAMS TOKENS SECONDS`.

It prints one line: tokens, CPU seconds and seconds between the end of the warm-up and the end.
"""

import asyncio
import gc
import json
import resource
import select
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from urllib.parse import urlsplit

WARM_UP_S = 2.0
PATIENCE_S = 30.0
MARK = b'"content":"'


class Count:
    """Tokens and CPU after the warm-up, which begins with the first token: imports are nobody's reading."""

    def __init__(self, seconds: float) -> None:
        self.tokens = 0
        self._seconds = seconds
        self._give_up_s = time.monotonic() + PATIENCE_S
        self._begin_s = 0.0
        self._at_begin: tuple[float, int, float] | None = None
        self._took_s = 0.0

    def over(self) -> bool:
        """Whether time is up; call it now and then."""
        now_s = time.monotonic()
        if not self.tokens:
            if now_s > self._give_up_s:
                raise TimeoutError(f"not one token within {PATIENCE_S:g} s")
            return False
        self._begin_s = self._begin_s or now_s + WARM_UP_S
        if self._at_begin is None and now_s >= self._begin_s:
            self._at_begin = now_s, self.tokens, _cpu_s()
        self._took_s = now_s - self._at_begin[0] if self._at_begin is not None else 0.0
        return self._took_s >= self._seconds

    def line(self) -> str:
        """Tokens, CPU seconds and seconds."""
        assert self._at_begin is not None
        _, tokens, cpu_s = self._at_begin
        return f"{self.tokens - tokens} {_cpu_s() - cpu_s:.4f} {self._took_s:.4f}"


def bound(url: str, streams: int, tokens: int, count: Count) -> None:
    """The floor: raw sockets, one count of the output key in each block, nothing else."""
    where, request = urlsplit(url), _request(tokens)
    poll = select.epoll()
    socks = {}
    for _ in range(streams):
        sock = socket.create_connection((where.hostname, where.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(request)
        poll.register(sock, select.EPOLLIN)
        socks[sock.fileno()] = sock
    buffer = bytearray(1 << 16)
    while not count.over():
        for fd, _ in poll.poll(0.1):
            sock = socks[fd]
            size = sock.recv_into(buffer)
            count.tokens += buffer.count(MARK, 0, size)
            if buffer[size - 5 : size] == b"0\r\n\r\n":
                sock.sendall(request)


async def aiohttp_scan(url: str, streams: int, tokens: int, count: Count) -> None:
    """aiohttp as fast as it goes: body bytes as they come, counted, not parsed."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def stream() -> None:
            while True:
                async with session.post(f"{url}/v1/chat/completions", data=_body(tokens)) as answer:
                    async for data in answer.content.iter_any():
                        count.tokens += data.count(MARK)
                        if count.over():
                            return

        await _run(stream, streams)


async def openai_client(url: str, streams: int, tokens: int, count: Count) -> None:
    """The official client, as an application uses it."""
    import openai

    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", timeout=None) as client:

        async def stream() -> None:
            while True:
                async for chunk in await client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "hi"}], max_tokens=tokens, stream=True
                ):
                    count.tokens += bool(chunk.choices and chunk.choices[0].delta.content)
                    if count.over():
                        return

        await _run(stream, streams)


async def _run(stream: Callable[[], Coroutine[None, None, None]], streams: int) -> None:
    """Until the first stream finds that time is up: a saturated client would not come to look elsewhere."""
    tasks = [asyncio.create_task(stream()) for _ in range(streams)]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    for task in done:
        task.result()


def _body(tokens: int) -> bytes:
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": tokens, "stream": True}
    return json.dumps(asked | {"stream_options": {"include_usage": True}}).encode()


def _request(tokens: int) -> bytes:
    body = _body(tokens)
    return b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Read with one of them."""
    name, url, streams, tokens, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
    gc.collect()
    gc.freeze()
    count = Count(float(seconds))
    if name == "bound":
        bound(url, streams, tokens, count)
    else:
        reader = {"aiohttp": aiohttp_scan, "openai": openai_client}[name]
        asyncio.run(reader(url, streams, tokens, count))
    print(count.line())


if __name__ == "__main__":
    main()
