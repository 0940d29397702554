"""Lanes that take turns: what lies side by side, and what the verdict on it promises, by simulated runs."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest

from tests.judge.made import T0, request, requests_frame, second, seconds_frame, session
from tests.judge.simulated import seconds_of
from tui.judge.conditions import fail_if
from tui.judge.ledger import ledger
from tui.judge.sessions import measured
from tui.judge.tables import Tables
from tui.model.rows import LANES, Lane
from tui.report.document import markdown
from tui.report.session import session_report
from tui.report.summary import summary
from tui.stats.latency import Latencies, goodput_verdict, latency_turns_verdict
from tui.stats.turns import Floats, log_ratios, pairs_half_width, pairs_of, pairs_of_visits
from tui.stats.verdict import DELTA, Hysteresis, turns_verdict, word_of

RUNS = 1000
BLOCK_S, DRAIN_S = 30, 5
MIXED: list[Lane] = ["a", "b", "b", "a"]


def turns(seconds: int) -> dict[Lane, list[float]]:
    """When each lane is measured: blocks of 30 s in the order A B B A, 5 s of draining and warming up between two."""
    at_s: dict[Lane, list[float]] = {lane: [] for lane in LANES}
    now, place, had = 0, 0, ""
    while now < seconds:
        lane = MIXED[place % 4]
        now += DRAIN_S if lane != had else 0
        at_s[lane] += [float(t) for t in range(now, min(now + BLOCK_S, seconds))]
        now, place, had = now + BLOCK_S, place + 1, lane
    return at_s


@cache
def ratios(phi: float, lead: float, seconds: int, drift: float = 0.0) -> Floats:
    """The log ratio of each pair (runs, pairs) of two lanes that a drift makes faster together."""
    rng = np.random.default_rng([3, round(phi * 10), round(lead * 100)])
    at_s = turns(seconds)
    pairs = pairs_of(at_s)
    faster = np.exp(drift * np.arange(seconds) / seconds)
    lanes = [seconds_of(rng, RUNS, seconds, phi, mean) * faster for mean in (1000 * (1 + lead), 1000)]
    places = [np.array(at_s[lane], dtype=int) for lane in LANES]
    a, b = (lane[:, turn_s] for lane, turn_s in zip(lanes, places, strict=True))
    return np.array([log_ratios(pairs, a[run], b[run]) for run in range(RUNS)])


def test_blocks_next_to_a_hand_over_are_pairs_and_no_second_is_in_two() -> None:
    at_s = turns(420)
    pairs = pairs_of(at_s)
    assert len(pairs) == 6
    for lane in LANES:
        places = [place for pair in pairs for place in range(pair.seconds[lane].start, pair.seconds[lane].stop)]
        assert places == list(range(len(places)))
    first_of = [min(LANES, key=lambda lane: at_s[lane][pair.seconds[lane].start]) for pair in pairs]
    assert first_of == ["a", "b", "a", "b", "a", "b"]
    for pair in pairs:
        assert pair.seconds["a"].stop - pair.seconds["a"].start == BLOCK_S
        gaps = [pair.span_s["a"][1] - pair.span_s["b"][1]]
        assert abs(gaps[0]) <= 2 * BLOCK_S + DRAIN_S


def test_a_fragment_of_a_turn_is_no_block() -> None:
    whole = turns(220)
    assert len(pairs_of(whole)) == 3
    assert len(pairs_of({"a": whole["a"][25:], "b": whole["b"]})) == 2
    assert pairs_of({"a": [], "b": []}) == []
    assert pairs_of({"a": [1.0, 2.0, 3.0], "b": []}) == []


def test_visits_are_joined_without_a_pair_of_two() -> None:
    at_s = turns(160)
    once, twice = pairs_of(at_s), pairs_of_visits([at_s, at_s])
    assert len(twice) == 2 * len(once)
    assert twice[len(once)].seconds["a"].start == len(at_s["a"])


@pytest.mark.parametrize(("phi", "at_most"), [(0.0, 0.05), (0.5, 0.07), (0.8, 0.10)])
@pytest.mark.parametrize("drift", [0.0, 0.1])
def test_equal_lanes_seldom_have_a_winner(phi: float, at_most: float, drift: float) -> None:
    of_runs = ratios(phi, 0.0, 1200, drift)
    won = np.zeros(RUNS, dtype=np.bool_)
    for count in range(4, of_runs.shape[1] + 1):
        for run in np.flatnonzero(~won):
            seen = of_runs[run, :count]
            width = pairs_half_width(seen, count, 0.05, frozen=False)
            won[run] = word_of(seen.mean() - width, seen.mean() + width, DELTA) in {"A ahead", "B ahead"}
    assert won.mean() <= at_most


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("lead", [0.0, 0.1])
@pytest.mark.parametrize("frozen", [True, False])
def test_the_intervals_cover(phi: float, lead: float, frozen: bool) -> None:
    of_runs = ratios(phi, lead, 1200)
    counts = [of_runs.shape[1]] if frozen else range(4, of_runs.shape[1] + 1)
    missed = np.zeros(RUNS, dtype=np.bool_)
    for count in counts:
        mean = of_runs[:, :count].mean(axis=1)
        widths = [pairs_half_width(seen, count, 0.05, frozen=frozen) for seen in of_runs[:, :count]]
        missed |= np.abs(mean - math.log1p(lead)) > widths
    assert 0.92 <= 1 - missed.mean() <= 0.98


def test_a_lead_of_ten_percent_is_detected() -> None:
    at_s = turns(600)
    rng = np.random.default_rng(1)
    a, b = (seconds_of(rng, 1, 600, 0.5, mean)[0] for mean in (1100, 1000))
    a_tps, b_tps = (lane[np.array(at_s[name], dtype=int)].tolist() for name, lane in zip(LANES, (a, b), strict=True))
    verdict = turns_verdict(a_tps, b_tps, pairs_of(at_s))
    assert verdict.word == "A ahead"
    assert verdict.reason == "9 pairs of turns, 30 s of each lane"
    assert verdict.ratio == pytest.approx(1.1, rel=0.03)
    assert Hysteresis().look(verdict).shown == "undecided"


def test_too_few_turns_say_how_long_it_takes() -> None:
    at_s = turns(160)
    verdict = turns_verdict([1.0] * 80, [1.0] * 80, pairs_of(at_s))
    assert (verdict.word, verdict.need_s) == ("undecided", 2 * 60)
    assert "needs 4 turns" in verdict.reason


def test_latencies_and_goodput_are_compared_turn_by_turn() -> None:
    at_s = turns(600)
    rng = np.random.default_rng(2)

    def latencies(lane: Lane, mean_ms: float) -> Latencies:
        t_s = np.repeat(np.array(at_s[lane], dtype=np.float64), 4)
        return Latencies(t_s, mean_ms * np.exp(rng.normal(0, 0.1, t_s.size)))

    lanes = (latencies("a", 100.0), latencies("b", 120.0))
    verdict = latency_turns_verdict("ttft_p95", lanes, pairs_of(at_s))
    assert verdict.word == "A ahead"
    assert verdict.ratio == pytest.approx(1 / 1.2, rel=0.03)
    assert latency_turns_verdict("ttft_p95", lanes, pairs_of(turns(100))).word == "undecided"
    a, b = rng.poisson(9.0, len(at_s["a"])).tolist(), rng.poisson(4.0, len(at_s["b"])).tolist()
    assert goodput_verdict(a, b, pairs=pairs_of(at_s)).word == "A ahead"


def test_the_interval_of_few_turns_of_latencies_covers() -> None:
    at_s = turns(330)
    pairs = pairs_of(at_s)
    assert 4 <= len(pairs) < 10
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(300):
        lanes = [_blocks_apart(rng, at_s[lane]) for lane in LANES]
        verdict = latency_turns_verdict("ttft_p50", (lanes[0], lanes[1]), pairs, frozen=True)
        assert verdict.low is not None and verdict.high is not None
        covered.append(verdict.low <= 1 <= verdict.high)
    assert np.mean(covered) >= 0.9


def _blocks_apart(rng: np.random.Generator, at_s: list[float]) -> Latencies:
    """Latencies of a lane whose turns differ by more than its requests do."""
    t_s = np.repeat(np.array(at_s), 4)
    level = rng.normal(0, 0.2, int(max(at_s)) // 15 + 1)
    return Latencies(t_s, 100 * np.exp(level[(t_s // 15).astype(int)] + rng.normal(0, 0.02, t_s.size)))


def recorded(seconds: int = 600) -> Tables:
    """A session in turns in which A puts out a fifth more and its TTFT is a fifth longer."""
    at_s = turns(seconds)
    rng = np.random.default_rng(4)
    rows, requests = [], []
    for lane, rate, ttft_ms in zip(LANES, (1200, 1000), (120, 100), strict=True):
        turn_s = set(at_s[lane])
        for index in range(seconds):
            tokens = round(rng.normal(rate, 50)) if index in turn_s else 7 * (index % 3)  # a drain puts out a few
            rows.append(second(lane, index, tokens, resting=index not in turn_s))
            if index in turn_s:
                requests += [
                    request(
                        lane,
                        4 * index + place,
                        at_s=index + place / 5,
                        ttft_ms=ttft_ms * float(np.exp(rng.normal(0, 0.1))),
                        e2e_ms=200.0,
                    )
                    for place in range(4)
                ]
    return Tables(session(seconds), requests_frame(requests), seconds_frame(rows))


def test_a_recording_of_lanes_in_turns_is_judged_by_turns_everywhere() -> None:
    tables = recorded()
    (row,) = ledger(tables)
    assert row.verdict.word == "A ahead"
    assert row.verdict.ratio == pytest.approx(1.2, rel=0.02)
    assert "pairs of turns" in row.verdict.reason
    assert row.tps["a"] == pytest.approx(1200, rel=0.02)
    printed = summary(replace(tables, events=()), {})
    assert printed["lanes"]["b"]["output_tps"] == pytest.approx(1000, rel=0.02)
    assert printed["verdict"]["word"] == "A ahead"
    figures = measured(tables)
    assert figures.whole["a.output_tps"] == pytest.approx(1200, rel=0.02)
    assert figures.whole["b.request_rate"] == pytest.approx(4, rel=0.05)
    assert len(figures.sections) == 9
    assert fail_if("a.ttft_p95 > b.ttft_p95 * 1.1", [figures]).holds == "yes"
    text = markdown(session_report(tables))
    (line,) = [line for line in text.splitlines() if line.startswith("| TTFT p50 |")]
    assert "B ahead" in line


def test_without_a_flag_of_resting_nothing_changes() -> None:
    tables = recorded()
    older = tables.seconds.with_columns(resting=pl.lit(None, dtype=pl.Boolean))
    (row,) = ledger(Tables(tables.session, tables.requests, older))
    assert row.settled_s > 500
    assert tables.seconds["t_ns"].min() == T0
