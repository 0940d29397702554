"""One request in flight, from its due time to its row."""

import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass

from tui.load.requests import RequestSpec
from tui.model.profile import Endpoint
from tui.model.rows import AT_ONCE_NS, Cause, Chunks, Lane, Outcome, RequestRow, Stamp, TokensFrom
from tui.net.ending import FINISH_REASONS, ending, ending_when_closed, ending_when_cut
from tui.net.response import BadResponseError, Response
from tui.net.socket import Wire, WireError, round_down_to_grid
from tui.net.sse import EventReader

REMEMBERED = 0.97  # the weight of an answer when the next one has ended


@dataclass(frozen=True, slots=True)
class Ticket:
    """What is known of a request before it is sent."""

    lane: Lane
    spec: RequestSpec
    segment: int
    t_sched_ns: int
    endpoint: Endpoint
    count_empty_chunks: bool = False  # see `EventReader`
    finish_reasons: frozenset[str] = FINISH_REASONS  # of a good answer


class ChunkSink:
    """Columns to which streams append what arrived, emptied into each frame."""

    __slots__ = (
        *("counted", "first_prompt_tokens", "first_t_ns", "merged_reads", "request", "sent_t_ns", "t_ns", "tokens"),
        *("text_bytes", "tokens_a_chunk", "_learnt_chunks", "_learnt_tokens"),
    )

    def __init__(self) -> None:
        self.tokens_a_chunk = 1.0  # of answers that ended, for those whose count comes at the end
        self._learnt_tokens = self._learnt_chunks = 0.0
        self.clear()

    def learn(self, tokens: int, chunks: int) -> None:
        """Take in an answer that was counted at its end. The 30th one before it weighs 0.4 of it."""
        self._learnt_tokens = self._learnt_tokens * REMEMBERED + tokens
        self._learnt_chunks = self._learnt_chunks * REMEMBERED + chunks
        self.tokens_a_chunk = max(self._learnt_tokens / self._learnt_chunks, 1.0)

    def chunks(self) -> Chunks:
        """The columns as they travel."""
        columns = (self.request, self.t_ns, self.tokens, self.text_bytes)
        return Chunks(*(column.tobytes() for column in columns))

    def clear(self) -> None:
        self.request, self.t_ns, self.tokens, self.text_bytes = array("q"), array("q"), array("i"), array("i")
        self.counted = array("q")  # requests whose chunks have begun to say how many tokens there are
        self.sent_t_ns, self.first_t_ns, self.first_prompt_tokens = array("q"), array("q"), array("q")
        self.merged_reads = 0


class Stream:
    """Reads the answer to one request. Calls `ended` once, with the row, and the wire if it may be used again."""

    __slots__ = (
        *("heard_ns", "request_bytes", "ticket", "wire"),
        *("_connect_ms", "_t_send_ns", "_first_ns", "_last_ns"),
        *("_ended", "_events", "_is_over", "_is_retry", "_kernel", "_response", "_sink"),
        *("_prompt_reported", "_tokens_reported", "_bytes_reported", "_has_bytes", "_is_counted", "_reads"),
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
        self.heard_ns = time.monotonic_ns()  # when anything last happened: the read timeout counts from here
        self._sink, self._ended = sink, ended
        self._events = EventReader(ticket.endpoint, ticket.count_empty_chunks)
        self._response = Response(self._events)
        self._connect_ms: float | None = None
        self._t_send_ns: int | None = retry_of._t_send_ns if retry_of is not None else None
        self._first_ns: int | None = None
        self._last_ns: int | None = None
        self._kernel = True
        self._is_over = False
        self._is_retry = retry_of is not None
        self._has_bytes = False
        self._is_counted = False
        self._prompt_reported = self._tokens_reported = self._bytes_reported = self._reads = 0

    def collect_text(self) -> None:
        """Collect the answer's text, to compare with other clients; never under load: it decodes every event."""
        self._events.text = []

    @property
    def text(self) -> str:
        """The collected text."""
        return "".join(self._events.text or ())

    def begin(self, wire: Wire, connect_ms: float | None) -> None:
        self.wire, self._connect_ms = wire, connect_ms
        wire.reader = self
        self._t_send_ns = self.heard_ns = time.monotonic_ns()
        if not self._is_retry:  # one start per request: the number in flight is counted from these
            self._sink.sent_t_ns.append(self._t_send_ns)
        try:
            wire.send(self.request_bytes)
        except WireError as error:
            wire.reader = None
            wire.close()
            self.closed(error)

    @property
    def may_be_retried(self) -> bool:
        """Whether it probably failed because the server had already closed a kept-alive connection."""
        sent_on_used_wire = self._t_send_ns is not None and self._connect_ms is None
        return sent_on_used_wire and not self._has_bytes and not self._is_retry

    @property
    def progress(self) -> float:
        """Share of the requested tokens that have arrived, 0 to 1."""
        a_chunk = 1.0 if self._is_counted else self._sink.tokens_a_chunk
        return min(self._tokens_reported * a_chunk / self.ticket.spec.output_tokens, 1.0)

    @property
    def is_over(self) -> bool:
        return self._is_over

    @property
    def saw_done(self) -> bool:
        """Whether the end mark has arrived, perhaps without the end of the HTTP message."""
        return self._events.done

    def received(self, data: bytes, t_ns: int, kernel: bool) -> None:
        response, events = self._response, self._events
        self._has_bytes = True
        self.heard_ns = t_ns
        before = events.chunks
        try:
            response.feed(data)
        except BadResponseError as error:
            self._end(*ending_when_cut(response, "bad framing", str(error)))
            return
        if arrived := events.chunks - before:
            self._output(arrived, t_ns, kernel)
        if response.complete and not self._is_over:
            self._complete()

    def _output(self, chunks: int, t_ns: int, kernel: bool) -> None:
        """Take in the output of one read. A chunk without a count is one token, until the count at the end."""
        sink, events = self._sink, self._events
        t_ns = round_down_to_grid(t_ns)
        if not kernel:
            self._kernel = False
        if self._first_ns is None:
            self._first_ns = t_ns
            sink.first_t_ns.append(t_ns)
            self._prompt_reported = events.prompt_tokens or self.ticket.spec.prompt_tokens
            sink.first_prompt_tokens.append(self._prompt_reported)
        if self._last_ns is None or t_ns - self._last_ns > AT_ONCE_NS:
            self._reads += 1
        self._last_ns = t_ns
        tokens = chunks
        if events.usage_each:
            tokens = events.tokens
            if not self._is_counted:
                self._is_counted = True
                sink.counted.append(self.ticket.spec.number)
        if tokens:
            self._tokens_reported += tokens
            sink.request.append(self.ticket.spec.number)
            sink.t_ns.append(t_ns)
            sink.tokens.append(tokens)
            sink.text_bytes.append(events.text_bytes - self._bytes_reported)
            self._bytes_reported = events.text_bytes
            if chunks > 1:
                sink.merged_reads += 1

    def closed(self, error: WireError | None) -> None:
        self.wire = None
        response, events = self._response, self._events
        if error is not None:
            self._end(*ending_when_cut(response, error.cause, error.detail))
            return
        before, events.tokens = events.chunks, 0
        try:
            is_whole = response.close()
        except BadResponseError as broken:
            self._end(*ending_when_cut(response, "bad framing", str(broken)))
            return
        if events.chunks > before:
            self._output(events.chunks - before, self.heard_ns, kernel=True)
        if is_whole:
            self._complete()
        else:
            self._end(*ending_when_closed(response))

    def fail(self, cause: Cause, detail: str) -> None:
        """Give up for a reason on our side: a timeout, a broken answer, no connection."""
        self._end("failed", cause, detail)

    def time_out(self, silence_s: float) -> None:
        """Give up after a silence, and say what came before it."""
        if not self._has_bytes:
            came = f"nothing came for {silence_s:g} s"
        elif not self._events.chunks:
            came = f"bytes came, but no output, and then nothing more for {silence_s:g} s"
        else:
            came = f"{self._events.chunks} chunks came, and then nothing more for {silence_s:g} s"
        self._end(*ending_when_cut(self._response, "read timeout", came))

    def finish_early(self) -> None:
        """The server sent the end mark and does not end the message: count the answer and close the wire."""
        self._complete()

    def cancel(self) -> None:
        """Close the connection, so that the server stops."""
        self._end("cancelled", "cancelled", "")

    def _complete(self) -> None:
        """The message is complete: a good answer, or an error of the server."""
        ended = ending(self._response, self.ticket.finish_reasons)
        if ended.outcome == "ok":
            self._correct_counts()
        self._end(*ended, reusable=ended.cause != "cut short")

    def _correct_counts(self) -> None:
        """Add tokens known only from the usage at the end to the last chunk, so that the sums agree.

        The correction is negative where fewer tokens arrived than chunks, and brings no text.
        """
        events, sink = self._events, self._sink
        total = events.completion_tokens if self._believes_usage else events.chunks
        missing = total - self._tokens_reported
        if events.has_usage and not events.usage_each and events.chunks:
            sink.learn(total - min(events.hidden_tokens, total), events.chunks)
        if missing and self._last_ns is not None:
            sink.request.append(self.ticket.spec.number)
            sink.t_ns.append(self._last_ns)
            sink.tokens.append(missing)
            sink.text_bytes.append(0)
        known = events.prompt_tokens
        if known is not None and known != self._prompt_reported and self._last_ns is not None:
            sink.first_t_ns.append(self._last_ns)
            sink.first_prompt_tokens.append(known - self._prompt_reported)

    @property
    def _believes_usage(self) -> bool:
        """Whether there is a count, and one that can be true."""
        return self._events.has_usage and not self._events.counts_too_few

    def _tokens_from(self, shown: int, outcome: Outcome) -> TokensFrom:
        """`shown`: output tokens without hidden ones."""
        if not self._events.has_usage:
            return "chunks"
        if not self._believes_usage:
            return "chunks, not usage"
        if self._events.usage_each:
            return "usage"
        return "spread" if outcome == "ok" and shown > self._events.chunks else "usage at end"

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
        self._response.release()
        self._ended(self, row, wire)

    def _row(self, outcome: Outcome, cause: Cause, detail: str) -> RequestRow:
        spec, events = self.ticket.spec, self._events
        output_tokens = events.completion_tokens if self._believes_usage else events.chunks
        hidden = max(min(events.hidden_tokens, output_tokens - events.k_first), 0)
        stamp: Stamp = "kernel" if self._kernel and self._first_ns is not None else "user"
        return RequestRow(
            lane=self.ticket.lane,
            request=spec.number,
            segment=self.ticket.segment,
            t_sched_ns=self.ticket.t_sched_ns,
            t_send_ns=self._t_send_ns,
            t_first_ns=self._first_ns,
            t_last_ns=self._last_ns,
            t_end_ns=time.monotonic_ns(),
            connect_ms=self._connect_ms,
            prompt_tokens_asked=spec.prompt_tokens,
            prompt_tokens=events.prompt_tokens,
            cached_tokens=events.cached_tokens,
            output_tokens_asked=spec.output_tokens,
            output_tokens=output_tokens,
            tokens_from=self._tokens_from(output_tokens - hidden, outcome),
            chunks=events.chunks,
            k_first=events.k_first + hidden,
            finish_reason=events.finish_reason,
            outcome=outcome,
            http_status=self._response.status if self._response.head_complete else None,
            cause=cause,
            detail=detail,
            stamp=stamp,
            reads=self._reads,
            text_bytes=events.text_bytes,
            hidden_tokens=hidden,
            conversation=None if spec.play is None else spec.play.position,
            turn=None if spec.play is None else spec.play.at,
        )


Ended = Callable[[Stream, RequestRow, Wire | None], None]
