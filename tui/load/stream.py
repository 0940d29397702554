"""One request in flight, from the moment it was due to its row."""

import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass

from tui.load.http import BadResponseError, Response
from tui.load.prompts import Wanted
from tui.load.socket import Wire, WireError, on_grid
from tui.load.sse import BadEventsError, EventReader
from tui.model.profile import Endpoint
from tui.model.rows import Cause, Lane, Outcome, RequestRow, Stamp

TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Ticket:
    """What is known of a request before it is sent."""

    lane: Lane
    wanted: Wanted
    segment: int
    t_sched_ns: int
    endpoint: Endpoint
    steps: bool = False  # `EventReader.steps`


class ChunkSink:
    """Where streams put what arrived; the next frame takes it."""

    __slots__ = ("first_prompt_tokens", "first_t_ns", "merged_reads", "request", "sent_t_ns", "t_ns", "tokens")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin a new frame."""
        self.request, self.t_ns, self.tokens = array("q"), array("q"), array("i")
        self.sent_t_ns, self.first_t_ns, self.first_prompt_tokens = array("q"), array("q"), array("q")
        self.merged_reads = 0


class Stream:
    """Reads the answer to one request. `ended` is called once, with its row and the wire if it may be used again."""

    __slots__ = (
        *("heard_ns", "request_bytes", "ticket", "wire"),
        *("_connect_ms", "_t_send_ns", "_first_ns", "_last_ns"),
        *("_ended", "_events", "_is_over", "_is_retry", "_kernel", "_response", "_sink"),
        *("_told_prompt", "_told_tokens", "_touched"),
    )

    def __init__(
        self,
        ticket: Ticket,
        request_bytes: bytes,
        sink: ChunkSink,
        ended: "Ended",
        *,
        retry_of: "Stream | None" = None,
    ) -> None:
        self.ticket, self.request_bytes = ticket, request_bytes
        self.wire: Wire | None = None
        self.heard_ns = time.monotonic_ns()  # when something of it last moved: the read time-out counts from here
        self._sink, self._ended = sink, ended
        self._events = EventReader(ticket.endpoint, ticket.steps)
        self._response = Response()
        self._connect_ms: float | None = None
        self._t_send_ns: int | None = retry_of._t_send_ns if retry_of is not None else None
        self._first_ns: int | None = None
        self._last_ns: int | None = None
        self._kernel = True
        self._is_over = False
        self._is_retry = retry_of is not None
        self._touched = False
        self._told_prompt = self._told_tokens = 0

    def keep_text(self) -> None:
        """Keep the answer's words, which costs a decoding of every event: for a second opinion, never for load."""
        self._events.text = []

    @property
    def text(self) -> str:
        """What was kept of the answer's words."""
        return "".join(self._events.text or ())

    def begin(self, wire: Wire, connect_ms: float | None) -> None:
        """Send the request on an open wire."""
        self.wire, self._connect_ms = wire, connect_ms
        wire.reader = self
        self._t_send_ns = self.heard_ns = time.monotonic_ns()
        if not self._is_retry:  # one request, one start: what is in flight is counted from these
            self._sink.sent_t_ns.append(self._t_send_ns)
        try:
            wire.send(self.request_bytes)
        except WireError as error:
            wire.reader = None
            wire.close()
            self.closed(error)

    @property
    def may_be_retried(self) -> bool:
        """Whether a kept-alive wire that the server had closed already is the likely reason for its end."""
        sent_on_used_wire = self._t_send_ns is not None and self._connect_ms is None
        return sent_on_used_wire and not self._touched and not self._is_retry

    @property
    def progress(self) -> float:
        """How much of the answer that was asked for has come, 0 to 1."""
        return min(self._told_tokens / self.ticket.wanted.output_tokens, 1.0)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or not."""
        return self._is_over

    @property
    def is_said(self) -> bool:
        """Whether the end mark has come, though perhaps not the end of the message."""
        return self._events.done

    def received(self, data: bytes, t_ns: int, kernel: bool) -> None:
        """Bytes of the answer."""
        response = self._response
        self._touched = True
        try:
            response.feed(data)
            if response.body:
                self._body(response.take_body(), t_ns, kernel)
            elif response.head_complete and self.heard_ns == self._t_send_ns:
                self.heard_ns = t_ns
        except BadResponseError as error:
            self.fail("bad framing", str(error))
            return
        except BadEventsError as error:
            self.fail("bad framing", str(error))
            return
        if response.complete and not self._is_over:
            self._complete()

    def _body(self, body: bytes, t_ns: int, kernel: bool) -> None:
        if self._response.status != 200 or not self._response.is_stream:
            self._response.keep_error(body)
            return
        events = self._events
        before = events.chunks
        events.feed(body)
        arrived = events.chunks - before
        if arrived:
            self._output(events.tokens, t_ns, kernel)
            if arrived > 1:
                self._sink.merged_reads += 1

    def _output(self, tokens: int, t_ns: int, kernel: bool) -> None:
        sink = self._sink
        self.heard_ns = t_ns = on_grid(t_ns)
        if not kernel:
            self._kernel = False
        if self._first_ns is None:
            self._first_ns = t_ns
            sink.first_t_ns.append(t_ns)
            self._told_prompt = self._events.prompt_tokens or self.ticket.wanted.prompt_tokens
            sink.first_prompt_tokens.append(self._told_prompt)
        self._last_ns = t_ns
        if tokens:
            self._told_tokens += tokens
            sink.request.append(self.ticket.wanted.number)
            sink.t_ns.append(t_ns)
            sink.tokens.append(tokens)

    def closed(self, error: WireError | None) -> None:
        """The wire ended before the answer did."""
        self.wire = None
        if self._response.until_close and self._response.head_complete and error is None:
            self._complete()
        elif error is not None:
            self._end("failed", error.cause, error.detail)
        else:
            what = "in mid-stream" if self._response.head_complete else "without an answer"
            self._end("failed", "cut short" if self._response.head_complete else "reset", f"closed {what}")

    def fail(self, cause: Cause, detail: str) -> None:
        """Give the request up for a reason of ours: a time-out, a broken answer, no connection."""
        self._end("failed", cause, detail)

    def leave(self) -> None:
        """All is said and the server does not end the message: the answer counts, the wire is closed."""
        self._complete()

    def cancel(self) -> None:
        """The operator does not want it any more; the server sees the connection close."""
        self._end("cancelled", "cancelled", "")

    def _complete(self) -> None:
        """The whole answer is there: good, or an error of the server's."""
        response, events = self._response, self._events
        if response.status != 200:
            cause: Cause = (
                "http 429" if response.status == TOO_MANY else "http 4xx" if response.status < 500 else "http 5xx"
            )
            self._end("failed", cause, f"{response.status}: {response.error_words()}", reusable=True)
        elif not response.is_stream:
            words = response.error_words()
            self._end("failed", "bad answer", f"it does not stream: {words}"[:200], reusable=True)
        elif events.error:
            self._end("failed", "error in stream", events.error, reusable=True)
        elif not events.done and not events.finish_reason:
            self._end("failed", "cut short", "the stream ended without a finish reason or an end mark")
        elif self._first_ns is None:
            self._end("failed", "no output", "the stream ended without a token", reusable=True)
        else:
            self._settle_count()
            self._end("ok", "", "", reusable=True)

    def _settle_count(self) -> None:
        """What only the usage at the end tells of is put with the last chunk, so that the sums agree.

        It is less than nothing where more chunks came than tokens.
        """
        events, sink = self._events, self._sink
        missing = events.completion_tokens - self._told_tokens if events.has_usage else 0
        if missing and self._last_ns is not None:
            sink.request.append(self.ticket.wanted.number)
            sink.t_ns.append(self._last_ns)
            sink.tokens.append(missing)
        known = events.prompt_tokens
        if known is not None and known != self._told_prompt and self._last_ns is not None:
            sink.first_t_ns.append(self._last_ns)
            sink.first_prompt_tokens.append(known - self._told_prompt)

    def _end(self, outcome: Outcome, cause: Cause, detail: str, *, reusable: bool = False) -> None:
        if self._is_over:
            return
        self._is_over = True
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.reader = None
            if not (reusable and self._response.keep_alive and self._response.complete):
                wire.close()
                wire = None
        row = self._row(outcome, cause, detail)
        self._response.let_go()
        self._ended(self, row, wire)

    def _row(self, outcome: Outcome, cause: Cause, detail: str) -> RequestRow:
        wanted, events = self.ticket.wanted, self._events
        stamp: Stamp = "kernel" if self._kernel and self._first_ns is not None else "user"
        return RequestRow(
            lane=self.ticket.lane,
            request=wanted.number,
            segment=self.ticket.segment,
            t_sched_ns=self.ticket.t_sched_ns,
            t_send_ns=self._t_send_ns,
            t_first_ns=self._first_ns,
            t_last_ns=self._last_ns,
            t_end_ns=time.monotonic_ns(),
            connect_ms=self._connect_ms,
            prompt_tokens_asked=wanted.prompt_tokens,
            prompt_tokens=events.prompt_tokens,
            cached_tokens=events.cached_tokens,
            output_tokens_asked=wanted.output_tokens,
            output_tokens=events.completion_tokens if events.has_usage else events.chunks,
            tokens_from="chunks" if not events.has_usage else "usage" if events.usage_each else "usage at end",
            chunks=events.chunks,
            k_first=events.k_first,
            finish_reason=events.finish_reason,
            outcome=outcome,
            http_status=self._response.status if self._response.head_complete else None,
            cause=cause,
            detail=detail,
            stamp=stamp,
        )


Ended = Callable[[Stream, RequestRow, Wire | None], None]
