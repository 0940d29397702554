"""Requests within every limit, and the ways to write limits."""

import numpy as np
import pytest

from tests.judge.made import MS, NS, T0, failed, request, requests_frame
from tui.judge.tables import Requests
from tui.model.profile import Limits, parse_limits
from tui.model.rows import RequestRow
from tui.model.text import UserError
from tui.stats.latency import Goodput, counts_in, goodput, goodput_verdict

AT_S = [T0 / NS + second for second in range(60)]


def goodput_of(rows: list[RequestRow], limits: Limits, at_s: list[float]) -> Goodput:
    """Goodput of recorded rows; the rows as they arrive have the same."""
    recorded, live = Requests.from_frame(requests_frame(rows)), Requests.from_rows(rows)
    assert recorded.good(limits).tolist() == live.good(limits).tolist()
    return goodput(recorded.end_ns[recorded.good(limits)] / NS, recorded.ok.size, at_s)


def test_a_request_must_meet_every_limit() -> None:
    rows = [
        request("a", 0, ttft_ms=100, e2e_ms=1100),  # TPOT 100
        request("a", 1, ttft_ms=600, e2e_ms=1600),  # too late
        request("a", 2, ttft_ms=100, e2e_ms=3100),  # TPOT 300: too slow
        request("a", 3, ttft_ms=500, e2e_ms=500 + 10 * 150),  # on every limit
        failed("a", 4),
        request("a", 5, outcome="cancelled", cause="cancelled"),
    ]
    measured = goodput_of(rows, Limits(ttft_ms=500, tpot_ms=150), AT_S[:4])
    assert (measured.good, measured.total, measured.per_s, measured.share) == (2, 5, 0.5, 0.4)
    assert goodput_of(rows, Limits(ttft_ms=500, tpot_ms=150), AT_S[2:4]).per_s == 0.5  # one ended there
    assert measured.low < 0.4 < measured.high
    assert measured.met == "not met"


def test_each_limit_alone() -> None:
    rows = [request("a", 0, ttft_ms=100, e2e_ms=1100)]
    assert goodput_of(rows, Limits(ttft_ms=99), AT_S).good == 0
    assert goodput_of(rows, Limits(tpot_ms=99), AT_S).good == 0
    assert goodput_of(rows, Limits(e2e_ms=1099), AT_S).good == 0
    assert goodput_of(rows, Limits(ttft_ms=100, tpot_ms=100, e2e_ms=1100), AT_S).good == 1


def test_a_request_of_one_chunk_has_no_tpot_to_miss() -> None:
    rows = [request("a", 0, output_tokens=1, t_last_ns=T0 + 100 * MS)]
    assert goodput_of(rows, Limits(tpot_ms=1), AT_S).good == 1


def test_enough_good_requests_meet_the_limit() -> None:
    rows = [request("a", i) for i in range(459)]
    assert goodput_of(rows, Limits(ttft_ms=500), AT_S).met == "met"
    assert goodput_of(rows[:458], Limits(ttft_ms=500), AT_S).met == "undecided"


def test_no_request_has_no_share() -> None:
    measured = goodput_of([], Limits(ttft_ms=1), AT_S)
    assert (measured.good, measured.total, measured.share, measured.met) == (0, 0, None, "undecided")


def test_limits_in_the_fields_spelling() -> None:
    assert parse_limits("ttft:500 tpot:30") == Limits(ttft_ms=500, tpot_ms=30)
    assert parse_limits("e2el:2000,ttft:1.5") == Limits(ttft_ms=1.5, e2e_ms=2000)
    assert parse_limits(" llama2-70b ").by_metric == {"ttft": 2000, "tpot": 200}
    assert parse_limits("llama3.1-8b-interactive tpot:20").by_metric == {"ttft": 500, "tpot": 20}
    assert parse_limits("ttft:400", Limits(ttft_ms=500, tpot_ms=30)) == Limits(ttft_ms=400, tpot_ms=30)


@pytest.mark.parametrize("text", ["", "ttft", "ttft:", "ttft:fast", "ttft:-1", "ttft:inf", "itl:5", "llama9"])
def test_limits_that_cannot_be_read_are_named(text: str) -> None:
    with pytest.raises(UserError, match="limit"):
        parse_limits(text)


def test_good_requests_are_counted_in_the_second_in_which_they_ended() -> None:
    rows = [request("a", i, at_s=i / 4, e2e_ms=1000) for i in range(12)] + [failed("a", 90, at_s=1.0)]
    rows.append(request("a", 91, at_s=1.0, ttft_ms=900, e2e_ms=1000))
    columns = Requests.from_frame(requests_frame(rows))
    ends_s = columns.end_ns[columns.good(Limits(ttft_ms=500))] / NS
    at_s = [T0 / NS + second for second in range(5)]
    assert counts_in(ends_s, at_s) == [0, 4, 4, 4, 0]
    assert counts_in(ends_s, [at_s[1], at_s[3]]) == [4, 4]
    assert counts_in(ends_s, []) == []


def test_the_lane_with_more_good_requests_is_ahead() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.poisson(12, 300).tolist(), rng.poisson(8, 300).tolist()
    verdict = goodput_verdict(a, b)
    assert (verdict.metric, verdict.word) == ("goodput", "A ahead")
    assert verdict.ratio == pytest.approx(1.5, rel=0.1)


def test_a_lane_without_a_good_request_is_behind_one_that_has_some() -> None:
    verdict = goodput_verdict([0.0] * 40, [1.0] * 40)
    assert (verdict.word, verdict.ratio) == ("B ahead", None)
    assert "no request of lane A" in verdict.reason
    assert goodput_verdict([0.0] * 100, [0.0] * 100).word == "undecided"
    assert goodput_verdict([0.0] * 40, [0.0] * 35 + [1.0] * 5).word == "undecided"
