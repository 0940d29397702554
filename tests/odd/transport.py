"""Kind 3: HTTP as gateways, proxies and hosts speak it. Doctor and the load must make the same of it."""

import zlib

from tests.odd.server import (
    DONE,
    EVENT_STREAM,
    MODELS,
    Exchange,
    Handler,
    OddServer,
    Right,
    always,
    chunk,
    head,
    raw,
    stream,
    usage,
    whole,
    words,
)

GOOD = [*words(6), usage(6), DONE]
SIX = Right(tokens=6, chunks=6)


async def deflated(exchange: Exchange) -> None:
    """Each event compressed and flushed by itself."""
    squeeze = zlib.compressobj()
    await exchange.send(head(EVENT_STREAM, "Content-Encoding: deflate"))
    await exchange.output(
        *(chunk(squeeze.compress(each) + squeeze.flush(zlib.Z_SYNC_FLUSH)) for each in GOOD), gap_s=0.002
    )
    await exchange.send(chunk(squeeze.flush()), b"0\r\n\r\n")


BROTLI = b"\x8b\x0a\x80data: \x03" * 9  # nobody decodes it: an example of any coding that we do not know


def by_address(path: str, handler: Handler, there: bytes) -> Handler:
    """One answer at that path, another everywhere else."""

    async def choose(exchange: Exchange) -> None:
        await (handler(exchange) if exchange.path == path else exchange.send(there))

    return choose


MOVED = "/gateway/v1/chat/completions"
HINTS = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"


def extended(data: bytes) -> bytes:
    """A chunk with extensions and a size with leading zeros."""
    return b'%06x;node="a;b";last\r\n%s\r\n' % (len(data), data)


TRANSPORT = [
    OddServer(3, "deflate that nobody asked for", deflated, Right(None, tokens=6, words="compress|deflate")),
    OddServer(
        3,
        "brotli that nobody asked for",
        raw(head(EVENT_STREAM, "Content-Encoding: br"), chunk(BROTLI), b"0\r\n\r\n", then="keep"),
        Right(measurable=False, outcome="failed", words="compress|brotli|br "),
    ),
    OddServer(
        3,
        "308 to a relative address",
        by_address(MOVED, stream(*GOOD), whole("308 Permanent Redirect", b"", "text/plain", f"Location: {MOVED}")),
        Right(None, tokens=6, words="/gateway"),
        paths=("/v1/chat/completions", MOVED),
    ),
    OddServer(
        3,
        "302 to a login page",
        always(whole("302 Found", "<a href='/login'>here</a>", "text/html", "Location: /login?next=%2Fv1")),
        Right(measurable=False, outcome="failed", words="/login"),
        pages={"/login?next=%2Fv1": whole("200 OK", "<html>Sign in</html>", "text/html")},
    ),
    OddServer(
        3,
        "media type with capitals and a parameter",
        stream(*GOOD, before=head(' TEXT/Event-Stream ;Charset="utf-8"')),
        SIX,
    ),
    OddServer(
        3,
        "chunk extensions and trailers",
        raw(head(), *map(extended, GOOD), b"0;last\r\nServer-Timing: total;dur=12\r\n\r\n", then="keep"),
        SIX,
    ),
    OddServer(
        3,
        "interim answers first",
        raw(HINTS, head(), *map(chunk, GOOD), b"0\r\n\r\n", then="keep"),
        SIX,
        pages={"/v1/models": HINTS + whole("200 OK", MODELS)},
    ),
    OddServer(
        3, "until the connection closes, which no header says", raw(head(chunked=False), *GOOD, then="close"), SIX
    ),
    OddServer(
        3,
        "folded and repeated headers",
        stream(*GOOD, before=head(EVENT_STREAM, "X-Trace: a", "X-Trace: b", "Cache-Control: no-cache,\r\n no-store")),
        Right(None, tokens=6, words="header"),
    ),
    OddServer(
        3,
        "chat events from the endpoint for completions",
        stream(*GOOD),
        SIX,
        paths=("/v1/completions",),
        lane={"endpoint": "completions"},
        plan={"endpoint": "completions"},
    ),
    OddServer(
        3,
        "model list of another coding",
        stream(*GOOD),
        Right(None, tokens=6, words="compress|gzip"),
        pages={
            "/v1/models": whole(
                "200 OK",
                zlib.compress(b'{"object":"list","data":[{"id":"m"}]}', wbits=31),
                "application/json",
                "Content-Encoding: gzip",
            )
        },
    ),
]
