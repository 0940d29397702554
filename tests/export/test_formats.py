"""Every format takes every session, reports progress, and refuses in one sentence."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from tests.recording import coherent, synthetic
from tests.recording.conftest import Make
from tui.export.formats import FORMATS, export
from tui.model.session import LaneInfo
from tui.model.text import UserError
from tui.recording.reader import Selection, open_session
from tui.recording.recorder import Recorder
from tui.recording.tape import tables_of
from tui.report.document import markdown
from tui.report.session import session_report

SIMULATED = LaneInfo(url="http://127.0.0.1:1", engine="vllm", title="vLLM", simulated=True)


@pytest.mark.parametrize(("name", "suffix"), [("markdown", ".md"), ("html", ".html")])
def test_a_report_is_written_for_the_session(tmp_path: Path, name: str, suffix: str) -> None:
    recorded = coherent.record(tmp_path / "s", lanes=dict.fromkeys("ab", SIMULATED))
    (file,) = export(recorded, name, tmp_path / "out", Selection(redact=True))
    text = file.path.read_text()
    assert file.path.name == f"s.SIMULATED{suffix}"
    assert "SIMULATED: these numbers come from simulated engines" in text
    assert "vLLM against vLLM" in text
    assert "127.0.0.1" not in text


@pytest.mark.parametrize("in_turns", [False, True])
def test_a_report_of_one_lane_of_two_has_no_verdict(make: Make, tmp_path: Path, in_turns: bool) -> None:
    recorded = make()
    tables = tables_of(recorded, Selection(lane="b"))
    if in_turns:
        tables = replace(tables, seconds=tables.seconds.with_columns(resting=pl.col("t_ns") % 4 == 0))
    text = markdown(session_report(tables))
    assert list(tables.session.lanes) == ["b"]
    assert "The lane" in text
    assert "verdict" not in text
    (file,) = export(recorded, "markdown", tmp_path / "out", Selection(lane="b"))
    assert file.path.read_text().startswith("# SGLang 0.5.23: made")


def test_every_format_takes_a_session_in_which_all_failed(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "s", synthetic.info())
    for batch in synthetic.batches(3):
        batch.chunks.clear()
        batch.requests = [row for row in batch.requests if row.outcome == "failed"]
        recorder(batch)
    recorder.close("done", 3.0)
    for name in FORMATS:
        files = export(open_session(tmp_path / "s"), name, tmp_path / "out" / name)
        assert sum(file.size_bytes for file in files) > 0


def test_every_format_takes_an_empty_session(tmp_path: Path) -> None:
    Recorder(tmp_path / "s", synthetic.info()).close("done", 0.0)
    for name in FORMATS:
        export(open_session(tmp_path / "s"), name, tmp_path / "out" / name)


def test_progress_counts_up_to_the_end(make: Make, tmp_path: Path) -> None:
    seen: dict[str, list[tuple[int, ...]]] = {}
    export(make(), "csv", tmp_path, progress=lambda what, *counts: seen.setdefault(what, []).append(counts))
    assert seen["requests"][-1] == (400, 400)
    assert seen["chunks"][-1] == (8000, 8000)
    assert all(done == sorted(done) for done in seen.values())


@pytest.mark.parametrize("name", ["vllm", "sglang", "guidellm", "aiperf"])
def test_a_file_of_requests_counts_them(make: Make, tmp_path: Path, name: str) -> None:
    seen: dict[str, list[tuple[int, ...]]] = {}
    recorded = make(load=synthetic.Load(requests_per_s=200, tokens=1, failed_every=0), seconds=8)
    export(recorded, name, tmp_path, progress=lambda what, *counts: seen.setdefault(what, []).append(counts))
    for lane in ("lane a", "lane b"):
        counts = [done for done, total in seen[lane] if total]  # of requests that ended well, where others are apart
        assert counts == [1_000, 1_600]


@pytest.mark.parametrize(
    ("name", "target", "says"),
    [
        ("xls", "out", "there is no export format 'xls': choose one of bundle, csv, parquet"),
        ("csv", "sessions/made-up/requests", "is inside the session that is exported"),
        ("csv", "file/out", "cannot write .*: name another place"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(make: Make, tmp_path: Path, name: str, target: str, says: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=says):
        export(make(seconds=1), name, tmp_path / target)
