"""One answer as it comes in, byte for byte: what the frames are told of it."""

import pytest

from tests.load.faulty_server import DONE, END, HEAD, token, usage
from tui.load.requests import Wanted
from tui.load.stream import ChunkSink, Stream, Ticket
from tui.load.wire import Wire
from tui.records.rows import RequestRow

ASKED = 512


@pytest.mark.parametrize("counted", [7, 600])
def test_prompt_tokens_are_told_as_the_server_counted_them_though_it_says_so_at_the_end(counted: int) -> None:
    rows: list[RequestRow] = []

    def ended(_: Stream, row: RequestRow, __: Wire | None) -> None:
        rows.append(row)

    wanted = Wanted(0, "a b", ASKED, words=2, fillers=0, output_tokens=2, seed=0)
    sink = ChunkSink()
    stream = Stream(Ticket("a", wanted, 0, 0, "chat"), b"", sink, ended)
    stream.received(HEAD + token(), 1_000, True)
    assert list(sink.first_prompt_tokens) == [ASKED]  # as nothing better is known
    stream.received(token(finish="length") + usage(counted, 2) + DONE + END, 2_000, True)
    assert sum(sink.first_prompt_tokens) == counted
    assert len(sink.first_t_ns) == len(sink.first_prompt_tokens)
    assert [(row.outcome, row.prompt_tokens) for row in rows] == [("ok", counted)]
