"""One answer as it arrives, byte by byte, and what it adds to the frames."""

from array import array

import pytest

from tests.judge.joined_tokens import frame
from tests.load.faulty_server import DONE, END, HEAD, token, usage
from tui.judge.live_counts import LiveCounts
from tui.load.requests import RequestSpec
from tui.load.stream import ChunkSink, Stream, Ticket
from tui.model.rows import Chunks, RequestRow
from tui.net.socket import Wire

ASKED = 512


def begun(*, steps: bool = False) -> tuple[Stream, ChunkSink, list[RequestRow]]:
    """A stream that waits for its answer, where it puts its tokens, and where its row comes."""
    rows: list[RequestRow] = []

    def ended(_: Stream, row: RequestRow, __: Wire | None) -> None:
        rows.append(row)

    wanted = RequestSpec(0, "a b", ASKED, words=2, fillers=0, output_tokens=2, seed=0)
    sink = ChunkSink()
    return Stream(Ticket("a", wanted, 0, 0, "chat", steps), b"", sink, ended), sink, rows


@pytest.mark.parametrize("counted", [7, 600])
def test_prompt_tokens_are_those_the_server_counted_though_it_reports_them_at_the_end(counted: int) -> None:
    stream, sink, rows = begun()
    stream.received(HEAD + token(), 1_000, True)
    assert list(sink.first_prompt_tokens) == [ASKED]  # as nothing better is known
    stream.received(token(finish="length") + usage(counted, 2) + DONE + END, 2_000, True)
    assert sum(sink.first_prompt_tokens) == counted
    assert len(sink.first_t_ns) == len(sink.first_prompt_tokens)
    assert [(row.outcome, row.prompt_tokens) for row in rows] == [("ok", counted)]


@pytest.mark.parametrize(
    ("steps", "chunks", "last_ms", "at_the_end"),
    [(True, 4, 4, 1), (False, 2, 3, 3)],
    ids=["an event at each step", "any other server"],
)
def test_a_step_without_text_is_a_token_where_the_server_sends_one_event_a_step(
    steps: bool, chunks: int, last_ms: int, at_the_end: int
) -> None:
    stream, sink, rows = begun(steps=steps)
    for at_ms, event in enumerate((HEAD + token(), token(""), token(), token("")), 1):
        stream.received(event, at_ms << 20, True)
    stream.received(token("", finish="length") + usage(ASKED, 5) + DONE + END, 5 << 20, True)
    (row,) = rows
    assert (row.chunks, row.output_tokens, row.t_last_ns) == (chunks, 5, last_ms << 20)
    assert list(sink.tokens) == [1] * chunks + [at_the_end]


def test_a_step_too_many_is_taken_back_by_the_count_at_the_end() -> None:
    stream, sink, rows = begun(steps=True)
    for at_ms, event in enumerate((HEAD + token(), token(""), token("")), 1):
        stream.received(event, at_ms << 20, True)
    stream.received(token(finish="length") + usage(ASKED, 2) + DONE + END, 4 << 20, True)
    assert rows[0].output_tokens == sum(sink.tokens) == 2


def answered(number: int, chunks: int, tokens: int) -> tuple[Chunks, RequestRow]:
    """An answer of so many chunks, a millisecond apart, counted at its end."""
    wanted = RequestSpec(number, "a b", ASKED, words=2, fillers=0, output_tokens=tokens, seed=0)
    rows: list[RequestRow] = []
    sink = ChunkSink()
    stream = Stream(Ticket("a", wanted, 0, 0, "chat", False), b"", sink, lambda _, row, __: rows.append(row))
    for n in range(1, chunks):
        stream.received((HEAD if n == 1 else b"") + token(), n << 20, True)
    stream.received(token(finish="length") + usage(ASKED, tokens) + DONE + END, chunks << 20, True)
    return sink.chunks(), rows[0]


def int32s(packed: bytes) -> list[int]:
    return array("i", packed).tolist()


@pytest.mark.parametrize(("chunks", "tokens"), [(20, 20), (20, 30), (20, 56), (20, 160)])
def test_chunks_count_by_what_those_of_answers_before_held_and_the_sums_agree(chunks: int, tokens: int) -> None:
    counts = LiveCounts()
    rest = [tokens - chunks] if tokens > chunks else []
    for number in range(2):
        came, row = answered(number, chunks, tokens)
        assert int32s(came.tokens) == [1] * chunks + rest
        assert int32s(came.text_bytes) == [len("hi")] * chunks + [0] * len(rest)
        assert row.tokens_from == ("spread" if rest else "usage at end")
        live = int32s(counts.estimate(frame(number, 1, came, [row])).live_tokens)
        assert sum(live) == tokens
        if number:
            assert all(abs(sum(live[:n]) - n * tokens / chunks) <= 1 for n in range(1, chunks + 1))


def test_a_request_is_named_once_its_chunks_say_how_many_tokens_they_bring() -> None:
    stream, sink, _ = begun()
    stream.received(HEAD + token(tokens=3), 1 << 20, True)
    stream.received(token(tokens=5), 2 << 20, True)
    assert (list(sink.counted), list(sink.tokens)) == ([0], [3, 2])
