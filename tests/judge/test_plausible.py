"""What must have been seen of answers for a figure to be derived from them, and where it is said that it was not."""

from dataclasses import replace
from typing import Any

import pytest

from tests.judge.made import MS, request
from tests.judge.test_sessions import ran
from tui.judge.conditions import fail_if
from tui.judge.ledger import ledger, main_setting, visited
from tui.judge.obstacles import Circumstances, obstacle
from tui.judge.plausible import GAP_FIGURES, TOKEN_FIGURES, Answers, doubts_of, doubts_of_most, unknown_of
from tui.judge.sessions import measured
from tui.judge.tables import Tables
from tui.model.rows import LANES, RequestRow
from tui.recording.schema import frame_of_rows, rows_of_frame
from tui.report.document import markdown
from tui.report.session import session_report
from tui.report.summary import summary


def answer(**seen: Any) -> RequestRow:
    """Of 20 tokens in 20 chunks of four bytes, 20 ms apart."""
    first_ns = 10**12
    last_ns = first_ns + int(seen.pop("stream_ms", 380) * MS)
    given = {"output_tokens": 20, "chunks": 20, "reads": 20, "text_bytes": 80, "prompt_tokens": 50, **seen}
    return request("a", 0, **{"t_first_ns": first_ns, "t_last_ns": last_ns, **given})


IN_ONE_READ = {"reads": 1, "stream_ms": 0}
UNKNOWN: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "all in one read": (IN_ONE_READ, GAP_FIGURES),
    "all in one read, in a recording without reads": (
        {"reads": None, "text_bytes": None, "stream_ms": 0},
        GAP_FIGURES,
    ),
    "one chunk of several tokens": ({"chunks": 1, **IN_ONE_READ}, GAP_FIGURES),
    "so long that it took several reads": ({"output_tokens": 500, "chunks": 500, "stream_ms": 2}, GAP_FIGURES),
    "held back but for the first": ({"reads": 2, "stream_ms": 60}, GAP_FIGURES),
    "more tokens than bytes": ({"output_tokens": 100, "text_bytes": 60}, TOKEN_FIGURES),
    "the prompt among the output": ({"output_tokens": 70}, TOKEN_FIGURES),
    "a count that was not believed": ({"tokens_from": "chunks, not usage"}, ("itl", "tokens_a_chunk")),
}
KNOWN: dict[str, dict[str, Any]] = {
    "a token a chunk": {},
    "half of the reads merged": {"reads": 10},
    "three tokens a chunk": {"output_tokens": 60, "text_bytes": 240},
    "one token": {"output_tokens": 1, "chunks": 1, **IN_ONE_READ, "text_bytes": 4},
    "three tokens in two reads": {"output_tokens": 3, "chunks": 3, "reads": 2, "stream_ms": 20, "text_bytes": 12},
    "hidden tokens that are told apart": {"output_tokens": 120, "hidden_tokens": 100, "k_first": 101},
    "no usage": {"tokens_from": "chunks", "output_tokens": 20, "text_bytes": 19},
    "as many more than chunks as the prompt has, and the text for them": {"output_tokens": 70, "text_bytes": 300},
    "an older recording": {"reads": None, "text_bytes": None, "output_tokens": 70},
}


@pytest.mark.parametrize(("seen", "figures"), UNKNOWN.values(), ids=UNKNOWN)
def test_figures_that_the_answers_do_not_support_are_unknown(seen: dict[str, Any], figures: tuple[str, ...]) -> None:
    rows = [answer(**seen)] * 3
    assert set(unknown_of(frame_of_rows("requests", rows))) == set(figures)


@pytest.mark.parametrize("seen", KNOWN.values(), ids=KNOWN)
def test_figures_that_the_answers_support_are_known(seen: dict[str, Any]) -> None:
    assert not unknown_of(frame_of_rows("requests", [answer(**seen)] * 3))


def test_rows_and_tables_are_doubted_in_the_same_way() -> None:
    rows = [answer(**seen) for seen in (*KNOWN.values(), *(seen for seen, _ in UNKNOWN.values()))]
    of_rows, of_frame = Answers.from_rows(rows), Answers.from_frame(frame_of_rows("requests", rows))
    assert doubts_of(of_rows).tolist() == doubts_of(of_frame).tolist()


def test_a_figure_is_unknown_when_most_answers_do_not_support_it() -> None:
    held, streamed = answer(**IN_ONE_READ), answer()
    assert not doubts_of_most(doubts_of(Answers.from_rows([held, streamed])))
    assert doubts_of_most(doubts_of(Answers.from_rows([held, held, streamed])))
    assert not doubts_of_most(doubts_of(Answers.from_rows([])))


def buffered() -> Tables:
    """Lane B's answers come whole."""
    tables = ran(1)
    rows = rows_of_frame("requests", tables.requests)
    held = [replace_first(row) if row.lane == "b" else row for row in rows]
    return replace(tables, requests=frame_of_rows("requests", held))


def replace_first(row: RequestRow) -> RequestRow:
    values = {name: getattr(row, name) for name in row.__struct_fields__}
    return RequestRow(**{**values, "t_first_ns": row.t_last_ns, "reads": 1})


def test_a_lane_whose_answers_come_whole_has_no_tpot_and_the_rest() -> None:
    tables = buffered()
    lane = summary(replace(tables, events=()), {})["lanes"]["b"]
    assert lane["tpot_ms"] == {"p50": None, "p95": None, "p99": None, "n": 0}
    assert set(lane["unknown"]) == {"tpot_ms", "itl_ms"}
    assert "one piece" in lane["unknown"]["tpot_ms"]
    assert lane["ttft_ms"]["p50"]
    assert lane["output_tps"]


def test_it_is_an_obstacle_for_the_verdict_on_that_figure_alone() -> None:
    tables = buffered()
    (row,) = ledger(tables)
    assert row.verdict.word != "not comparable"
    visit = main_setting(visited(tables))
    assert visit is not None
    at = visit.circumstances(tables.circumstances)
    assert "lane B does not stream" in obstacle(at, "tpot_p95")
    assert not obstacle(at, "ttft_p95")
    condition = fail_if("b.tpot_p50 < 5", [measured(tables)])
    assert (condition.holds, condition.obstacle) == ("undecided", obstacle(at, "tpot_p50"))


def test_wrong_counts_forbid_verdicts_on_tokens_alone() -> None:
    at = Circumstances(lanes=LANES, unknown={"a": dict.fromkeys(TOKEN_FIGURES, "counts the prompt")})
    assert obstacle(at, "output_tps") == "lane A counts the prompt"
    assert not obstacle(at, "e2e_p95")
    assert not obstacle(at)


def test_the_report_says_in_one_sentence_which_figures_are_unknown_and_why() -> None:
    text = markdown(session_report(buffered()))
    assert "Lane B does not stream: the answer came in one piece. Unknown are TPOT, ITL." in text
    row = next(line for line in text.splitlines() if line.startswith("| TPOT p50 |"))
    assert row.endswith("not comparable |")
