"""How an answer ends: kinds 1 (what did not end well counts as good) and 2 (the end ends the last event)."""

from tests.odd.server import (
    DONE,
    EVENT_STREAM,
    LAST_CHUNK,
    Exchange,
    OddServer,
    Right,
    chunk,
    delta,
    event,
    head,
    raw,
    stream,
    usage,
    words,
)

SOME = words(3, finish=None)
SIX = words(6)


def failed(text: str = "", cause: str = "") -> Right:
    return Right(measurable=False, outcome="failed", words=text, cause=cause)


async def short_of_its_length(exchange: Exchange) -> None:
    """Finish and usage arrive; the length promises more, as when a proxy's upstream dies."""
    body = b"".join([*SIX, usage(6)])
    await exchange.send(head(EVENT_STREAM, f"Content-Length: {len(body) + 40}", chunked=False), body)
    exchange.then = "close"


ENDINGS = [
    OddServer(1, "finish reason abort", stream(*SOME, delta("abort"), usage(3), DONE), failed("abort")),
    OddServer(1, "finish reason timeout", stream(*words(6, "timeout"), usage(6), DONE), failed("timeout")),
    OddServer(
        1,
        "error after the finish reason",
        stream(*words(4, "stop"), event({"error": {"message": "lost the KV transfer", "code": 500}}), DONE),
        failed("lost the KV transfer"),
    ),
    OddServer(
        1,
        "error inside a choice",
        stream(
            *SOME,
            event(
                {
                    "choices": [
                        {
                            "index": 0,
                            "delta": {"content": ""},
                            "finish_reason": "error",
                            "error": {"code": 502, "message": "provider is overloaded"},
                        }
                    ]
                }
            ),
            DONE,
        ),
        failed("provider is overloaded"),
    ),
    OddServer(
        1,
        "typed error event",
        stream(*SOME, event({"type": "error", "code": 529, "message": "over capacity"}), DONE),
        failed("over capacity"),
    ),
    OddServer(
        1,
        "error under detail",
        stream(*SOME, event({"detail": "the engine loop has died"}), DONE),
        failed("the engine loop has died"),
    ),
    OddServer(1, "finish without output", stream(delta(role="assistant"), delta("stop"), usage(0), DONE), failed()),
    OddServer(
        1,
        "content filter",
        stream(*SOME, delta("content_filter"), usage(3), DONE),
        Right(measurable=False, outcome="refused", words="content_filter|content filter"),
    ),
    OddServer(1, "no finish and no end mark", stream(*SIX[:-1], usage(5)), failed(cause="cut short")),
    OddServer(
        1, "no last chunk after the finish", stream(*SIX, usage(6), end=b"", then="close"), failed(cause="cut short")
    ),
    OddServer(1, "shorter than its length", short_of_its_length, failed(cause="cut short")),
]


def with_ends(line_end: bytes, *events: bytes) -> list[bytes]:
    return [each.replace(b"\n", line_end) for each in events]


def cut_at_line_ends(*events: bytes) -> list[bytes]:
    """CRLF line ends, cut between their two bytes, and other fields around the data."""
    text = b"".join(b"id: 7\nevent: message\n" + each for each in events).replace(b"\n", b"\r\n")
    pieces = text.split(b"\r")
    return [pieces[0] + b"\r", *(piece + b"\r" for piece in pieces[1:-1]), pieces[-1]]


UNTIL_CLOSE = head(EVENT_STREAM, "Connection: close", chunked=False)
LAST_EVENTS = [
    OddServer(2, "CR alone", stream(*with_ends(b"\r", *SIX, usage(6), DONE)), Right(tokens=6, chunks=6)),
    OddServer(2, "byte order mark", stream(b"\xef\xbb\xbf" + SIX[0], *SIX[1:], DONE), Right(tokens=6, chunks=6)),
    OddServer(
        2,
        "finish at the end of the connection",
        raw(UNTIL_CLOSE, *with_ends(b"\r\n", *SIX[:-1], SIX[-1].rstrip())),
        Right(tokens=6, chunks=6),
    ),
    OddServer(
        2,
        "usage without a line end",
        stream(*(each.replace(b"data: ", b"data:") for each in [*SIX, usage(12).rstrip()])),
        Right(tokens=12, chunks=6),
    ),
    OddServer(
        2, "cut inside CRLF", stream(*cut_at_line_ends(*SIX, usage(6), DONE), gap_s=0.0005), Right(tokens=6, chunks=6)
    ),
    OddServer(
        2,
        "error without a line end",
        stream(*SIX, event({"error": {"message": "no memory for the last block"}}).rstrip()),
        failed("no memory for the last block"),
    ),
    OddServer(
        2,
        "end mark glued to the last chunk",
        raw(head(), *map(chunk, SIX), chunk(usage(12).rstrip() + b"\n\ndata: [DONE]") + LAST_CHUNK, then="keep"),
        Right(tokens=12, chunks=6),
    ),
]
