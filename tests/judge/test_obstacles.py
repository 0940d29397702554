"""Why lanes are not compared: the same reason for every figure, wherever it is shown."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as replace_fields

from tests.judge.made import failed
from tests.judge.test_sessions import ran
from tests.session.made_seconds import Run
from tui.judge.conditions import fail_if
from tui.judge.ledger import ledger
from tui.judge.obstacles import Circumstances, obstacle
from tui.judge.sessions import compare, measured
from tui.judge.tables import Tables
from tui.model.profile import parse_limits
from tui.model.rows import LANES
from tui.recording.schema import frame_of_rows, rows_of_frame
from tui.report.document import markdown
from tui.report.session import session_report


def failing() -> Tables:
    """A third of lane B's requests fail, and its first tokens take half as long again."""
    tables = ran(1, b_ttft=1.5)
    rows = rows_of_frame("requests", tables.requests)
    some = [row for row in rows if row.lane == "b"][::2]
    errors = [failed("b", 9000 + i, at_s=(row.t_sched_ns - tables.session.t0_ns) / 1e9) for i, row in enumerate(some)]
    return replace(tables, requests=frame_of_rows("requests", [*rows, *errors]))


def test_with_failed_requests_no_figure_of_a_report_has_a_verdict() -> None:
    tables = failing()
    (row,) = ledger(tables)
    assert "requests failed in lane B" in row.verdict.reason
    text = markdown(session_report(tables, limits=parse_limits("ttft:120")))
    assert f"Goodput not comparable: {row.verdict.reason}." in text
    verdicts = [line.split(" | ")[-1] for line in text.splitlines() if line.startswith("| T") and " p" in line]
    assert not {"level |", "A ahead |", "B ahead |", "undecided |"} & set(verdicts)


def test_with_failed_requests_compare_has_no_verdict_either() -> None:
    (setting,) = compare([failing(), ran(2)])
    assert {verdict.word for verdict in setting.verdicts} == {"not comparable"}
    assert "requests failed in lane B" in setting.verdicts[0].reason


def test_with_different_models_the_ledger_agrees_with_the_head_line() -> None:
    run = Run(rate={"a": 1200, "b": 1000}, models=("x", "y"))
    run.seconds(150)
    view = run.view()
    reasons = {verdict.reason for verdict in view.verdicts.values()} | {row.verdict.reason for row in view.ledger}
    assert reasons == {"different models"}


def test_with_different_models_the_report_says_so_unless_that_is_waived() -> None:
    tables = ran(1)
    tables.session.lanes["b"] = replace_fields(tables.session.lanes["b"], model="other")
    assert {row.verdict.reason for row in ledger(tables)} == {"different models"}
    tables.session.profile["waive"] = ["model"]
    assert "not comparable" not in {row.verdict.word for row in ledger(tables)}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("b.ttft_p95 > a.ttft_p95 * 1.05", "undecided"),
        ("b.ttft_p95 > a.ttft_p95 * 1.05 or a.ttft_p50 > 500", "undecided"),
        ("b.ttft_p95 > a.ttft_p95 * 1.05 or a.ttft_p50 > 50", "yes"),  # of one lane alone it is known
        ("b.ttft_p50 > 50", "yes"),
    ],
)
def test_a_condition_on_lanes_that_are_not_comparable_is_undecided(text: str, holds: str) -> None:
    condition = fail_if(text, [measured(replace(ran(1, b_ttft=2.0), refused="KV tokens differ"))])
    assert condition.holds == holds
    assert condition.obstacle == ("KV tokens differ" if holds == "undecided" else "")


def test_how_many_failed_may_be_compared_although_they_failed() -> None:
    figures = measured(failing())
    assert fail_if("b.failed_share > a.failed_share", [figures]).holds == "yes"
    assert fail_if("b.ttft_p95 > a.ttft_p95", [figures]).holds == "undecided"


def test_the_first_reason_of_several_is_given() -> None:
    at = Circumstances(lanes=LANES, models=("x", "y"), incomparable="not comparable because precision differs")
    assert obstacle(at) == "precision differs"
    assert obstacle(replace(at, incomparable="")) == "different models"
    assert obstacle(replace(at, incomparable="", models=("org/X", "x"))) == ""
