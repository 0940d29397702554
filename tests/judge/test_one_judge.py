"""The screen, a window, the report and `compare` of a recording have one ledger, to the last digit."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from tui.judge.ledger import LedgerRow, ledger
from tui.judge.sessions import measured
from tui.judge.tables import Tables
from tui.model.rows import LANES
from tui.recording.reader import open_session
from tui.recording.tape import Tape, tables_of
from tui.session.recorded_state import Judgements
from tui.session.timeline import profile_of
from tui.session.window import window_of

ROOT = Path(__file__).parents[2]
SESSIONS = ("profiles/sessions/h100-concurrent", "profiles/sessions/h100-sweep", "tests/data/h100-sweep-other-host")
NS = 1_000_000_000


@pytest.fixture(scope="module", params=SESSIONS)
def recording(request: pytest.FixtureRequest) -> tuple[Tables, Tape, list[LedgerRow]]:
    """A recording of real servers, and the ledger that a replay shows at its end."""
    session = open_session(ROOT / request.param)
    tape = Tape(session)
    judgements = Judgements(tape, profile_of(tape.info))
    judgements.run(follow=False)
    judged = judgements.at(judgements.reached)
    assert judged is not None
    return tables_of(session), tape, list(judged.ledger)


def test_the_screen_shows_the_ledger_of_the_report(recording: tuple[Tables, Tape, list[LedgerRow]]) -> None:
    tables, tape, rows = recording
    # Requests that ended in the last second, which is not whole, are known to the report alone.
    tables = replace(tables, requests=tables.requests.filter(pl.col("t_end_ns") < tape.t_end_ns))
    shown = [row for row in rows if row.settled_s]
    reported = [row for row in ledger(tables, frozen=False) if row.settled_s]
    assert [replace(row, figures={}) for row in shown] == [replace(row, figures={}) for row in reported]
    assert [repr(row.figures) for row in shown] == [repr(row.figures) for row in reported]


def test_a_window_over_a_setting_has_the_verdict_of_its_row(
    recording: tuple[Tables, Tape, list[LedgerRow]],
) -> None:
    tables, tape, _ = recording
    rows = ledger(tables)
    turns_ns = [event.t_ns for event in tape.events if event.kind == "dial"]
    last_turn_s = max(turns_ns, default=tape.t0_ns) - tape.t0_ns
    window = window_of(tape, profile_of(tape.info), last_turn_s / NS + 1, 10**9)
    if turns_ns:
        assert window.verdicts["output_tps"] == rows[-1].verdict


def test_compare_has_the_throughput_of_the_rows(recording: tuple[Tables, Tape, list[LedgerRow]]) -> None:
    tables, _, _ = recording
    figures = measured(tables).whole
    assert any(
        all(row.tps[lane] == pytest.approx(figures[f"{lane}.output_tps"], rel=1e-9) for lane in LANES)
        for row in ledger(tables)
    )
