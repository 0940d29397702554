"""One HTTP response, parsed by llhttp; body bytes are handed on as they arrive."""

from typing import Any

import httptools

from tui.model.text import sanitize
from tui.net.http import error_message

MAX_ERROR_BYTES = 1 << 16


class BadResponseError(Exception):
    """Not HTTP, or broken framing."""


class Response:
    """Feed it bytes; it knows when the head and the message are complete, and hands on the body."""

    __slots__ = (
        "_error",
        "_headers",
        "_parser",
        "body",
        "complete",
        "content_type",
        "head_complete",
        "keep_alive",
        "on_body",
        "until_close",
    )

    def __init__(self) -> None:
        self.body: list[bytes] = []  # pieces of the body since the last `feed`
        self.head_complete = False
        self.complete = False
        self.keep_alive = False  # whether the connection may carry another request
        self.content_type = b""
        self.until_close = True  # the body ends when the connection does
        self.on_body = self.body.append  # called by the parser for each piece: a bound list method is the cheapest
        self._error = bytearray()
        self._parser: Any = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"content-type":
            self.content_type = value.lower()
        elif name in (b"content-length", b"transfer-encoding"):
            self.until_close = False

    def on_headers_complete(self) -> None:
        """Called by the parser; the head of a 1xx answer does not count."""
        self.head_complete = self._parser.get_status_code() >= 200

    def on_message_complete(self) -> None:
        """Called by the parser, which knows only here whether the connection stays open."""
        self.complete = self.head_complete
        self.keep_alive = self.complete and bool(self._parser.should_keep_alive()) and not self.until_close

    @property
    def status(self) -> int:
        return int(self._parser.get_status_code())

    @property
    def is_stream(self) -> bool:
        return self.content_type.startswith(b"text/event-stream")

    def feed(self, data: bytes) -> None:
        """Parse. Raises BadResponseError."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise BadResponseError(sanitize(error)) from error

    def take_body(self) -> bytes:
        """The body bytes since the last call."""
        data = self.body[0] if len(self.body) == 1 else b"".join(self.body)
        self.body.clear()
        return data

    def release(self) -> None:
        """Free the parser: it and this object refer to each other, and only the garbage collector would free them."""
        del self._parser

    def collect_error(self, data: bytes) -> None:
        """Collect the start of a body that is not an event stream."""
        self._error += data[: MAX_ERROR_BYTES - len(self._error)]

    def error_message(self) -> str:
        return error_message(self._error)
