"""Percentiles with intervals, and their verdict under repeated looking."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pytest

from tui.model.metrics import PERCENTILES
from tui.stats.latency import Latencies, latency_figure, latency_verdict

STATE_SD, OWN_SD = 0.2, 0.3


def lane(rng: np.random.Generator, seconds: int, phi: float, median_ms: float = 100.0) -> Latencies:
    """Ten requests a second whose latencies share a server state with lag-1 correlation `phi` a second."""
    t_s = np.sort(rng.uniform(0, seconds, rng.poisson(10 * seconds)))
    state = np.empty(seconds)
    state[0] = rng.normal()
    for second in range(1, seconds):
        state[second] = phi * state[second - 1] + math.sqrt(1 - phi**2) * rng.normal()
    noise = STATE_SD * state[t_s.astype(int)] + OWN_SD * rng.normal(size=t_s.size)
    return Latencies(t_s, median_ms * np.exp(noise))


def until(latencies: Latencies, t_s: float) -> Latencies:
    n = int(np.searchsorted(latencies.t_s, t_s))
    return Latencies(latencies.t_s[:n], latencies.ms[:n])


@pytest.mark.parametrize("name", ["p50", "p95", "p99"])
def test_the_interval_of_one_lane_covers(name: str) -> None:
    rng = np.random.default_rng(1)
    true_ms = 100 * math.exp(math.hypot(STATE_SD, OWN_SD) * NormalDist().inv_cdf(PERCENTILES[name].share))
    figures = [latency_figure(lane(rng, 200, 0.5), name) for _ in range(300)]
    assert np.mean([f.low <= true_ms <= f.high for f in figures if f.low is not None and f.high is not None]) >= 0.9


def test_equal_lanes_watched_seldom_have_a_winner() -> None:
    rng = np.random.default_rng(2)
    named = []
    for _ in range(150):
        a, b = lane(rng, 300, 0.5), lane(rng, 300, 0.5)
        words = {latency_verdict("ttft_p95", until(a, t), until(b, t)).word for t in range(80, 301, 20)}
        named.append("A ahead" in words or "B ahead" in words)
    assert np.mean(named) <= 0.07


def closed_loop(rng: np.random.Generator, seconds: int, prefill_s: float = 0.02, streams: int = 32) -> Latencies:
    """Streams that send request after request to a server that prefills one at a time and decodes for 2.5 s."""
    ready = [(start_s, stream) for stream, start_s in enumerate(rng.uniform(0, 2.5, streams))]
    free_s, sent = 0.0, []
    while (now := min(ready))[0] < seconds + 10:
        free_s = max(now[0], free_s) + prefill_s * math.exp(rng.normal(0, 0.1))
        sent.append((now[0] - 10, (free_s - now[0]) * 1000))
        ready[now[1]] = (free_s + 2.5 * rng.normal(1, 0.05), now[1])
    t_s, ms = np.array(sorted(sent)).T
    return Latencies(t_s[t_s >= 0], ms[t_s >= 0])


def winners(figure: str, a: Latencies, b: Latencies, looks: Sequence[int]) -> set[str]:
    words = (latency_verdict(figure, until(a, t), until(b, t)).word for t in looks)
    return {word for word in words if word.endswith("ahead")}


def test_equal_lanes_seldom_have_a_winner_early() -> None:
    rng = np.random.default_rng(7)
    looks = (22, 32, 42, 62)
    shared = [winners("ttft_p50", lane(rng, 63, 0.8), lane(rng, 63, 0.8), looks) for _ in range(100)]
    closed = [winners("ttft_p50", closed_loop(rng, 63), closed_loop(rng, 63), looks) for _ in range(25)]
    assert sum(map(bool, [*shared, *closed])) <= 1


def test_equal_lanes_of_a_closed_loop_that_are_watched_seldom_have_a_winner() -> None:
    rng = np.random.default_rng(8)
    looks = [22, 32, 42, 62, *range(82, 180, 20)]
    named = [winners("ttft_p95", closed_loop(rng, 180), closed_loop(rng, 180), looks) for _ in range(20)]
    assert sum(map(bool, named)) <= 2


def test_a_large_lead_is_named_within_a_minute_and_at_its_own_level() -> None:
    rng = np.random.default_rng(9)
    a, b = (until(closed_loop(rng, 65, prefill_s), 62) for prefill_s in (0.02, 0.04))
    verdict = latency_verdict("ttft_p50", a, b)
    assert verdict.word == "A ahead"
    assert verdict.level == pytest.approx(0.9975)
    assert latency_verdict("ttft_p50", a, b, frozen=True).level == 0.95


def test_a_session_that_ended_before_four_batches_is_judged_at_its_end() -> None:
    """The last requests sent are cut off by the end, so that 85 settled seconds hold fewer of requests."""
    rng = np.random.default_rng(10)
    a, b = (until(lane(rng, 80, 0.5, median_ms), 74) for median_ms in (100.0, 160.0))
    assert latency_verdict("ttft_p50", a, b, frozen=True).word == "A ahead"


def test_what_is_still_needed_is_said_only_where_it_can_be_foreseen() -> None:
    rng, ratios, said = np.random.default_rng(11), [], 0
    for _ in range(12):
        a, b = lane(rng, 400, 0.5, 100), lane(rng, 400, 0.5, 115)
        looks = {t: latency_verdict("ttft_p50", until(a, t), until(b, t)) for t in range(82, 400, 20)}
        fell = next((t for t, verdict in looks.items() if verdict.word.endswith("ahead")), 400)
        foretold = [t + one.need_s for t, one in looks.items() if t < fell and one.need_s is not None]
        ratios += [total / fell for total in foretold]
        said += bool(foretold)
    assert said >= 2
    assert np.mean([0.5 <= ratio <= 2 for ratio in ratios]) >= 0.7


def test_the_lower_lane_is_ahead_and_the_ratio_is_a_over_b() -> None:
    rng = np.random.default_rng(3)
    verdict = latency_verdict("ttft_p95", lane(rng, 300, 0.5, 80), lane(rng, 300, 0.5, 100))
    assert verdict.word == "A ahead"
    assert verdict.ratio == pytest.approx(0.8, rel=0.08)
    assert verdict.metric == "ttft_p95"


def test_one_look_has_a_narrower_interval_that_covers() -> None:
    rng = np.random.default_rng(4)
    covered = []
    for _ in range(200):
        a, b = lane(rng, 200, 0.5, 120), lane(rng, 200, 0.5)
        once, watched = (latency_verdict("e2e_p50", a, b, frozen=frozen) for frozen in (True, False))
        assert once.low is not None
        assert once.high is not None
        assert watched.low is not None
        assert watched.low < once.low
        covered.append(once.low <= 1.2 <= once.high)
    assert 0.92 <= np.mean(covered) <= 0.98


def test_a_p99_of_few_values_is_withheld_and_says_how_many_are_missing() -> None:
    values = Latencies(np.arange(300.0), np.full(300, 5.0), failed=0)
    figure = latency_figure(values, "p99")
    assert (figure.value, figure.low, figure.missing, figure.n) == (None, None, 68, 300)
    assert latency_figure(values, "p95").value == 5.0
    verdict = latency_verdict("ttft_p99", values, values)
    assert verdict.word == "undecided"
    assert "68 more" in verdict.reason


def test_failures_are_infinitely_late() -> None:
    figure = latency_figure(Latencies(np.arange(400.0), np.full(400, 5.0), failed=10), "p99")
    assert figure.value == 5.0
    assert figure.with_fail == math.inf
    assert latency_figure(Latencies(np.arange(400.0), np.full(400, 5.0), failed=2), "p99").with_fail == 5.0


def test_few_values_lie_in_an_interval_of_order_statistics() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(1000):
        figure = latency_figure(Latencies(np.arange(12.0), np.exp(rng.normal(0, 0.5, 12))), "p50")
        assert figure.low is not None
        assert figure.high is not None
        covered += figure.low <= 1.0 <= figure.high
    assert 0.95 <= covered / 1000 <= 0.99  # at least: the ranks are whole
    six = latency_figure(Latencies(np.arange(6.0), np.arange(1.0, 7.0)), "p50")
    assert (six.low, six.high) == (1.0, 6.0)


def test_too_short_a_span_says_how_many_seconds_more() -> None:
    rng = np.random.default_rng(5)
    a = lane(rng, 12, 0.0)
    verdict = latency_verdict("ttft_p50", a, a)
    assert verdict.word == "undecided"
    assert verdict.need_s == pytest.approx(8, abs=1)


def test_a_lane_that_paused_for_long_is_undecided() -> None:
    rng = np.random.default_rng(6)
    a, b = lane(rng, 200, 0.0), lane(rng, 200, 0.0)
    gap = (b.t_s < 60) | (b.t_s > 130)
    assert latency_verdict("ttft_p50", a, Latencies(b.t_s[gap], b.ms[gap])).word == "undecided"
