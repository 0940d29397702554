"""Figures by name, conditions on them, and sessions as draws."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tests.judge.made import failed, request, requests_frame, second, seconds_frame, session, turned
from tui.judge.conditions import fail_if, parse
from tui.judge.sessions import Measured, compare, draws_verdict, measured
from tui.judge.tables import Tables
from tui.model.profile import Limits
from tui.model.rows import Lane, RequestRow
from tui.model.text import UserError
from tui.report.comparison import comparison_report
from tui.report.document import markdown
from tui.stats.distributions import t_quantile

LENGTH_S = 200


def ran(seed: int, *, b_ttft: float = 1.0, b_tps: float = 1.0, failures: int = 0, length_s: int = LENGTH_S) -> Tables:
    """A session of `length_s` in which B's TTFT and TPS are so many times A's, each measured with 10 % noise."""
    rng = np.random.default_rng(seed)
    rows: list[RequestRow] = []
    lanes: tuple[Lane, ...] = ("a", "b")
    for lane in lanes:
        factor = b_ttft if lane == "b" else 1.0
        for number in range(5 * length_s):
            ttft_ms = 100 * factor * float(np.exp(0.1 * rng.normal()))
            rows.append(request(lane, number, at_s=number / 5, ttft_ms=ttft_ms, e2e_ms=ttft_ms + 200))
    rows += [failed("b", 10_000 + i, at_s=20 + i) for i in range(failures)]
    ticks = [
        second(lane, i, int(rng.normal(1000 * (b_tps if lane == "b" else 1.0), 80)))
        for i in range(length_s)
        for lane in lanes
    ]
    return Tables(session(length_s), requests_frame(rows), seconds_frame(ticks))


def test_the_figures_of_the_settled_time() -> None:
    figures = measured(ran(1, b_ttft=2.0, b_tps=0.5, failures=10), limits=Limits(ttft_ms=150))
    assert figures.whole["a.output_tps"] == pytest.approx(1000, rel=0.02)
    assert figures.whole["b.output_tps"] == pytest.approx(500, rel=0.02)
    assert figures.whole["a.ttft_p50"] == pytest.approx(100, rel=0.02)
    assert figures.whole["b.ttft_p95"] == pytest.approx(200 * np.exp(0.1645), rel=0.03)
    assert figures.whole["a.request_rate"] == pytest.approx(5, rel=0.02)
    assert figures.whole["a.goodput"] == pytest.approx(5, rel=0.02)
    assert figures.whole["b.goodput"] < 0.1
    assert figures.whole["b.failed_share"] == pytest.approx(10 / 985, rel=0.03)
    assert len(figures.sections) == 10
    assert np.mean([part["a.output_tps"] for part in figures.sections]) == pytest.approx(998, rel=0.01)


def test_a_percentile_with_too_few_values_is_not_there() -> None:
    figures = measured(ran(1, length_s=60))
    assert "a.ttft_p95" in figures.whole
    assert "a.ttft_p99" not in figures.whole
    assert "a.ttft_p99" in figures.sections[0]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("b.ttft_p95 > a.ttft_p95 * 1.05", "yes"),
        ("b.ttft_p95 < a.ttft_p95 * 1.05", "no"),
        ("a.ttft_p50 >= 50 and b.ttft_p50 <= a.ttft_p50 * 2", "yes"),
        ("a.ttft_p50 >= 500 or b.output_tps > 100", "yes"),
        ("a.ttft_p50 >= 500 and b.output_tps > 100", "no"),
        ("b.output_tps > a.output_tps", "undecided"),
        ("b.output_tps > a.output_tps and a.ttft_p50 > 500", "no"),
        ("b.output_tps > a.output_tps or a.ttft_p50 > 500", "undecided"),
        ("b.failed_share > 0.001", "no"),
        ("(a.output_tps + b.output_tps) / 2 - 100 > 1.5 * 10", "yes"),
    ],
)
def test_a_condition_on_one_session(text: str, holds: str) -> None:
    assert fail_if(text, [measured(ran(3, b_ttft=1.2))]).holds == holds


def test_a_condition_on_several_sessions_takes_each_as_a_draw() -> None:
    steady = [measured(ran(seed, b_ttft=1.2)) for seed in range(4)]
    (judged,) = fail_if("b.ttft_p95 > a.ttft_p95 * 1.05", steady).judged
    assert judged.holds == "yes"
    assert judged.low < np.log(1.2 / 1.05) < judged.high
    restless = [measured(ran(seed, b_ttft=factor)) for seed, factor in enumerate((0.8, 1.6, 0.9, 1.5))]
    assert fail_if("b.ttft_p95 > a.ttft_p95 * 1.05", restless).holds == "undecided"


def test_a_border_is_named_wrongly_no_more_often_than_promised() -> None:
    rng = np.random.default_rng(5)
    words = []
    for _ in range(1000):
        a, b = np.exp(rng.normal(0, 0.05, 5)), np.exp(rng.normal(0, 0.05, 5))
        draws = [
            Measured({"a.output_tps": x, "b.output_tps": y}, []) for x, y in zip(a.tolist(), b.tolist(), strict=True)
        ]
        words.append(fail_if("b.output_tps > a.output_tps", draws).holds)
    assert words.count("yes") / 1000 == pytest.approx(0.025, abs=0.015)
    assert words.count("no") / 1000 == pytest.approx(0.025, abs=0.015)


@pytest.mark.parametrize(
    "text",
    [
        "", "b.ttft_p95", "b.ttft_p95 >", "1 < a.ttft_p95 < 3", "a.ttft_p95 == 3", "a.nothing > 3", "c.ttft_p95 > 3",
        "__import__('os').system('true') > 1", "a.ttft_p95.real > 1", "a.ttft_p95 ** 9 > 1", "'x' > 1",
        "True > a.ttft_p95", "a.ttft_p95 > 1e999", "a.ttft_p95 > 1" + "0" * 400,
        "(lambda: 1)() > 0", "[a.ttft_p95][0] > 1", "not a.ttft_p95 > 1", "a.ttft_p95 > 1; 2", "1 if 1 > 0 else 2",
        "(" * 200 + "1" + ")" * 200 + " > ", "1 > 0" * 200, "\x00 > 1",
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused_and_never_run(text: str) -> None:
    with pytest.raises(UserError):
        parse(text)


def test_a_figure_that_the_session_lacks_is_named() -> None:
    with pytest.raises(UserError, match=r"a\.goodput"):
        fail_if("a.goodput > 1", [measured(ran(1))])
    with pytest.raises(UserError, match="zero"):
        fail_if("a.output_tps / 0 > 1", [measured(ran(1))])
    with pytest.raises(UserError, match="no session"):
        fail_if("a.output_tps > 1", [])


def test_sessions_are_draws_not_pooled() -> None:
    (pooled,) = compare([ran(seed, b_ttft=1.3) for seed in range(3)])
    by_figure = {verdict.metric: verdict for verdict in pooled.verdicts}
    assert by_figure["ttft_p95"].word == "A ahead"
    assert by_figure["ttft_p95"].ratio == pytest.approx(1 / 1.3, rel=0.03)
    assert by_figure["ttft_p95"].n_batches == 3
    assert by_figure["output_tps"].word in {"level", "undecided"}
    assert pooled.dials["concurrency"] == "8"
    assert pooled.a["ttft_p50"] == pytest.approx(100, rel=0.02)


def test_the_words_on_one_session_are_those_of_a_condition_on_it() -> None:
    tables = ran(1, b_ttft=2.0)
    (pooled,) = compare([tables])
    by_figure = {verdict.metric: verdict for verdict in pooled.verdicts}
    assert by_figure["ttft_p95"].word == "A ahead"
    assert by_figure["ttft_p95"].reason == "10 spans of one launch"
    (judged,) = fail_if("a.ttft_p95 > b.ttft_p95", [measured(tables)]).judged
    low, high = by_figure["ttft_p95"].low, by_figure["ttft_p95"].high
    assert low is not None
    assert high is not None
    assert (np.log(low), np.log(high)) == pytest.approx((judged.low, judged.high))
    document = markdown(comparison_report([tables.session], [pooled], None))
    assert "its intervals are of this one" in document


def test_only_settings_that_every_session_visited_are_compared() -> None:
    other = ran(2)
    moved = Tables(other.session, other.requests, other.seconds, [turned(0, "concurrency", "64")])
    assert compare([ran(1), moved]) == []
    assert compare([]) == []


def test_the_interval_of_draws_is_students() -> None:
    verdict = draws_verdict("output_tps", [110.0, 121.0, 133.1], [100.0, 100.0, 100.0])
    assert verdict.ratio == pytest.approx(1.21)
    half = np.log(1.1) / np.sqrt(3) * t_quantile(0.975, 2)
    assert verdict.low == pytest.approx(1.21 * np.exp(-half))
    assert verdict.word == "undecided"


def alone(tables: Tables, lane: Lane, name: str) -> Tables:
    """One lane of a session as a session of its own, in which it is lane A."""
    tables_of = (tables.requests, tables.seconds)
    requests, seconds = (f.filter(pl.col("lane") == lane).with_columns(lane=pl.lit("a")) for f in tables_of)
    info = session(LENGTH_S, lanes="a")
    info.name = name
    return Tables(info, requests, seconds)


def test_two_sessions_of_one_lane_each_are_a_and_b() -> None:
    both = ran(1, b_ttft=1.5)
    sessions = [alone(both, "a", "old"), alone(both, "b", "new")]
    (pooled,) = compare(sessions)
    by_figure = {verdict.metric: verdict for verdict in pooled.verdicts}
    assert by_figure["ttft_p95"].word == "A ahead"
    assert by_figure["ttft_p95"].ratio == pytest.approx(1 / 1.5, rel=0.05)
    assert "one launch" in by_figure["ttft_p95"].reason
    condition = fail_if("b.ttft_p95 > a.ttft_p95 * 1.05", [measured(tables) for tables in sessions])
    assert condition.holds == "yes"
    text = markdown(comparison_report([tables.session for tables in sessions], [pooled], condition))
    assert "A is vllm of old, B is vllm of new" in text


def test_two_sessions_with_different_loads_are_not_comparable() -> None:
    both = ran(1)
    one, other = alone(both, "a", "old"), alone(both, "b", "new")
    other.session.profile["load"]["concurrency"] = 64
    (pooled,) = compare([one, other])
    assert {verdict.word for verdict in pooled.verdicts} == {"not comparable"}
    assert "concurrency 8 against 64" in pooled.verdicts[0].reason


def test_servers_that_may_not_be_compared_have_no_verdict_over_sessions() -> None:
    (pooled,) = compare([ran(1, b_ttft=2.0), replace(ran(2, b_ttft=2.0), refused="KV tokens differ")])
    assert {verdict.reason for verdict in pooled.verdicts} == {"KV tokens differ"}
