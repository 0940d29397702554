"""Which settings a sweep visits, and what its curve says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.judge.sweep import Point, dominated, doubling, halving, knee


def test_the_first_pass_doubles_and_ends_at_the_top() -> None:
    assert doubling(1, 256) == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert doubling(3, 20) == [3, 6, 12, 20]
    assert doubling(5, 5) == [5]
    for low, high in ((0, 4), (5, 4)):
        with pytest.raises(ValueError, match="upwards"):
            doubling(low, high)


def server(streams: int) -> Point:
    """A server that takes 32 streams at once; more only wait."""
    return Point(streams, 100.0 * min(streams, 32), 50.0 * max(1, streams / 32) + 10 * min(streams, 32) ** 0.5)


def test_the_knee_of_a_server_that_is_full_at_32_streams_is_located_by_halving() -> None:
    visited = doubling(1, 256)
    passes = 0
    while more := halving(visited, [at for at in [knee([server(n) for n in visited])] if at]):
        visited += more
        passes += 1
        assert passes < 10
    assert knee([server(n) for n in visited]) == 32
    assert {24, 28, 48, 40, 36} <= set(visited)
    assert not {3, 6, 12, 192} & set(visited)


def test_a_point_beaten_on_both_axes_is_dominated() -> None:
    points = [Point(1, 100, 10), Point(2, 180, 12), Point(4, 170, 20), Point(8, 200, 30), Point(16, 200, 40)]
    assert dominated(points) == [False, False, True, False, True]
    assert dominated([Point(1, 100, 10), Point(2, 100, 10)]) == [False, False]


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=12))
def test_something_is_always_left(values: list[tuple[int, int]]) -> None:
    points = [Point(i, tput, latency) for i, (tput, latency) in enumerate(values)]
    beaten = dominated(points)
    assert not all(beaten)
    front = sorted((p.throughput, p.latency) for p, out in zip(points, beaten, strict=True) if not out)
    assert [latency for _, latency in front] == sorted(latency for _, latency in front)


def test_nothing_measured_has_no_knee() -> None:
    assert knee([]) is None
    assert knee([Point(1, 0, 0)]) is None
    assert halving([], [4]) == []
    assert halving([1, 2, 4], []) == []
