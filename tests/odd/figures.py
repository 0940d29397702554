"""Kinds 4 (derived figures that the observations do not support) and 11 (several tokens a chunk, counted late)."""

from collections.abc import Sequence
from itertools import cycle, islice

from tests.odd.server import (
    DONE,
    EVENT_STREAM,
    LAST_CHUNK,
    Exchange,
    Handler,
    OddServer,
    Right,
    always,
    chunk,
    delta,
    head,
    raw,
    stream,
    usage,
    whole,
    words,
)

TEN = words(10)
GAP_S = 0.006
AT_ONCE = "at once|one read|one piece|held back|buffer"


async def all_but_the_first_held_back(exchange: Exchange) -> None:
    await exchange.send(head(), chunk(TEN[0]))
    await exchange.send(b"".join(map(chunk, [*TEN[1:], usage(10), DONE])) + LAST_CHUNK, gap_s=0.06)


async def thinks_unseen(exchange: Exchange) -> None:
    """40 tokens pass before the first is shown; the usage counts them and does not say so."""
    await exchange.send(head())
    await exchange.send(b"", gap_s=0.06)
    await exchange.output(*map(chunk, TEN), gap_s=GAP_S)
    await exchange.send(chunk(usage(50) + DONE), LAST_CHUNK)


def thinks_under_another_key(key: str) -> Handler:
    thoughts = [delta(**{key: f" t{n}"}) for n in range(10)]
    return stream(*thoughts, *words(3), usage(13), DONE, gap_s=GAP_S)


def growing() -> list[bytes]:
    """Each event repeats the whole text so far."""
    return [delta("length" if n == 9 else None, content=" word" * (n + 1)) for n in range(10)]


def with_empty_ones() -> list[bytes]:
    return [each for word in TEN for each in (delta(content=""), delta(content=""), word)]


FIGURES = [
    OddServer(
        4,
        "whole answer in one write",
        always(whole("200 OK", b"".join([*TEN, DONE]), EVENT_STREAM)),
        Right(tokens=10, figures={"tpot_ms": None, "itl_ms": None}, says=AT_ONCE),
    ),
    OddServer(
        4,
        "all but the first token held back",
        all_but_the_first_held_back,
        Right(tokens=10, figures={"tpot_ms": None, "itl_ms": None}, says=AT_ONCE),
    ),
    OddServer(
        4,
        "usage far above what came",
        stream(*TEN, usage(5000), DONE, gap_s=GAP_S),
        Right(figures={"tpot_ms": 1, "tokens_a_chunk": None}, says="count|usage"),
    ),
    OddServer(
        4,
        "usage far below what came",
        stream(*TEN, usage(2), DONE, gap_s=GAP_S),
        Right(figures={"tpot_ms": 1, "tokens_a_chunk": None}, says="count|usage"),
    ),
    OddServer(4, "thoughts under thinking", thinks_under_another_key("thinking"), Right(tokens=13, chunks=13)),
    OddServer(
        4, "thoughts under reasoning_text", thinks_under_another_key("reasoning_text"), Right(tokens=13, chunks=13)
    ),
    OddServer(4, "hidden thoughts in the count", thinks_unseen, Right(figures={"tpot_ms": 1}, says="count|usage")),
    OddServer(
        4,
        "count that holds the prompt",
        stream(*TEN, usage(26), DONE, gap_s=GAP_S),
        Right(figures={"tpot_ms": 1, "tokens_a_chunk": None}, says="count|usage"),
    ),
    OddServer(
        4,
        "text repeated in each event",
        stream(*growing(), DONE, gap_s=GAP_S),
        Right(tokens=10, chunks=10, figures={"tpot_ms": 1, "itl_ms": 1}),
    ),
    OddServer(
        4,
        "empty events that keep it alive",
        stream(*with_empty_ones(), DONE, gap_s=0.002),
        Right(tokens=10, chunks=10, figures={"tpot_ms": 3}),
    ),
]


def late_count(pattern: Sequence[int], chunks: int = 24, word: str = " token") -> OddServer:
    """Chunks of so many tokens in turn, whose bytes say how many, with one count at the end."""
    sizes = list(islice(cycle(pattern), chunks))
    events = [delta("length" if n == chunks - 1 else None, content=word * size) for n, size in enumerate(sizes)]
    mean = sum(sizes) / chunks
    return OddServer(
        11,
        f"chunks of {', '.join(map(str, pattern))} tokens{' of one byte' if len(word) == 1 else ''}",
        stream(*events, usage(sum(sizes)), DONE, gap_s=0.004),
        Right(tokens=sum(sizes), chunks=chunks, figures={"tpot_ms": 1 / mean, "itl_ms": 1 / mean}),
        answers=6,
        examined=False,
    )


LATE_COUNTS = [
    late_count([3, 3, 3, 3, 2]),
    late_count([8]),
    late_count([5, 4, 6]),
    late_count([1, 7, 7, 7]),
    late_count([4], word="x"),
]


EARLY_USAGE = OddServer(
    11,
    "count in the finishing event",
    raw(
        head(),
        *(chunk(delta(content=" four short new words")) for _ in range(23)),
        chunk(
            b'data: {"choices":[{"index":0,"delta":{"content":" four short new words"},"finish_reason":"length"}],'
            b'"usage":{"prompt_tokens":16,"completion_tokens":96}}\n\n'
        ),
        chunk(DONE) + LAST_CHUNK,
        gap_s=0.004,
        then="keep",
    ),
    Right(tokens=96, chunks=24, figures={"itl_ms": 0.25}),
    answers=6,
    examined=False,
)
LATE_COUNTS.append(EARLY_USAGE)
