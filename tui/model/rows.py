"""The rows (one request, one second, one gauge reading, one event), and the frames and batches that carry them.

Every `*_ns` is an integer of the session's monotonic clock (`time.monotonic_ns`), every `*_ms` a float of
milliseconds. Arrivals of output (`t_first_ns`, `t_last_ns`, a chunk's `t_ns`) are on a grid of 1,024 ns. Rows are
`array_like`, so that a row on the pipe between processes is a plain list of values. The fields of a row are also the
columns of its table in a recording.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

from tui.model.text import sanitize

Lane = Literal["a", "b"]
LANES: tuple[Lane, ...] = ("a", "b")

Outcome = Literal["ok", "failed", "cancelled", "refused"]  # refused: the content filter ended it
Stamp = Literal["kernel", "user"]
TokensFrom = Literal["usage", "usage at end", "spread", "chunks", "chunks, not usage"]

AT_ONCE_NS: Final = 100_000  # no engine sends 10,000 chunks a second on one stream; a buffer that is emptied does

Cause = Literal[
    "",  # nothing went wrong
    "dns",
    "refused",
    "unreachable",
    "connect timeout",
    "tls",
    "reset",
    "read timeout",
    "http 4xx",
    "http 429",
    "http 5xx",
    "redirect",
    "error in stream",
    "cut short",  # the stream ended before it was finished
    "bad framing",  # broken chunked encoding, or an event line over the limit
    "bad answer",  # not a stream, or not what the API specifies
    "bad finish",  # its finish reason is none of a good answer
    "no output",  # it ended well and carried no token
    "content filter",
    "cancelled",
]


class RequestRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One request in one lane, written when it ended, however it ended.

    A time is None when that moment never came, so that no failed request becomes a latency by accident.
    `prompt_tokens` and `output_tokens` are the server's counts unless `tokens_from` is `chunks`, because it counts
    none, or `chunks, not usage`, because it cannot be true (`net.sse`). With `usage` they come with every chunk;
    with `usage at end` only the totals. `spread` is the same of an answer whose chunks held several tokens: while it
    arrives they count by estimate, after the fact its total is spread over them (`judge.token_counts`). `k_first` are
    the tokens up to the end of the first chunk, hidden ones included.
    """

    lane: Lane
    request: int
    segment: int
    t_sched_ns: int
    t_send_ns: int | None
    t_first_ns: int | None
    t_last_ns: int | None
    t_end_ns: int
    connect_ms: float | None
    prompt_tokens_asked: int
    prompt_tokens: int | None
    cached_tokens: int | None
    output_tokens_asked: int
    output_tokens: int
    tokens_from: TokensFrom
    chunks: int
    k_first: int
    finish_reason: str
    outcome: Outcome
    http_status: int | None
    cause: Cause
    detail: str  # the server's words, sanitized and cut; empty when all went well
    stamp: Stamp
    reads: int | None = None  # that brought output; those less than `AT_ONCE_NS` apart are one
    text_bytes: int | None = None  # of the output, about: of ordinary events what their common frame leaves
    hidden_tokens: int = 0  # of the output tokens those that were counted and never sent, before the first chunk
    conversation: int | None = None  # of a traffic file: its place in the list, the same in both lanes
    turn: int | None = None  # which request of its conversation, from 0


class SecondRow(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """One second in one lane, from `t_ns`. Percentiles are of requests (ITL: chunks) that ended in it."""

    lane: Lane
    t_ns: int
    segment: int
    concurrency: int  # streams asked for; 0 under an arrival rate
    in_flight: int  # at the end of the second
    started: int
    finished: int
    failed: int
    output_tokens: int  # that arrived in this second
    prompt_tokens: int  # of requests whose first token arrived in this second
    ttft_p50_ms: float | None = None
    ttft_p95_ms: float | None = None
    ttft_p99_ms: float | None = None
    tpot_p50_ms: float | None = None
    tpot_p95_ms: float | None = None
    tpot_p99_ms: float | None = None
    itl_p50_ms: float | None = None
    itl_p95_ms: float | None = None
    itl_p99_ms: float | None = None
    e2e_p50_ms: float | None = None
    e2e_p95_ms: float | None = None
    e2e_p99_ms: float | None = None
    client_cpu_s: float = 0.0  # spent by the lane's driver in this second
    loop_lag_ms: float = 0.0  # the largest in this second
    merged_reads: int = 0  # reads that merged several TCP segments: only the last one's timestamp is known
    bound: bool = False  # the client was the limit: no verdict on this second
    up: bool = True
    resting: bool = False  # the lanes take turns, and this second is not one of this lane's
    reads: int = 0  # that contained output, merged or not


class GaugeRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One reading of a server (`source` is `server`) or a GPU (`gpu0`, `gpu1`, …). Names: `model.gauges`."""

    lane: Lane
    source: str
    name: str
    t_ns: int
    value: float


EventKind = Literal[
    "start",  # text: the server that was detected
    "adapted",  # text: what is done otherwise for it
    "dial",  # name, old, new
    "settled",  # figures count from here, until the next dial is turned
    "down",  # text: why
    "up",
    "bound",  # new: "on" or "off"; text: why
    "limits",  # old, new: latency limits as `ttft:500 tpot:30`; empty: none
    "verdict",  # on the throughput. name: of its method; old, new: word, empty where nothing is sure; text: in full
    "incomparable",  # text: what makes the lanes incomparable; empty: nothing any longer
    "slowed",  # too many requests of a lane failed: text
    "fault",  # something other than the load failed: a scrape, a GPU reading, the recorder
    "mark",  # text
    "note",  # text
    "plan",  # a plan step began, paused or ended
    "data",  # name: "again" or "through", what became of the traffic file
    "end",  # text: how it ended
]


class EventRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something happened. `lane` is empty when it concerns both."""

    lane: Literal["a", "b", ""]
    t_ns: int
    kind: EventKind
    name: str = ""
    old: str = ""
    new: str = ""
    text: str = ""


FRAME_PERIOD_S = 0.1


class Chunks(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Packed columns of output chunks in order of arrival, little-endian, all of one length.

    `request`: int64, `t_ns`: int64, `tokens`, `text_bytes`, `tokens_estimated`: int32. Read them with
    `numpy.frombuffer`. Where a server counts only at the end, each chunk is one of `tokens`, and the last entry
    of an answer, which brings no text, is the rest. `tokens_estimated`: what counts live; empty: all as `tokens`.
    """

    request: bytes = b""
    t_ns: bytes = b""
    tokens: bytes = b""
    text_bytes: bytes = b""
    tokens_estimated: bytes = b""

    @property
    def live_tokens(self) -> bytes:
        """What counts live."""
        return self.tokens_estimated or self.tokens


class Frame(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """What one driver measured since its last frame, every 0.1 s. `*_total` count from the driver's start."""

    t_ns: int  # all before this moment is complete
    segment: int  # of the dials in force now
    concurrency: int
    in_flight: int
    requests: list[RequestRow]
    chunks: Chunks
    sent_t_ns: bytes  # int64: when each request since the last frame was sent
    first_t_ns: bytes  # int64: when each first output arrived
    first_prompt_tokens: bytes  # int64: prompt tokens of the requests in `first_t_ns`
    due_total: int  # requests that were due, for intended against achieved
    started_total: int
    cpu_s_total: float  # of the driver process
    loop_lag_ms: float  # the largest since the last frame
    merged_reads: int
    rss_bytes: int
    bound: str  # empty, or why the client is the limit
    down: str  # empty, or why nothing can be sent
    ramping: bool = False  # a closed loop has not yet started all its streams
    counted: bytes = b""  # int64: requests whose chunks say from now on how many tokens they bring
    position: int = 0  # where the list of requests goes on
    dropped_total: int = 0  # rows of a traffic file that were left out
    through: bool = False  # the traffic file was played to its end, and the last answers are in


class Batch(msgspec.Struct):
    """Rows that became known together: what the session gives to recorder, screen and verdict, live or replayed."""

    t_ns: int  # all before this moment is complete
    requests: list[RequestRow] = []
    chunks: list[tuple[Lane, Chunks]] = []
    seconds: list[SecondRow] = []
    gauges: list[GaugeRow] = []
    events: list[EventRow] = []


TableName = Literal["requests", "chunks", "seconds", "gauges", "events"]
TABLES: tuple[TableName, ...] = get_args(TableName)

ROW_OF: Final[dict[str, type[msgspec.Struct]]] = {
    "requests": RequestRow,
    "seconds": SecondRow,
    "gauges": GaugeRow,
    "events": EventRow,
}

NOTE: Final = "note: "  # how an operator's text begins that is a note


def mark_event(t_ns: int, text: str) -> EventRow:
    kind: EventKind = "note" if text.startswith(NOTE) else "mark"
    return EventRow("", t_ns, kind, text=sanitize(text.removeprefix(NOTE)))
