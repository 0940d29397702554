"""One page, asked for again and again on one connection, as cheaply as a page a second should be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httptools

from tui.model.text import sanitize
from tui.net.coding import decoder
from tui.net.http import MAX_BODY_BYTES, Answer, TooLargeError
from tui.net.response import BadResponseError
from tui.net.socket import Poller, StampClock, Wire, WireError, address, connect

MAX_HEAD_BYTES = 1 << 16


class PageReader:
    """A page by its URL, of which only the path and the query are sent. It goes past any proxy, as the load does.

    It asks for plain bytes: vLLM would compress its metrics page for each scrape, on the loop that serves the load.
    Raises ValueError when the URL is none.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        verify_tls: bool = True,
        timeout_s: float,
        limit: int = MAX_BODY_BYTES,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("neither http:// nor https:// and a host")
        self._address = address(f"{parts.scheme}://{parts.netloc}", verify_tls=verify_tls, timeout_s=timeout_s)
        fields = {
            "Host": parts.netloc.rpartition("@")[2],
            "User-Agent": "dragstrip",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            **headers,
        }
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        self._request = "\r\n".join(lines).encode("latin-1", "replace")
        self._timeout_s, self._limit = timeout_s, limit
        self._clock = StampClock()
        self._poller: Poller | None = None
        self._wire: Wire | None = None

    async def read(self) -> Answer:
        """The page as it is now; redirects are not followed.

        Raises WireError without a connection, TimeoutError without a whole answer in time, BadResponseError,
        CodingError, and TooLargeError above the limit.
        """
        async with asyncio.timeout(self._timeout_s):
            if self._wire is not None and self._wire.is_open:
                try:
                    return await self._ask(self._wire)
                except (WireError, BadResponseError):
                    pass  # servers close idle connections (llama.cpp also busy ones): a fresh one decides
            if self._poller is None:
                self._poller = Poller(asyncio.get_running_loop())
            self._wire = await connect(self._address, self._clock, self._poller)
            return await self._ask(self._wire)

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
        if self._poller is not None:
            self._poller.close()
            self._poller = None

    async def _ask(self, wire: Wire) -> Answer:
        page = _Page(self._limit, asyncio.get_running_loop().create_future())
        wire.reader = page
        try:
            wire.send(self._request)
            answer = await page.answer
        finally:
            if not page.keep_alive:
                wire.close()  # what is left of this answer must not be taken for the next
            wire.reader = None
            page.release()
        return answer


@dataclass(slots=True)
class _Page:
    """The reader of one answer."""

    limit: int
    answer: asyncio.Future[Answer]
    keep_alive: bool = False
    _body: bytearray = field(default_factory=bytearray)
    _head: dict[str, str] = field(default_factory=dict)
    _head_bytes: int = 0
    _head_complete: bool = False
    _decode: Callable[[bytes], bytes] | None = None
    _parser: Any = field(init=False)

    def __post_init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)

    def received(self, data: bytes, _t_ns: int, _kernel: bool) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            self._fail(error.__context__ or error)
        except httptools.HttpParserError as error:
            self._fail(BadResponseError(sanitize(error)))
        if not self._head_complete:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._fail(BadResponseError("its head does not end"))

    def closed(self, error: WireError | None) -> None:
        if error is not None:
            self._fail(error)
        elif self._head_complete and not {"content-length", "transfer-encoding"} & self._head.keys():
            self._end()
        else:
            self._fail(BadResponseError("it closes the connection early"))

    # Called by the parser.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._head_complete = self._parser.get_status_code() >= 200  # else it is a 1xx, and the answer comes after it
        self._decode = decoder(self._head.get("content-encoding", ""))

    def on_body(self, piece: bytes) -> None:
        self._body += piece if self._decode is None else self._decode(piece)
        if len(self._body) > self.limit:
            raise TooLargeError(f"the answer is larger than {self.limit >> 20} MB")

    def on_message_complete(self) -> None:
        if self._head_complete:
            self.keep_alive = bool(self._parser.should_keep_alive())
            self._end()

    def release(self) -> None:
        """Free the parser: it and this object refer to each other."""
        del self._parser

    def _end(self) -> None:
        head = self._head
        answer = Answer(
            self._parser.get_status_code(),
            head.get("content-type", ""),
            head.get("server", ""),
            bytes(self._body),
            head.get("location", ""),
        )
        if not self.answer.done():
            self.answer.set_result(answer)

    def _fail(self, error: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
