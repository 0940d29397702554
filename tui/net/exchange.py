"""One request for a stream, not timed, on the same connection code and by the same rules as the load's."""

import asyncio
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from tui.model.profile import PATHS, Endpoint
from tui.model.rows import AT_ONCE_NS
from tui.net.ending import FINISH_REASONS, Ending, ending, ending_when_closed, ending_when_cut
from tui.net.http import MAX_REDIRECTS, headers_for, redirected
from tui.net.response import BadResponseError, Response
from tui.net.socket import Poller, StampClock, WireError, address, connect
from tui.net.sse import EventReader

MAX_LINGER_S: Final = 1.0  # from the end mark to the end of the message
SEE_OTHER: Final = 303


class TooLongError(Exception):
    """The answer is longer than it may be."""


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """What is asked, and where."""

    base: str  # URL without /v1
    endpoint: Endpoint
    headers: Mapping[str, str]
    body: bytes  # JSON
    verify_tls: bool = True
    finish_reasons: frozenset[str] = FINISH_REASONS
    path: str = ""  # behind the base, with a query; empty: the usual path of the endpoint


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What came, how it ended, and the base URL that answered after all redirects."""

    base: str
    response: Response
    ending: Ending
    reads: int  # that brought output; those less than `AT_ONCE_NS` apart are one
    stream_ns: int  # from the first of these to the last


def request_head(base: str, path: str, headers: Mapping[str, str]) -> bytes:
    """Request line and headers without Content-Length."""
    url = urlsplit(base)
    fields = {
        "Host": url.netloc.rpartition("@")[2],
        "User-Agent": "dragstrip",
        "Accept": "text/event-stream",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        **headers,
    }
    target = url.path.rstrip("/") + path
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1", "replace")


async def exchange(request: StreamRequest, *, timeout_s: float, limit: int) -> Exchanged:
    """Send it, follow redirects, and read the answer with its text.

    Raises WireError without a connection, TimeoutError without a whole answer in `timeout_s`, and TooLongError above
    `limit` bytes.
    """
    request = replace(request, path=request.path or PATHS[request.endpoint])
    async with asyncio.timeout(timeout_s):
        for _ in range(MAX_REDIRECTS + 1):
            exchanged = await _once(request, timeout_s, limit)
            answer, path = exchanged.response, request.path.partition("?")[0]
            target = redirected(answer.status, answer.location.decode("latin-1"), request.base, path)
            if not target or answer.status == SEE_OTHER:  # which asks for a GET
                return exchanged
            if not headers_for({"key": ""}, request.base, target):
                request = replace(request, path=path)  # the query may hold a key
            request = replace(request, base=target, headers=headers_for(request.headers, request.base, target))
        return exchanged


async def _once(request: StreamRequest, timeout_s: float, limit: int) -> Exchanged:
    loop = asyncio.get_running_loop()
    clock = StampClock()
    clock.update()
    with closing(Poller(loop)) as poller:
        wire = await connect(address(request.base, verify_tls=request.verify_tls, timeout_s=timeout_s), clock, poller)
        answer = _Answer(request, limit, loop.create_future())
        wire.reader = answer
        head = request_head(request.base, request.path, request.headers)
        try:
            wire.send(b"%sContent-Length: %d\r\n\r\n%s" % (head, len(request.body), request.body))
            ended = await answer.ended
        finally:
            wire.reader = None
            wire.close()
    return Exchanged(request.base, answer.response, ended, answer.reads, answer.last_ns - answer.first_ns)


@dataclass(slots=True)
class _Answer:
    """The reader of one answer."""

    request: StreamRequest
    limit: int
    ended: asyncio.Future[Ending]
    response: Response = field(init=False)
    reads: int = 0
    first_ns: int = 0
    last_ns: int = 0
    _bytes: int = 0

    def __post_init__(self) -> None:
        self.response = Response(EventReader(self.request.endpoint, text=[]))

    def received(self, data: bytes, t_ns: int, kernel: bool) -> None:
        response, before = self.response, self.response.events.chunks
        self._bytes += len(data)
        try:
            response.feed(data)
        except BadResponseError as error:
            self._end(ending_when_cut(response, "bad framing", str(error)))
            return
        if response.events.chunks > before:
            self.reads += t_ns - self.last_ns > AT_ONCE_NS
            self.first_ns, self.last_ns = self.first_ns or t_ns, t_ns
        if response.complete:
            self._end(ending(response, self.request.finish_reasons))
        elif self._bytes > self.limit and not self.ended.done():
            self.ended.set_exception(TooLongError)
        elif response.events.done:
            asyncio.get_running_loop().call_later(
                MAX_LINGER_S, self._end, ending(response, self.request.finish_reasons)
            )

    def closed(self, error: WireError | None) -> None:
        if error is not None:
            self._end(ending_when_cut(self.response, error.cause, error.detail))
            return
        try:
            whole = self.response.close()
        except BadResponseError as broken:
            self._end(ending_when_cut(self.response, "bad framing", str(broken)))
            return
        self._end(ending(self.response, self.request.finish_reasons) if whole else ending_when_closed(self.response))

    def _end(self, ended: Ending) -> None:
        if not self.ended.done():
            self.ended.set_result(ended)
