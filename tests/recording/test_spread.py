"""A session whose server joins tokens and counts at the end: live, replayed, and as a report has it."""

from bisect import bisect_left
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.judge.joined_tokens import FRAME_NS, Made, frame, made, packed
from tests.judge.joined_tokens import recorded as as_recorded
from tests.recording import synthetic
from tui.export.formats import export
from tui.judge.itl import ChunkGaps, TokenGaps
from tui.model.metrics import NS_PER_S
from tui.model.rows import LANES, Batch, Lane, SecondRow
from tui.recording.reader import RecordedSession, Selection, open_session
from tui.recording.recorder import Recorder
from tui.recording.tape import Tape, tables_of, token_gaps
from tui.session.seconds import LaneCondition, LaneCutter, SessionCutter

STREAMS, SECONDS = 64, 12


@pytest.fixture(scope="module")
def given() -> Made:
    return made("late", 2.8, STREAMS, float(SECONDS))


@pytest.fixture(scope="module")
def session(given: Made, tmp_path_factory: pytest.TempPathFactory) -> tuple[RecordedSession, list[SecondRow]]:
    """What a live session would record of lane A, and the seconds that it showed."""
    folder = tmp_path_factory.mktemp("spread") / "s"
    recorder = Recorder(folder, synthetic.info(t0_ns=0))
    cutter = SessionCutter({lane: LaneCutter(lane) for lane in LANES})
    chunks, _ = as_recorded(given)
    ended_ns = [row.t_end_ns for row in given.rows]
    shown: list[SecondRow] = []
    conditions: dict[Lane, LaneCondition] = {"a": LaneCondition(STREAMS, up=True, resting=False)}
    for end_ns in range(FRAME_NS, SECONDS * NS_PER_S + 1, FRAME_NS):
        first, last = np.searchsorted(chunks.t_ns, (end_ns - FRAME_NS, end_ns))
        columns = (chunks.request, chunks.t_ns, chunks.tokens, chunks.text_bytes)
        rows = given.rows[bisect_left(ended_ns, end_ns - FRAME_NS) : bisect_left(ended_ns, end_ns)]
        came = frame(end_ns, STREAMS, packed(*(column[first:last] for column in columns)), rows)
        recorder(Batch(end_ns, requests=rows, chunks=[("a", cutter.lanes["a"].add(came))]))
        if end_ns % NS_PER_S == 0:
            batch = cutter.cut(end_ns - NS_PER_S, end_ns, 1, conditions)
            shown += batch.seconds
            recorder(Batch(end_ns, seconds=batch.seconds))
    recorder.close("done", float(SECONDS))
    return open_session(folder), shown


def test_a_replay_has_the_tokens_that_counted_live(
    session: tuple[RecordedSession, list[SecondRow]], given: Made
) -> None:
    recorded, shown = session
    tape = Tape(recorded)
    for row in shown:
        chunks = tape.chunk_columns(row.t_ns, row.t_ns + NS_PER_S)["a"]
        assert chunks.tokens.sum() == row.output_tokens
    assert [row.output_tokens for row in tape.second_rows(0, tape.t_end_ns)] == [row.output_tokens for row in shown]
    ended = recorded.scan("chunks").filter(pl.col("request").is_in([row.request for row in given.rows[:-50]]))
    estimated = pl.coalesce("tokens_estimated", "tokens")
    counts = ended.select(pl.col("tokens").sum(), estimated.sum(), nothing=(pl.col("text_bytes") == 0).sum())
    tokens, live, rests = counts.collect().row(0)
    assert tokens == live == sum(row.output_tokens for row in given.rows[:-50])
    assert rests == len(given.rows) - 50


def test_a_report_lays_each_count_over_its_answer(
    session: tuple[RecordedSession, list[SecondRow]], given: Made
) -> None:
    recorded, shown = session
    true = np.bincount(given.t_ns // NS_PER_S, weights=given.tokens)[:SECONDS]
    seconds = tables_of(recorded).seconds["output_tokens"].to_numpy()
    live = np.array([row.output_tokens for row in shown])
    middle = slice(2, SECONDS - 5)  # later answers have not ended
    assert np.abs(seconds / true - 1)[middle].max() <= 0.02
    assert np.abs(live / true - 1)[middle].max() > 0.05  # nothing had been learnt
    ended = given.ended
    real = TokenGaps.of(ChunkGaps().feed_columns(given.request[ended], given.t_ns[ended], given.tokens[ended]))
    measured = token_gaps(recorded)["a"]
    for share in (0.5, 0.9):
        assert measured.percentile(share) == pytest.approx(real.percentile(share), rel=0.1)


def test_a_part_is_spread_as_the_whole_is(session: tuple[RecordedSession, list[SecondRow]]) -> None:
    recorded, _ = session
    whole = tables_of(recorded).seconds.filter(pl.col("t_ns").is_between(4 * NS_PER_S, 6 * NS_PER_S))
    part = tables_of(recorded, Selection(t0_ns=4 * NS_PER_S, t1_ns=7 * NS_PER_S)).seconds
    ratio = part["output_tokens"].to_numpy() / whole["output_tokens"].to_numpy()
    assert np.abs(ratio - 1).max() < 0.01


def test_the_report_says_how_tokens_were_counted(
    session: tuple[RecordedSession, list[SecondRow]], tmp_path: Path
) -> None:
    (file,) = export(session[0], "markdown", tmp_path)
    assert "at the end, of chunks with several tokens" in file.path.read_text()
