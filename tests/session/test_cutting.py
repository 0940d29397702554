"""Frames of one lane, cut into seconds."""

import numpy as np
import pytest

from tui.model.rows import Chunks, Frame
from tui.session.seconds import LaneCondition, LaneCutter

NS = 1_000_000_000


def frame(t_ns: int, arrivals_ns: list[int], merged: int) -> Frame:
    count = len(arrivals_ns)
    chunks = Chunks(
        np.arange(count, dtype="<i8").tobytes(),
        np.array(arrivals_ns, dtype="<i8").tobytes(),
        np.full(count, 2, dtype="<i4").tobytes(),
    )
    return Frame(
        t_ns=t_ns, segment=1, concurrency=count, in_flight=count, requests=[], chunks=chunks, sent_t_ns=b"",
        first_t_ns=b"", first_prompt_tokens=b"", due_total=count, started_total=count, cpu_s_total=0.0,
        loop_lag_ms=0.0, merged_reads=merged, rss_bytes=0, bound="", down="",
    )  # fmt: skip


def test_no_second_joined_more_reads_than_it_has() -> None:
    cutter, now = LaneCutter("a"), LaneCondition(concurrency=4, up=True, resting=False)
    cutter.add(frame(NS, [100, NS + 1, NS + 2], merged=3))
    rows = [cutter.cut(n * NS, (n + 1) * NS, 1, now).row for n in range(2)]
    assert [(row.reads, row.merged_reads) for row in rows] == [(1, 1), (2, 2)]


def test_a_second_counts_its_reads_and_those_that_joined_tokens() -> None:
    cutter, now = LaneCutter("a"), LaneCondition(concurrency=4, up=True, resting=False)
    cutter.add(frame(NS, [100, 200, 300, NS + 1], merged=1))
    first = cutter.cut(0, NS, 1, now).row
    second = cutter.cut(NS, 2 * NS, 1, now).row
    assert (first.reads, first.merged_reads, first.output_tokens) == (3, 1, 6)
    assert (second.reads, second.merged_reads, second.output_tokens) == (1, 0, 2)
    assert first.merged_reads / first.reads == pytest.approx(1 / 3)
