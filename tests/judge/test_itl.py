"""Gaps of interleaved streams, over frame borders, against a plain loop."""

from collections.abc import Sequence

import numpy as np
import pytest

from tui.judge.itl import ChunkGaps
from tui.model.rows import Chunks

Row = tuple[int, int, int]  # request, t_ns, tokens


def packed(rows: Sequence[Row]) -> Chunks:
    request, t_ns, tokens = zip(*rows, strict=True) if rows else ((), (), ())
    return Chunks(
        np.array(request, dtype="<i8").tobytes(),
        np.array(t_ns, dtype="<i8").tobytes(),
        np.array(tokens, dtype="<i4").tobytes(),
    )


def test_the_gap_is_divided_by_the_tokens_of_the_later_chunk() -> None:
    gaps = ChunkGaps().feed(packed([(7, 0, 1), (7, 30_000_000, 3), (7, 40_000_000, 1)]))
    assert gaps.gap_ms.tolist() == [30.0, 10.0]
    assert gaps.itl_ms.tolist() == [10.0, 10.0]
    assert gaps.tokens.tolist() == [3, 1]


def test_the_first_chunk_of_a_request_has_no_gap() -> None:
    gaps = ChunkGaps().feed(packed([(1, 0, 4), (2, 5, 1)]))
    assert gaps.itl_ms.size == 0


def test_the_last_arrival_is_carried_over_frames_and_forgotten() -> None:
    stream = ChunkGaps(t0_ns=0)
    stream.feed(packed([(1, 999_000_000, 1), (2, 999_500_000, 1)]))
    gaps = stream.feed(packed([(1, 1_004_000_000, 1)]))
    assert gaps.gap_ms.tolist() == [5.0]
    assert gaps.second.tolist() == [1]
    stream.forget({1})
    assert stream.feed(packed([(1, 2_000_000_000, 1), (2, 2_000_500_000, 1)])).request.tolist() == [2]


def test_an_empty_frame_changes_nothing() -> None:
    stream = ChunkGaps()
    assert stream.feed(Chunks()).itl_ms.size == 0
    stream.feed(packed([(1, 0, 1)]))
    assert stream.feed(Chunks()).itl_ms.size == 0
    assert stream.feed(packed([(1, 2_000_000, 1)])).gap_ms.tolist() == [2.0]


@pytest.mark.parametrize("frame_rows", [1, 7, 100, 5000])
def test_cutting_into_frames_does_not_change_the_gaps(frame_rows: int) -> None:
    rng = np.random.default_rng(11)
    times = np.cumsum(rng.integers(0, 3_000_000, 5000))
    rows: list[Row] = [
        (int(r), int(t), int(k))
        for r, t, k in zip(rng.integers(0, 64, 5000), times, rng.integers(1, 4, 5000), strict=True)
    ]
    last: dict[int, int] = {}
    expected = []
    for request, t_ns, tokens in rows:
        if request in last:
            expected.append((request, t_ns, (t_ns - last[request]) / 1e6 / tokens))
        last[request] = t_ns
    stream = ChunkGaps()
    seen = []
    for start in range(0, len(rows), frame_rows):
        gaps = stream.feed(packed(rows[start : start + frame_rows]))
        seen += list(zip(gaps.request.tolist(), gaps.t_ns.tolist(), gaps.itl_ms.tolist(), strict=True))
    assert sorted(seen) == sorted(expected)


def test_request_numbers_that_lie_far_apart_give_the_same_gaps() -> None:
    rng = np.random.default_rng(12)
    request, t_ns = rng.integers(0, 50, 2000), np.cumsum(rng.integers(0, 10**6, 2000))
    tokens = np.ones(2000, dtype=np.int32)
    near = ChunkGaps().feed_columns(request, t_ns, tokens)
    far = ChunkGaps().feed_columns(request * 10**9, t_ns, tokens)
    assert near.gap_ms.tolist() == far.gap_ms.tolist()
    assert (near.request * 10**9).tolist() == far.request.tolist()


def test_tokens_known_only_at_the_end_make_no_gap_of_zero() -> None:
    one_request, ms = np.array([1, 1, 1, 1]), np.array([10, 20, 30, 30])
    gaps = ChunkGaps().feed_columns(one_request, ms * 1_000_000, np.array([1, 1, 1, 5], dtype=np.int32))
    assert gaps.itl_ms.tolist() == [10.0, 10.0]
