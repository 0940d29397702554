"""What flows: a frame from one lane's driver ten times a second, and a batch from the session to its listeners."""

import msgspec

from tui.records.rows import EventRow, GaugeRow, Lane, RequestRow, SecondRow

FRAME_PERIOD_S = 0.1


class Chunks(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Packed columns of output chunks in order of arrival, little-endian, all of one length.

    `request`: int64, `t_ns`: int64, `tokens`: int32. Read them with `numpy.frombuffer`.
    """

    request: bytes = b""
    t_ns: bytes = b""
    tokens: bytes = b""


class Frame(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """What one driver saw since its last frame. Counters named `*_total` run from the driver's start."""

    t_ns: int  # nothing before this moment is still to come
    segment: int  # of the dials in force now
    concurrency: int
    in_flight: int
    requests: list[RequestRow]
    chunks: Chunks
    sent_t_ns: bytes  # int64: when each request since the last frame was sent
    first_t_ns: bytes  # int64: when each first output arrived
    first_prompt_tokens: bytes  # int64: prompt tokens of those same requests
    due_total: int  # requests that were due, for intended against achieved
    started_total: int
    cpu_s_total: float  # of the driver process
    loop_lag_ms: float  # the worst since the last frame
    merged_reads: int
    rss_bytes: int
    bound: str  # empty, or why the client is the limit
    down: str  # empty, or why nothing can be sent
    ramping: bool = False  # a closed loop is on its way to the streams asked for


class Batch(msgspec.Struct):
    """Rows that became known together. Live, replay, recorder, screen and verdict all read these."""

    t_ns: int  # nothing before this moment is still to come
    requests: list[RequestRow] = []
    chunks: list[tuple[Lane, Chunks]] = []
    seconds: list[SecondRow] = []
    gauges: list[GaugeRow] = []
    events: list[EventRow] = []
