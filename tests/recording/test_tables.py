"""A recording, or a part of it, gives the tables and token gaps that its rows say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.recording import coherent, synthetic
from tests.recording.conftest import Make
from tests.recording.synthetic import record
from tui.export.formats import export
from tui.judge.itl import ChunkGaps, TokenGaps
from tui.judge.ledger import visited
from tui.model.rows import EventRow
from tui.recording.reader import Selection, open_session, window_ns
from tui.recording.recorder import Recorder
from tui.recording.tape import LaneChunks, tables_of, token_gaps
from tui.report.summary import summary


def test_a_session_without_an_end_is_as_long_as_its_seconds(tmp_path: Path) -> None:
    record(tmp_path / "s", synthetic.batches(3))
    recorded = open_session(tmp_path / "s")
    assert (recorded.info.duration_s, tables_of(recorded).session.duration_s) == (0.0, 3.0)
    (file,) = export(recorded, "markdown", tmp_path / "out")
    assert ", 3 s, cut short: it has no end." in file.path.read_text()


@pytest.mark.parametrize("part", [Selection(segment=1), Selection(t0_ns=synthetic.T0_NS + 7 * synthetic.SECOND_NS)])
def test_a_report_of_a_part_divides_by_the_seconds_of_that_part(make: Make, part: Selection) -> None:
    recorded = make(seconds=14)
    tables = tables_of(recorded, part)
    figures = summary(replace(tables, events=()), {})
    assert figures["duration_s"] == 7
    assert figures["lanes"]["a"]["output_tps"] == 200


def test_a_part_keeps_the_dials_and_the_refusal_from_before_it(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "s", synthetic.info())
    for batch in synthetic.batches(21):
        batch.events += [EventRow("", synthetic.T0_NS, "incomparable", text="not comparable because of it")]
        recorder(batch)
    recorder.close("done", 21.0)
    t0_ns, t1_ns = window_ns(open_session(tmp_path / "s").info, 9, 13)
    tables = tables_of(open_session(tmp_path / "s"), Selection(t0_ns=t0_ns, t1_ns=t1_ns))
    (visit,) = visited(tables)
    assert visit.dials["a"]["concurrency"] == "8"
    assert tables.refused == "not comparable because of it"
    assert [event.new for event in tables.events if event.kind == "dial"] == ["1", "8"]


def test_token_gaps_are_those_of_the_requests(tmp_path: Path) -> None:
    recorded = coherent.record(tmp_path / "s")
    gaps = token_gaps(recorded, Selection(lane="a"))["a"]
    rows = recorded.scan("requests").filter(lane="a").collect().to_dicts()
    assert gaps.n == sum(max(row["chunks"] - 1, 0) for row in rows)
    spent_ms = sum((row["t_last_ns"] - row["t_first_ns"]) / 1e6 for row in rows if row["chunks"])
    each = LaneChunks.from_frame(recorded.scan("chunks").filter(lane="a").collect())
    exact = ChunkGaps().feed_columns(each.request, each.t_ns, each.tokens)
    assert (exact.itl_ms * exact.tokens).sum() == pytest.approx(spent_ms)
    for share in (0.5, 0.95, 0.99):
        wanted = np.percentile(exact.itl_ms.repeat(exact.tokens), share * 100, method="inverted_cdf")
        assert gaps.percentile(share) == pytest.approx(wanted, abs=5e-4)


def test_a_gap_of_seconds_is_known_exactly_and_counts_as_often_as_its_tokens() -> None:
    gaps = TokenGaps()
    assert (gaps.n, gaps.percentile(0.5)) == (0, None)
    t_ns = np.array([0, 10_000_000, 20_000_000, 5_020_000_000])
    gaps.add(ChunkGaps().feed_columns(np.zeros(4, dtype=np.int64), t_ns, np.array([1, 2, 1, 1])))
    assert gaps.n == 4
    assert [gaps.percentile(share) for share in (0.5, 0.75, 0.99)] == [5.0, 10.0, 5000.0]
