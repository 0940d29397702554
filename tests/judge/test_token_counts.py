"""Chunks of several tokens, counted at the end only: what is made of them live and after the fact."""

import msgspec
import numpy as np
import pytest

from tests.judge.joined_tokens import Joined, Made, frame, live, made, packed, recorded
from tui.judge.itl import ChunkGaps, TokenGaps
from tui.judge.live_counts import LiveCounts
from tui.judge.token_counts import EndCounts, Ints, RecordedChunks, spread_counts
from tui.model.rows import Chunks

SECONDS = 24.0
CASES = (
    *(("late", a_chunk, streams) for a_chunk, streams in ((1.0, 16), (1.5, 64), (2.8, 128), (8.0, 64))),
    *(("cycle", a_chunk, streams) for a_chunk, streams in ((1.5, 64), (2.8, 128), (8.0, 64))),
    *(("speculation", a_chunk, streams) for a_chunk, streams in ((1.5, 64), (2.8, 128), (8.0, 64))),
    ("interval", 8.0, 64),
)  # fmt: skip


def itl(request: Ints, t_ns: Ints, tokens: Ints) -> TokenGaps:
    return TokenGaps.of(ChunkGaps().feed_columns(request, t_ns, tokens))


def by_second(t_ns: Ints, tokens: Ints) -> Ints:
    return np.bincount(t_ns // 10**9, weights=tokens)


def off(counted: Ints, true: Ints, seconds: slice) -> np.ndarray:
    """How far each second's tokens are off, as a share."""
    return np.abs(counted[: true.size][seconds] / true[seconds] - 1)


@pytest.mark.parametrize(("joined", "a_chunk", "streams"), CASES)
def test_counts_at_the_end_are_laid_where_the_tokens_came(joined: Joined, a_chunk: float, streams: int) -> None:
    given = made(joined, a_chunk, streams, SECONDS)
    chunks, ends = recorded(given)
    spread = spread_counts(chunks, ends)
    assert spread.sum() == chunks.tokens.sum()
    known, mine = given.ended, given.of_ended(chunks.request)
    true = by_second(given.t_ns[known], given.tokens[known])
    counted = by_second(chunks.t_ns[mine], spread[mine])
    shares = off(counted, true, slice(2, int(SECONDS) - 6))  # in the last ones many answers have not ended
    assert np.mean(shares <= 0.02) >= 0.95, shares.round(3)
    real = itl(given.request[known], given.t_ns[known], given.tokens[known])
    measured = itl(chunks.request[mine], chunks.t_ns[mine], spread[mine])
    assert measured.percentile(0.5) == pytest.approx(real.percentile(0.5), rel=0.05)
    assert measured.percentile(0.99) == pytest.approx(real.percentile(0.99), rel=0.10)


@pytest.mark.parametrize(("joined", "a_chunk", "streams"), CASES[1::2])
def test_estimates_are_close_while_the_tokens_come(joined: Joined, a_chunk: float, streams: int) -> None:
    given = made(joined, a_chunk, streams, SECONDS)
    shown = live(given, streams)
    for row in given.rows[::20]:
        assert shown.tokens[shown.request == row.request].sum() == row.output_tokens
    learnt = 2 * max(row.t_end_ns - (row.t_first_ns or 0) for row in given.rows) // 10**9 + 1
    shares = off(
        by_second(shown.t_ns, shown.tokens), by_second(given.t_ns, given.tokens), slice(learnt, int(SECONDS) - 1)
    )
    assert np.mean(shares <= 0.03) >= 0.95, shares.round(3)
    assert np.median(shares) <= 0.015, shares.round(3)
    real, measured = (
        itl(*(column[made_.t_ns > learnt * 10**9] for column in made_.times)) for made_ in (given, shown)
    )
    assert measured.percentile(0.5) == pytest.approx(real.percentile(0.5), rel=0.10)
    assert measured.percentile(0.99) == pytest.approx(real.percentile(0.99), rel=0.25)


def test_a_turned_dial_is_followed_before_any_answer_under_it_has_ended() -> None:
    calm, busy = made("late", 1.5, 64, SECONDS), made("late", 2.8, 128, SECONDS)
    at_ns, first = 8 * 10**9, int(calm.request.max()) + 1
    now = busy.t_ns < 2 * 10**9
    request = np.append(calm.request[calm.t_ns < at_ns], busy.request[now] + first)
    t_ns = np.append(calm.t_ns[calm.t_ns < at_ns], busy.t_ns[now] + at_ns)
    tokens = np.append(calm.tokens[calm.t_ns < at_ns], busy.tokens[now])
    text = np.append(calm.text_bytes[calm.t_ns < at_ns], busy.text_bytes[now])
    rows = [row for row in calm.rows if row.t_end_ns < at_ns]
    shown = live(Made(request, t_ns, tokens, text, rows), lambda end_ns: 64 if end_ns <= at_ns else 128)
    true = by_second(t_ns, tokens)
    assert off(by_second(shown.t_ns, shown.tokens), true, slice(9, 10)) <= 0.03


def test_nothing_is_estimated_where_each_chunk_is_a_token_or_says_how_many() -> None:
    counts = LiveCounts()
    given = made("late", 1.0, 16, SECONDS)
    assert np.array_equal(live(given, 16).tokens, recorded(given)[0].tokens)
    several = made("interval", 8.0, 64, SECONDS).rows[0]
    counts.estimate(frame(0, 1, Chunks(), [several]))
    chunks = packed([7, 8], [10, 10], [3, 1], [12, 40])
    shown = counts.estimate(frame(100, 1, chunks, [], np.array([7], "<i8").tobytes()))
    seven, eight = np.frombuffer(shown.live_tokens, "<i4").tolist()
    assert seven == 3
    assert eight > 3  # of 40 bytes


def test_what_was_estimated_is_taken_back_of_an_answer_that_had_a_token_a_chunk() -> None:
    counts = LiveCounts()
    several = made("interval", 8.0, 64, SECONDS).rows[0]
    counts.estimate(frame(0, 1, Chunks(), [several]))
    counts.estimate(frame(100, 1, packed([9] * 4, [1, 2, 3, 4], [1] * 4, [30] * 4), []))
    ended = msgspec.structs.replace(several, request=9, output_tokens=4, chunks=4, tokens_from="usage at end")
    shown = counts.estimate(frame(200, 1, Chunks(), [ended]))
    assert np.frombuffer(shown.request, "<i8").tolist() == [9]
    assert np.frombuffer(shown.tokens, "<i4").tolist() == [0]
    assert np.frombuffer(shown.live_tokens, "<i4").sum() < 0


def test_an_answer_of_which_chunks_are_missing_stays_as_it_was_live() -> None:
    chunks, ends = recorded(made("interval", 8.0, 64, SECONDS))
    lost = np.arange(chunks.t_ns.size) != 100
    columns = (chunks.request, chunks.t_ns, chunks.tokens, chunks.text_bytes, chunks.tokens + 5)
    part = RecordedChunks(*(column[lost] for column in columns))
    spread = spread_counts(part, ends)
    mine = part.request == chunks.request[100]
    assert np.array_equal(spread[mine], part.live[mine])
    assert not np.array_equal(spread[~mine], part.live[~mine])


def test_hidden_tokens_come_with_the_first_chunk() -> None:
    columns = [np.array(column) for column in ([1] * 4, [10, 20, 30, 30], [1, 1, 1, 17], [8, 8, 8, 0], [1, 1, 1, 17])]
    one = np.array([1])
    spread = spread_counts(RecordedChunks(*columns), EndCounts(one, one, np.array([20]), np.array([14])))
    assert spread.tolist() == [16, 2, 2, 0]
