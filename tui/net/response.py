"""One HTTP response that should be an event stream: llhttp parses it, and body bytes go on as they arrive."""

from collections.abc import Callable
from typing import Any

import httptools

from tui.model.text import sanitize
from tui.net.coding import CodingError, decoder
from tui.net.http import error_message
from tui.net.sse import BadEventsError, EventReader

MAX_ERROR_BYTES = 1 << 16
# How a body of events begins: with a field, a comment or a byte order mark. JSON and HTML begin otherwise.
_EVENT_STARTS = b"deir:\xef"


class BadResponseError(Exception):
    """Not HTTP, broken framing, or a body that cannot be read."""


class Response:
    """Feed it bytes; it knows when the head and the message are complete, and hands the body to the event reader.

    A body of events is a stream under whatever content type, as the official client reads it; anything else is
    collected for its words.
    """

    __slots__ = (
        "_coding",
        "_decode",
        "_error",
        "_parser",
        "body",
        "complete",
        "content_type",
        "events",
        "head_complete",
        "is_stream",
        "keep_alive",
        "location",
        "on_body",
        "unreadable",
        "until_close",
    )

    def __init__(self, events: EventReader) -> None:
        self.events = events
        self.body: list[bytes] = []  # pieces of the body since the last `feed`
        self.head_complete = False
        self.complete = False
        self.keep_alive = False  # whether the connection may carry another request
        self.content_type = b""
        self.location = b""  # of a redirect
        self.until_close = True  # the body ends when the connection does
        self.is_stream: bool | None = None  # None until the body begins
        self.unreadable = ""  # why nobody can read the body
        self.on_body = self.body.append  # called by the parser for each piece: a bound list method is the cheapest
        self._coding = ""
        self._decode: Callable[[bytes], bytes] | None = None
        self._error = bytearray()
        self._parser: Any = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"content-type":
            self.content_type = value.lower()
        elif name in (b"content-length", b"transfer-encoding"):
            self.until_close = False
        elif name == b"content-encoding":
            self._coding = value.decode("latin-1")
        elif name == b"location":
            self.location = value

    def on_headers_complete(self) -> None:
        """Called by the parser; the head of a 1xx answer does not count."""
        self.head_complete = self._parser.get_status_code() >= 200
        try:
            self._decode = decoder(self._coding)
        except CodingError as error:
            self.unreadable, self.is_stream = sanitize(error), False

    def on_message_complete(self) -> None:
        """Called by the parser, which knows only here whether the connection stays open."""
        self.complete = self.head_complete
        self.keep_alive = self.complete and bool(self._parser.should_keep_alive()) and not self.until_close

    @property
    def status(self) -> int:
        return int(self._parser.get_status_code())

    def feed(self, data: bytes) -> None:
        """Parse, and let the event reader read the body. Raises BadResponseError."""
        body = self.body
        try:
            self._parser.feed_data(data)
            if body:
                data = body[0] if len(body) == 1 else b"".join(body)
                body.clear()
                if self._decode is not None:
                    data = self._decode(data)
                if self.is_stream:
                    self.events.feed(data)
                else:
                    self._begin_body(data)
            if self.complete and self.is_stream:
                self.events.end()
        except httptools.HttpParserError as error:
            raise BadResponseError(sanitize(error)) from error
        except (BadEventsError, CodingError) as error:
            raise BadResponseError(str(error)) from error

    def close(self) -> bool:
        """The connection was closed: whether that ends the message as it should. Raises BadResponseError."""
        if not (self.head_complete and self.until_close):
            return False
        self.complete = True
        if self.is_stream:
            try:
                self.events.end()
            except BadEventsError as error:
                raise BadResponseError(str(error)) from error
        return True

    def _begin_body(self, data: bytes) -> None:
        """Look whether the body is one of events, and collect the start of any other."""
        if self.is_stream is None and (start := data.lstrip()[:1]):
            declared = self.content_type.strip().startswith(b"text/event-stream")
            self.is_stream = self.status == 200 and (declared or start in _EVENT_STARTS)
            if self.is_stream:
                self.events.feed(data)
                return
        self._error += data[: MAX_ERROR_BYTES - len(self._error)]

    def release(self) -> None:
        """Free the parser: it and this object refer to each other, and only the garbage collector would free them."""
        del self._parser

    @property
    def error_body(self) -> bytes:
        """The start of a body that is no stream."""
        return bytes(self._error)

    def error_message(self) -> str:
        return error_message(self._error)
