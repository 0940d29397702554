"""One HTTP response, parsed by llhttp; body bytes go on as they come."""

import json
from typing import Any

import httptools

from tui.model.text import sanitize

MAX_ERROR_BYTES = 1 << 16


class BadResponseError(Exception):
    """What came is not HTTP, or its framing is broken."""


class Response:
    """Feed it bytes; it says when the head is there, hands the body on, and knows when the message is over."""

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
        """The parser found a header."""
        name = name.lower()
        if name == b"content-type":
            self.content_type = value.lower()
        elif name in (b"content-length", b"transfer-encoding"):
            self.until_close = False

    def on_headers_complete(self) -> None:
        """The parser found the end of the head; that of a 1xx answer is not the one that counts."""
        self.head_complete = self._parser.get_status_code() >= 200

    def on_message_complete(self) -> None:
        """The parser found the end of the message. It knows only here whether the connection stays."""
        self.complete = self.head_complete
        self.keep_alive = self.complete and bool(self._parser.should_keep_alive()) and not self.until_close

    @property
    def status(self) -> int:
        """The status code."""
        return int(self._parser.get_status_code())

    @property
    def is_stream(self) -> bool:
        """Whether the body is a stream of events."""
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

    def let_go(self) -> None:
        """Free the parser, which holds this object as this object holds it: only the collector would free both."""
        del self._parser

    def keep_error(self, data: bytes) -> None:
        """Gather the start of a body that is not a stream."""
        self._error += data[: MAX_ERROR_BYTES - len(self._error)]

    def error_words(self) -> str:
        """What the server said was wrong, in whichever shape it says so, cleaned."""
        try:
            told = json.loads(bytes(self._error))
        except (ValueError, RecursionError):
            return sanitize(self._error.decode("utf-8", "replace"))
        if isinstance(told, dict):
            error = told.get("error") or told.get("message") or told.get("detail") or told
            told = error.get("message", error) if isinstance(error, dict) else error
        return sanitize(told)
