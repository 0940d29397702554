"""Kind 9: time-outs that hear only tokens. The load gives up after three tenths of a second of silence."""

import asyncio

from tests.odd.server import (
    DONE,
    LAST_CHUNK,
    Exchange,
    Handler,
    OddServer,
    Right,
    chunk,
    delta,
    event,
    head,
    usage,
    words,
)

SILENCE_S = 0.3
PERIOD_S, PERIODS = 0.05, 14  # more than twice the silence in all
GOOD = b"".join(map(chunk, [*words(6), usage(6), DONE])) + LAST_CHUNK
INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n"


def prefill(*pieces: bytes, first: bytes = b"") -> Handler:
    """Sends the pieces in turn while it prefills, then a good answer."""

    async def handler(exchange: Exchange) -> None:
        await exchange.send(first or head())
        for n in range(PERIODS):
            await exchange.send(pieces[n % len(pieces)], gap_s=PERIOD_S)
        await exchange.send(b"" if not first else head(), GOOD)

    return handler


def stalls(ping: bytes) -> Handler:
    """Three tokens, then pings or nothing for ever."""

    async def handler(exchange: Exchange) -> None:
        await exchange.send(head(), *map(chunk, words(3, None)))
        while ping:
            await exchange.send(ping, gap_s=PERIOD_S)
        await asyncio.Event().wait()

    return handler


def slowly(event_bytes: bytes) -> Handler:
    """One event of one token, in pieces."""
    size = -(-len(event_bytes) // PERIODS)
    pieces = [chunk(event_bytes[at : at + size]) for at in range(0, len(event_bytes), size)]
    return prefill(*pieces)


ALIVE = Right(tokens=6)
PROGRESS = {"choices": [], "prompt_progress": {"total": 900, "processed": 90}}


def waits(name: str, answer: Handler, right: Right = ALIVE) -> OddServer:
    return OddServer(9, name, answer, right, plan={"read_timeout_s": SILENCE_S}, answers=1, examined=right is ALIVE)


WAITING = [
    waits("bare colons while it prefills", prefill(chunk(b":\n"))),
    waits("role, then empty deltas", prefill(chunk(delta(role="assistant", content="")), chunk(delta(content="")))),
    waits("progress of the prompt", prefill(chunk(event(PROGRESS)))),
    waits("interim answers while it queues", prefill(INTERIM, first=INTERIM)),
    waits("one long event in pieces", slowly(delta(content="w" * 400)), Right(tokens=6)),
    waits("stall without pings", stalls(b""), Right(outcome="failed", cause="read timeout")),
]
PINGS_FOR_EVER = waits("stall with pings", stalls(chunk(b": ping\n\n")), Right(outcome="failed"))
