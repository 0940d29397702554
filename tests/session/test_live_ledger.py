"""The ledger of a running head-to-head: a row a setting, revisits pooled, the sentence where the lead changes."""

from tests.session.made_seconds import Run
from tui.judge.sweep import curve
from tui.session.view import View
from tui.ui.widgets.tables import settings_rows


def crossed() -> Run:
    """A ahead at 8 streams, B at 16, and 8 visited again."""
    run = Run(rate={"a": 1200, "b": 1000})
    run.seconds(150)
    run.turn("8", "16")
    run.rate = {"a": 1000, "b": 1200}
    run.seconds(150)
    run.turn("16", "8")
    run.rate = {"a": 1200, "b": 1000}
    run.seconds(40)
    return run


def text(view: View) -> list[str]:
    return ["".join(part for part, _ in row) for row in settings_rows(view, 62, 12)]


def test_every_setting_is_a_row_and_revisits_pool() -> None:
    view = crossed().view()
    assert [row.dials["a"]["concurrency"] for row in view.ledger] == ["8", "16"]
    assert [row.visits for row in view.ledger] == [2, 1]
    assert [row.verdict.word for row in view.ledger] == ["A ahead", "B ahead"]
    assert view.ledger_now == 0
    assert view.ledger[0].settled_s > 140 + 20
    assert view.crossover == "A ahead up to 8 streams, B from 16"


def test_the_table_shows_them_and_the_sentence() -> None:
    shown = text(crossed().view())
    assert shown[1].startswith("▸conc 8")
    assert "A ahead" in shown[1]
    assert "B ahead" in shown[2]
    assert "up to 8 streams" in shown[-1]


def test_before_anything_is_settled_the_row_says_so() -> None:
    run = Run()
    run.seconds(3)
    assert "settling" in text(run.view())[1]


def test_servers_that_may_not_be_compared_have_no_word_in_any_row() -> None:
    run = Run(rate={"a": 1200, "b": 1000}, incomparable="precision differs")
    run.seconds(150)
    (row,) = run.view().ledger
    assert row.verdict.word == "not comparable"
    assert row.verdict.reason == "precision differs"


def test_the_ledger_draws_the_curve_of_both_lanes_with_intervals() -> None:
    run = Run(rate={"a": 1200, "b": 1000})
    run.seconds(100)
    assert curve(run.view().ledger) is None
    run.turn("8", "16")
    run.rate, run.ttft_ms = {"a": 1100, "b": 2000}, {"a": 200, "b": 200}
    run.seconds(100)
    drawn = curve(run.view().ledger)
    assert drawn is not None
    assert (drawn.dial, drawn.percentile) == ("concurrency", "p95")
    assert [point.setting for point in drawn.lines["a"]] == [8, 16]
    assert [point.beaten for point in drawn.lines["a"]] == [False, True]
    assert [point.beaten for point in drawn.lines["b"]] == [False, False]
    for point in drawn.lines["b"]:
        assert point.throughput_low is not None
        assert point.latency_high is not None
        assert point.throughput_low < point.throughput
        assert point.latency < point.latency_high
