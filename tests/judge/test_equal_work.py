"""Lanes that did different work: no winner of whole requests, and the sentence with rates of tokens."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.judge.made import request
from tests.judge.test_sessions import ran
from tests.session.made_seconds import Run
from tui.judge.comparable import MIN_REQUESTS, Work, different, unknown_work, work_values
from tui.judge.conditions import fail_if
from tui.judge.ledger import ledger
from tui.judge.sessions import compare, measured
from tui.judge.tables import Tables
from tui.model.profile import Limits
from tui.model.rows import LANES, RequestRow
from tui.recording.schema import frame_of_rows
from tui.report.comparison import comparison_report
from tui.report.document import markdown
from tui.report.session import session_report

OUTPUTS = "different work: A's answers have 11.0 output tokens on average, B's 8.0"
PROMPTS = "different work: A's prompts have 50.0 prompt tokens on average, B's 30.0"
CUT = "different work: 0 % of A's answers were cut before the length asked for, 100 % of B's"
EARLY = "different work: 0 % of A's answers ended early, 100 % of B's"
WHOLE = {"e2e_p50", "e2e_p90", "e2e_p95", "e2e_p99", "goodput", "request_rate"}


def work(rows: list[RequestRow]) -> Work:
    return Work.of_requests(work_values(rows))


def lanes(count: int = 100, **b: Any) -> dict[Any, Work]:
    """A's usual requests, and so many of B's with other values."""
    return {
        "a": work([request("a", i) for i in range(count)]),
        "b": work([request("b", i, **b) for i in range(count)]),
    }


def with_b(tables: Tables, **columns: Any) -> Tables:
    """Other values in the requests of lane B."""
    is_b = pl.col("lane") == "b"
    changed = {n: pl.when(is_b).then(pl.lit(v)).otherwise(pl.col(n)) for n, v in columns.items()}
    schema = {name: tables.requests.schema[name] for name in columns}
    return replace(tables, requests=tables.requests.with_columns(**changed).cast(schema))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "b", "sentence"),
    [
        ("prompt_tokens", {"prompt_tokens": 30}, PROMPTS),
        ("prompt_tokens", {"prompt_tokens": 51}, ""),  # 2 %
        ("output_tokens", {"output_tokens": 8}, OUTPUTS),
        ("cut", {"output_tokens": 8}, CUT),
        ("early", {"output_tokens": 8, "finish_reason": "stop"}, EARLY),
        ("early", {"finish_reason": "stop"}, ""),
        ("cached", {"cached_tokens": 40}, "different work: 0 % of A's prompt tokens were cached, 80 % of B's"),
        ("cached", {"cached_tokens": 2}, ""),
    ],
)  # fmt: skip
def test_what_differs_is_said_with_both_figures(name: str, b: dict[str, Any], sentence: str) -> None:
    assert different(name)(lanes(**b)) == sentence
    assert different(name)(lanes(MIN_REQUESTS - 1, **b)) == ""


@pytest.mark.parametrize(
    ("b", "sentence"),
    [
        ({"prompt_tokens": None}, "unknown whether the work was the same: B reports no prompt tokens"),
        ({"cached_tokens": None}, ""),  # A had none
    ],
)
def test_what_is_not_reported_is_unknown(b: dict[str, Any], sentence: str) -> None:
    assert unknown_work(lanes(**b)) == sentence


def test_cached_tokens_of_one_lane_alone_leave_the_work_unknown() -> None:
    a, b = ([request(lane, i, cached_tokens=n) for i in range(20)] for lane, n in (("a", 25), ("b", None)))  # type: ignore[arg-type]
    sentence = unknown_work({"a": work(a), "b": work(b)})
    assert sentence.endswith("50 % of A's prompt tokens were cached, B does not report it")


def test_rows_and_their_table_have_the_same_work() -> None:
    rows = [request("a", i, output_tokens=i, cached_tokens=None if i % 2 else 5) for i in range(20)]
    assert Work.of_requests(work_values(rows)) == Work.of_requests(work_values(frame_of_rows("requests", rows)))


@pytest.mark.parametrize("spread", [0.1, 1.0])
def test_equal_lanes_of_jittered_lengths_are_hardly_ever_called_different(spread: float) -> None:
    """Lengths of ±10 %, and exponential ones, looked at after each of so many answers in turn."""
    rng = np.random.default_rng(11)
    looks = (MIN_REQUESTS, 12, 15, 20, 30, 50, 80, 120, 200)
    called = 0
    for _ in range(1000):
        shape = (2, looks[-1])
        lengths = rng.integers(230, 282, shape) if spread < 1 else np.ceil(rng.exponential(256, shape))
        blank = np.full(looks[-1], np.nan)
        values = [np.stack([blank, length, blank, blank, blank]) for length in lengths]
        said = [
            different("output_tokens")({n: Work.of_requests(v[:, :end]) for n, v in zip(LANES, values, strict=True)})
            for end in looks
        ]
        called += any(said)
    assert called == 0


def test_a_segment_that_differs_is_called_so_although_lengths_vary() -> None:
    rng = np.random.default_rng(12)
    a, b = (
        [request("a", i, output_tokens=int(n)) for i, n in enumerate(rng.normal(mean, 15, 100))]
        for mean in (248, 131)
    )
    assert "A's answers have 2" in different("output_tokens")({"a": work(a), "b": work(b)})  # fmt: skip


def test_the_ledger_keeps_its_winner_of_tokens_with_the_sentence() -> None:
    (row,) = ledger(with_b(ran(1, b_tps=1.3), output_tokens=8))
    assert (row.verdict.word, row.verdict.note) == ("B ahead", OUTPUTS)
    assert ledger(ran(1))[0].verdict.note == ""


def test_compare_names_no_winner_of_whole_requests() -> None:
    sessions = [with_b(ran(seed, b_ttft=1.5, b_tps=1.3), output_tokens=8) for seed in (1, 2, 3)]
    (setting,) = compare(sessions, Limits(ttft_ms=150))
    verdicts = {verdict.metric: verdict for verdict in setting.verdicts}
    forbidden = {name for name, verdict in verdicts.items() if verdict.word == "not comparable"}
    assert forbidden == WHOLE
    assert {verdicts[name].reason for name in forbidden} == {OUTPUTS}
    assert (verdicts["output_tps"].word, verdicts["output_tps"].note) == ("B ahead", OUTPUTS)
    text = markdown(comparison_report([tables.session for tables in sessions], [setting]))
    assert text.count(f"Note: {OUTPUTS}.") == 1


def test_the_report_says_so_at_its_ledger_and_names_no_winner_of_whole_requests() -> None:
    text = markdown(
        session_report(with_b(ran(1, b_ttft=1.5, b_tps=1.3), output_tokens=8), limits=Limits(ttft_ms=150))
    )
    assert f"Note, as at conc 8 streams, prompt 512 tok: {OUTPUTS}." in text
    assert f"Goodput not comparable: {OUTPUTS}." in text
    assert f"E2E is not comparable: {OUTPUTS}." in text
    assert "| not comparable |" in next(line for line in text.splitlines() if line.startswith("| E2E p50 | "))
    assert "A ahead" in next(line for line in text.splitlines() if line.startswith("| TTFT p50 | "))


def test_compare_names_no_winner_of_ttft_where_prompts_differ() -> None:
    (setting,) = compare([with_b(ran(seed, b_ttft=1.5), prompt_tokens=30) for seed in (1, 2)])
    reasons = {verdict.metric: verdict.reason for verdict in setting.verdicts if verdict.word == "not comparable"}
    assert reasons["ttft_p95"] == reasons["e2e_p95"] == PROMPTS
    assert "output_tps" not in reasons


def test_a_condition_on_whole_requests_is_undecided_and_one_on_tokens_has_the_sentence() -> None:
    figures = [measured(with_b(ran(3, b_ttft=2.0, b_tps=1.3), output_tokens=8))]
    whole, tokens = (fail_if(text, figures) for text in ("b.e2e_p50 > a.e2e_p50", "b.output_tps > a.output_tps"))
    assert (whole.holds, whole.obstacle) == ("undecided", OUTPUTS)
    assert (tokens.holds, tokens.note) == ("yes", OUTPUTS)


def test_the_live_view_names_no_winner_of_whole_requests() -> None:
    run = Run(rate={"a": 1200, "b": 1000}, slo=Limits(ttft_ms=200), b_output=6)
    run.seconds(150)
    view = run.view()
    sentence = "different work: A's answers have 10.0 output tokens on average, B's 6.0"
    assert {name for name, one in view.verdicts.items() if one.reason == sentence} == {"e2e_p95", "goodput"}
    assert (view.verdicts["output_tps"].word, view.verdicts["output_tps"].note) == ("A ahead", sentence)
    assert view.ledger[0].verdict.note == sentence
