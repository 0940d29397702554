"""Spans of fixed dials, what is cut off their start, and which seconds count."""

import numpy as np
import pytest

from tests.judge.made import NS, T0, request, requests_frame, second, seconds_frame, turned
from tui.judge.segments import BALANCES, Segment, agreed_s, segments, settings_at, settling_s
from tui.judge.tables import Requests, Seconds
from tui.model.rows import RequestRow, SecondRow


def ticks(spans: list[tuple[int, int]], first: int = 0) -> list[SecondRow]:
    """Seconds of both lanes: for each (segment, length), that many seconds at 100 tokens."""
    numbers = [number for number, length in spans for _ in range(length)]
    return [second(lane, first + i, 100, segment=n) for i, n in enumerate(numbers) for lane in ("a", "b")]


def quick(segment: int, at_s: float) -> RequestRow:
    return request("a", int(at_s), at_s=at_s, segment=segment)


def test_each_change_of_a_dial_starts_a_segment() -> None:
    built = segments(seconds_frame(ticks([(0, 30), (1, 40), (2, 20)])), requests_frame([quick(0, 1)]))
    assert [(s.number, (s.start_ns - T0) // NS, (s.end_ns - T0) // NS) for s in built] == [
        (0, 0, 30),
        (1, 30, 70),
        (2, 70, 90),
    ]
    assert [s.settled_s for s in built] == [25, 35, 15]


def test_requests_of_the_older_segment_must_drain() -> None:
    slow = request("b", 9, at_s=29, e2e_ms=12_500, segment=0)
    built = segments(seconds_frame(ticks([(0, 30), (1, 40)])), requests_frame([quick(0, 1), slow]))
    assert built[1].settled_ns == T0 + 41.5 * NS
    assert built[1].settled_s == 70 - 42


def test_twice_the_slow_requests_is_cut_off() -> None:
    rows = [request("a", i, at_s=i, e2e_ms=1000) for i in range(20)] + [request("b", 1, e2e_ms=9000)]
    built = segments(seconds_frame(ticks([(0, 60)])), requests_frame(rows))
    assert built[0].settled_s == 60 - 18
    assert settling_s() == 5.0
    assert settling_s(1e6) == 60.0


def test_what_the_recording_says_of_settling_goes_before_what_is_computed() -> None:
    rows = seconds_frame(ticks([(0, 30), (1, 40), (2, 20)]))
    settled_at_ns = [T0 + 12 * NS, T0 + 50 * NS]
    built = segments(rows, requests_frame([quick(0, 1)]), settled_at_ns)
    assert [s.settled_s for s in built] == [18, 20, 0]  # the last one never was
    part = segments(rows, requests_frame([quick(0, 1)]), settled_at_ns[1:])
    assert [s.settled_s for s in part] == [25, 20, 0]


def test_throughput_that_still_climbs_is_not_settled() -> None:
    climbing = np.concatenate((np.repeat([100.0, 200, 300, 400], 5), np.full(40, 500.0)))
    assert agreed_s([climbing, np.full(60, 100.0)]) == 20
    assert agreed_s([np.full(60, 100.0)]) == 0


def test_noise_that_never_agrees_does_not_wait_for_ever() -> None:
    noisy = np.tile(np.repeat([100.0, 200.0], 5), 30)
    assert agreed_s([noisy]) == 0


def test_seconds_where_the_client_was_the_limit_or_a_lane_down_do_not_count() -> None:
    rows = ticks([(0, 60)])
    rows[2 * 20] = second("a", 20, 100, bound=True)
    rows[2 * 30 + 1] = second("b", 30, 0, up=False)
    rows[2 * 31 + 1] = second("b", 31, 0, up=False)
    (segment,) = segments(seconds_frame(rows), requests_frame([]))
    assert (segment.bound_s, segment.down_s) == (1, 2)
    assert {lane: len(share.tps) for lane, share in segment.lanes.items()} == {"a": 52, "b": 52}
    assert set(segment.lanes["b"].tps) == {100.0}


def test_only_seconds_that_both_lanes_have_count() -> None:
    rows = [row for row in ticks([(0, 40)]) if not (row.lane == "b" and row.t_ns >= T0 + 30 * NS)]
    (segment,) = segments(seconds_frame(rows), requests_frame([]))
    assert segment.settled_s == 25


def test_one_lane_alone_has_segments_too() -> None:
    rows = [row for row in ticks([(0, 20), (1, 20)]) if row.lane == "a"]
    assert [set(s.lanes) for s in segments(seconds_frame(rows), requests_frame([]))] == [{"a"}, {"a"}]


def test_nothing_has_no_segments() -> None:
    assert segments(seconds_frame([]), requests_frame([])) == []


def test_the_dials_in_force_follow_the_events() -> None:
    load = {"concurrency": 16, "prompt_tokens": 512, "temperature": 0.0, "seed": 3}
    profile = {"load": load, "a": {"dials": {}}, "b": {"dials": {"temperature": 0.7}}}
    events = [turned(10, "concurrency", "32"), turned(20, "prompt_tokens", "1024", "b")]
    before, after, last = settings_at(profile, "ab", events, [T0 + 9 * NS, T0 + 11 * NS, T0 + 30 * NS])
    assert [before[lane]["concurrency"] for lane in ("a", "b")] == ["16", "16"]
    assert [after[lane]["concurrency"] for lane in ("a", "b")] == ["32", "32"]
    assert (last["a"]["prompt_tokens"], last["b"]["prompt_tokens"]) == ("512", "1024")
    assert (last["a"]["temperature"], last["b"]["temperature"]) == ("0", "0.7")


def test_dials_that_a_session_does_not_tell_are_not_made_up() -> None:
    (setting,) = settings_at({"load": {"concurrency": 12}}, "a", [], [T0])
    assert (setting["a"]["concurrency"], setting["a"]["prompt_tokens"]) == ("12", "")
    assert "b" not in setting


@pytest.mark.parametrize("empty", [[], [np.zeros(3)]])
def test_too_few_seconds_to_agree(empty: list[np.ndarray]) -> None:
    assert agreed_s(empty) == 0


def test_what_goes_into_answers_and_comes_out_of_them_is_counted_by_the_second() -> None:
    rows = [second(lane, i, 100, prompt_tokens=50, in_flight=3) for i in range(20) for lane in ("a", "b")]
    ended = [request("a", i, at_s=i, e2e_ms=1500, output_tokens=7, prompt_tokens=40 + i) for i in range(18)]
    at_once = segments(seconds_frame(rows), requests_frame(ended), [T0 + 5 * NS])[0].lane("a")
    assert list(at_once.begun) == [50.0] * 15
    assert list(at_once.in_flight) == [3.0] * 15
    assert list(at_once.ended) == [7.0] * 14 + [0.0]
    assert list(at_once.ended_prompts) == [40.0 + i for i in range(4, 18)] + [0.0]
    assert list(at_once.flown_s) == [1.5] * 14 + [0.0]
    bit_by_bit = Segment(T0, T0 + 5 * NS)
    for i in range(20):
        both = {row.lane: Seconds.from_rows([row]) for row in rows if row.t_ns == T0 + i * NS}
        bit_by_bit.add_seconds(both)
        late = [one for one in ended if T0 + i * NS <= one.t_end_ns < T0 + (i + 1) * NS]
        bit_by_bit.add_requests("a", Requests.from_rows(late))
    lane = bit_by_bit.lane("a")
    for pair in BALANCES:
        for name in pair:
            assert list(getattr(lane, name)) == list(getattr(at_once, name))
