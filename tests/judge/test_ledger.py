"""Settings as rows, revisits pooled, and the sentence about the lead."""

from dataclasses import replace

import numpy as np
import pytest

from tests.judge.made import NS, T0, failed, request, requests_frame, second, seconds_frame, session, turned
from tests.judge.simulated import seconds_of
from tui.judge.ledger import LedgerRow, ledger, main_setting
from tui.judge.ledger import visited as visited_settings
from tui.judge.sweep import crossover, varied
from tui.judge.tables import Tables
from tui.model.rows import LANES, EventRow, SecondRow
from tui.stats.verdict import Verdict, Word

VISIT_S = 150


def visited(settings: list[tuple[str, float]], lanes: str = "ab") -> Tables:
    """A session that holds each (concurrency, A's lead) for 150 s; it starts at a concurrency of 8."""
    rng = np.random.default_rng(1)
    rows: list[SecondRow] = []
    events: list[EventRow] = []
    for number, (concurrency, lead) in enumerate(settings):
        start = number * VISIT_S
        if number:
            events.append(turned(start, "concurrency", concurrency))
        a = seconds_of(rng, 1, VISIT_S, 0.2, 1000 * (1 + lead))[0]
        b = seconds_of(rng, 1, VISIT_S, 0.2)[0]
        rows += [second("a", start + i, int(a[i]), segment=number) for i in range(VISIT_S)]
        if "b" in lanes:
            rows += [second("b", start + i, int(b[i]), segment=number) for i in range(VISIT_S)]
    requests = [
        request(lane, n, at_s=n * VISIT_S + 20, segment=n) for n in range(len(settings)) for lane in ("a", "b")
    ]
    return Tables(session(lanes=lanes), requests_frame(requests), seconds_frame(rows), events)


def test_each_setting_is_a_row_and_revisits_pool() -> None:
    rows = ledger(visited([("8", 0.2), ("32", -0.2), ("8", 0.2)]))
    assert [row.dials["a"]["concurrency"] for row in rows] == ["8", "32"]
    assert [row.visits for row in rows] == [2, 1]
    assert [row.settled_s for row in rows] == [290, 145]
    assert [row.verdict.word for row in rows] == ["A ahead", "B ahead"]
    assert rows[0].verdict.n_batches == 14
    assert rows[0].tps["a"] == pytest.approx(1200, rel=0.03)
    assert rows[0].requests == {"a": 2, "b": 2}
    assert not rows[0].bound


def test_of_settings_as_long_the_busiest_is_foremost() -> None:
    tables = visited([("8", -0.5), ("32", 0.2), ("64", -0.2)])
    first = main_setting(ledger(tables))
    same = main_setting(visited_settings(tables))
    assert first is not None
    assert same is not None
    assert (first.dials["a"]["concurrency"], same.dials) == ("32", first.dials)
    longer = main_setting(ledger(visited([("8", -0.5), ("32", 0.2), ("8", -0.5)])))
    assert longer is not None
    assert longer.dials["a"]["concurrency"] == "8"
    assert main_setting([]) is None


def test_the_lead_changes_hands() -> None:
    rows = ledger(visited([("8", 0.3), ("24", 0.2), ("48", -0.2), ("96", -0.3)]))
    assert varied(rows) == "concurrency"
    assert crossover(rows) == "A ahead up to 24 streams, B from 48"


def test_lanes_asked_for_different_loads_are_not_comparable() -> None:
    tables = visited([("8", 0.2), ("8", 0.2)])
    apart = Tables(tables.session, tables.requests, tables.seconds, [turned(VISIT_S, "concurrency", "16", "b")])
    first, other = ledger(apart)
    assert first.verdict.word == "A ahead"
    assert other.verdict.word == "not comparable"
    assert not other.linked


def test_one_lane_alone_has_rows_without_a_verdict() -> None:
    (row,) = ledger(visited([("8", 0.0)], lanes="a"))
    assert set(row.tps) == {"a"}
    assert row.verdict.word == "not comparable"


def test_errors_make_a_setting_not_comparable() -> None:
    tables = visited([("8", 0.2)])
    rows = [request(lane, i, at_s=20) for i in range(50) for lane in LANES] + [failed("a", 50, at_s=20)]
    (row,) = ledger(Tables(tables.session, requests_frame(rows), tables.seconds))
    assert row.verdict.word == "not comparable"
    assert row.failed == {"a": 1, "b": 0}


def test_a_client_that_was_the_limit_gives_no_verdict() -> None:
    rows = [second(lane, i, 100, bound=i > 20) for i in range(120) for lane in ("a", "b")]
    (row,) = ledger(Tables(session(), requests_frame([]), seconds_frame(rows)))
    assert row.bound
    assert row.verdict.word == "not comparable"
    assert "client" in row.verdict.reason


def test_a_down_lane_gives_no_verdict() -> None:
    rows = [second("a", i, 100) for i in range(120)] + [second("b", i, 0, up=i < 20) for i in range(120)]
    (row,) = ledger(Tables(session(), requests_frame([]), seconds_frame(rows)))
    assert "down" in row.verdict.reason


def test_servers_that_may_not_be_compared_have_no_verdict() -> None:
    tables = replace(visited([("8", 0.2)]), refused="KV tokens differ")
    (row,) = ledger(tables)
    assert (row.verdict.word, row.verdict.reason) == ("not comparable", "KV tokens differ")
    assert row.tps["a"] > row.tps["b"]


def test_segments_with_unknown_dials_are_not_pooled() -> None:
    tables = replace(visited([("8", 0.2), ("32", -0.2)]), events=())
    assert [row.verdict.word for row in ledger(tables)] == ["A ahead", "B ahead"]


def test_a_turn_in_the_middle_of_a_second_belongs_to_it() -> None:
    rows = [second(lane, i, 100, segment=int(i >= 30)) for i in range(60) for lane in ("a", "b")]
    event = EventRow("", T0 + 30 * NS + 999_999_999, "dial", "concurrency", "8", "16")
    rows_by_setting = ledger(Tables(session(), requests_frame([]), seconds_frame(rows), [event]))
    assert [row.dials["b"]["concurrency"] for row in rows_by_setting] == ["8", "16"]


def rows_of(words: dict[float, Word], name: str = "concurrency") -> list[LedgerRow]:
    base = ledger(visited([("8", 0.0)]))[0].dials
    rows = []
    for value, word in words.items():
        dials = {lane: {**setting, name: f"{value:g}"} for lane, setting in base.items()}
        rows.append(LedgerRow(dials, 1, 100, {}, {}, {}, bound=False, verdict=Verdict("output_tps", word)))
    return rows


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({1: "A ahead", 2: "undecided", 4: "level", 8: "B ahead"}, "A ahead up to 1 streams, level from 4, B from 8"),
        ({4: "B ahead", 1: "B ahead"}, "B ahead at every setting from 1 to 4 streams"),
        ({1: "A ahead", 2: "undecided"}, ""),
        ({1: "A ahead"}, ""),
    ],
)
def test_the_sentence(words: dict[float, Word], sentence: str) -> None:
    assert crossover(rows_of(words)) == sentence


def test_the_sentence_names_another_dial() -> None:
    rows = rows_of({128: "B ahead", 1024: "A ahead"}, "prompt_tokens")
    assert crossover(rows) == "B ahead up to 128 prompt tok, A from 1024"


def test_nothing_visited_is_nothing_said() -> None:
    assert crossover([]) == ""
    assert ledger(Tables(session(), requests_frame([]), seconds_frame([]))) == []
