"""What leaves a session is what is in it, says what it is, and gives nothing away."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.recording import coherent, synthetic
from tests.recording.conftest import Make
from tests.recording.test_recorder import record
from tui.cli.export import ProgressBar
from tui.cli.main import main
from tui.export.formats import FORMATS, export
from tui.judge.ledger import visited
from tui.model.rows import TABLES, EventRow
from tui.model.session import LaneInfo
from tui.model.text import UserError
from tui.recording.reader import Selection, open_session, window_ns
from tui.recording.recorder import Recorder
from tui.recording.schema import schema
from tui.recording.tables import tables_of, token_gaps
from tui.report.document import markdown
from tui.report.session import session_report
from tui.report.summary import summary

READERS = {
    "csv": lambda path, table: pl.read_csv(path, schema=schema(table)),
    "parquet": lambda path, table: pl.read_parquet(path),
    "ndjson": lambda path, table: pl.read_ndjson(path, schema=schema(table)),
}


@pytest.mark.parametrize("name", READERS)
def test_every_table_comes_back_as_it_was(make: Make, tmp_path: Path, name: str) -> None:
    recorded = make()
    files = export(recorded, name, tmp_path / "out")
    assert [(file.path.name, file.what) for file in files] == [(f"{table}.{name}", table) for table in TABLES]
    for file, table in zip(files, TABLES, strict=True):
        wanted = recorded.scan(table).collect()
        assert READERS[name](file.path, table).equals(wanted)
        assert (file.rows, file.size_bytes) == (wanted.height, file.path.stat().st_size)


def test_json_is_one_object(make: Make, tmp_path: Path) -> None:
    recorded = make()
    (file,) = export(recorded, "json", tmp_path)
    found = json.loads(file.path.read_text())
    assert (found["schema"], found["simulated"], found["session"]["name"]) == (1, False, "made-up")
    assert list(found["tables"]) == list(TABLES)
    assert found["tables"]["requests"] == recorded.scan("requests").collect().to_dicts()
    assert file.rows == sum(len(rows) for rows in found["tables"].values())


def test_one_table_goes_where_it_is_told(make: Make, tmp_path: Path) -> None:
    (file,) = export(make(), "csv", tmp_path / "deep" / "mine.csv", Selection(tables=("seconds",)))
    assert file.path == tmp_path / "deep" / "mine.csv"
    assert len(file.path.read_text().splitlines()) == 1 + 40


def test_a_window_a_lane_and_a_segment(make: Make, tmp_path: Path) -> None:
    recorded = make()
    t0_ns, t1_ns = window_ns(recorded.info, 5, 10)
    assert (t0_ns, t1_ns) == (synthetic.T0_NS + 5 * synthetic.SECOND_NS, synthetic.T0_NS + 10 * synthetic.SECOND_NS)

    def rows(selection: Selection) -> dict[str, int]:
        return {file.what: file.rows for file in export(recorded, "parquet", tmp_path / "o", selection)}

    assert rows(Selection(t0_ns=t0_ns, t1_ns=t1_ns)) == {
        "requests": 100, "chunks": 2000, "seconds": 10, "gauges": 10, "events": 1
    }  # fmt: skip
    assert rows(Selection(lane="b")) == {"requests": 200, "chunks": 4000, "seconds": 20, "gauges": 20, "events": 0}
    assert rows(Selection(lane="a", segment=1)) == {
        "requests": 70, "chunks": 1400, "seconds": 7, "gauges": 7, "events": 1
    }  # fmt: skip
    assert rows(Selection(segment=9)) == dict.fromkeys(TABLES, 0)


SIMULATED = {"a": LaneInfo(url="http://127.0.0.1:1", engine="vllm", title="vLLM", simulated=True)}


def test_every_file_of_a_simulated_session_says_so(make: Make, tmp_path: Path) -> None:
    recorded = make(lanes=SIMULATED)
    for name in (*READERS, "json"):
        for file in export(recorded, name, tmp_path / name):
            assert ".SIMULATED." in file.path.name
    (alone,) = export(recorded, "csv", tmp_path / "mine.csv", Selection(tables=("requests",)))
    assert alone.path.name == "mine.SIMULATED.csv"
    metadata = pl.read_parquet_metadata(tmp_path / "parquet" / "requests.SIMULATED.parquet")
    assert metadata["dragstrip.simulated"] == "true"
    assert json.loads((tmp_path / "json" / "made-up.SIMULATED.json").read_text())["simulated"] is True
    lines = (tmp_path / "ndjson" / "events.SIMULATED.ndjson").read_text().splitlines()
    assert all(json.loads(line)["simulated"] is True for line in lines)


def test_redacted_files_name_no_host_and_no_path(make: Make, tmp_path: Path) -> None:
    lanes = {
        "a": LaneInfo(url="http://gpu7.corp.example:8001", engine="vllm", title="vLLM", model="/srv/secret/llama")
    }
    profile = {
        "name": "p",
        "a": {"url": "http://gpu7.corp.example:8001", "dcgm": "http://gpu8.corp.example:9400/metrics"},
    }
    recorded = make(lanes=lanes, profile=profile, host={"name": "bench-client-3", "cores": "96"})
    for name in (*READERS, "json"):
        export(recorded, name, tmp_path / "plain" / name)
        export(recorded, name, tmp_path / "redacted" / name, Selection(redact=True))

    def holds(folder: Path, text: str) -> bool:
        return any(text.encode() in path.read_bytes() for path in folder.rglob("*.*"))

    for private in ("gpu7", "gpu8", "/srv/secret", "bench-client-3"):
        assert holds(tmp_path / "plain", private)
        assert not holds(tmp_path / "redacted", private)
    assert holds(tmp_path / "redacted", "llama")
    assert holds(tmp_path / "redacted", '"cores"')


@pytest.mark.parametrize(("name", "suffix"), [("markdown", ".md"), ("html", ".html")])
def test_a_report_tells_the_session(tmp_path: Path, name: str, suffix: str) -> None:
    recorded = coherent.record(tmp_path / "s", lanes=SIMULATED | {"b": SIMULATED["a"]})
    (file,) = export(recorded, name, tmp_path / "out", Selection(redact=True))
    text = file.path.read_text()
    assert file.path.name == f"s.SIMULATED{suffix}"
    assert "SIMULATED: these numbers come from simulated engines" in text
    assert "vLLM against vLLM" in text
    assert "127.0.0.1" not in text


def test_a_session_without_an_end_is_as_long_as_its_seconds(tmp_path: Path) -> None:
    record(tmp_path / "s", synthetic.batches(3))
    recorded = open_session(tmp_path / "s")
    assert (recorded.info.duration_s, tables_of(recorded).session.duration_s) == (0.0, 3.0)
    (file,) = export(recorded, "markdown", tmp_path / "out")
    assert ", 3 s, cut short: it has no end." in file.path.read_text()


@pytest.mark.parametrize("part", [Selection(segment=1), Selection(t0_ns=synthetic.T0_NS + 7 * synthetic.SECOND_NS)])
def test_a_report_of_a_part_divides_by_its_own_seconds(make: Make, part: Selection) -> None:
    recorded = make(seconds=14)
    tables = tables_of(recorded, part)
    told = summary(tables.session, tables.requests, tables.seconds, {})
    assert told["duration_s"] == 7
    assert told["lanes"]["a"]["output_tps"] == 200


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


def test_the_bar_comes_when_it_takes_long_and_goes_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    monkeypatch.setattr(said, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", said)
    bar = ProgressBar(after_s=60)
    bar.show("requests", 1, 4)
    assert said.getvalue() == ""
    bar = ProgressBar(after_s=0)
    bar.show("requests", 1, 4)
    assert said.getvalue() == f"\rrequests  {'█' * 8:<30}  25%"
    bar.clear()
    assert said.getvalue().endswith(" \r")


def test_token_gaps_are_those_of_the_requests(tmp_path: Path) -> None:
    recorded = coherent.record(tmp_path / "s")
    gaps = token_gaps(recorded, Selection(lane="a"))["a"]
    rows = recorded.scan("requests").filter(lane="a").collect().to_dicts()
    assert gaps.n == sum(max(row["chunks"] - 1, 0) for row in rows)
    spent_ms = sum((row["t_last_ns"] - row["t_first_ns"]) / 1e6 for row in rows if row["chunks"])
    assert (gaps.itl_ms * gaps.tokens).sum() == pytest.approx(spent_ms)
    assert gaps.percentile(0.5) == pytest.approx(np.percentile(gaps.itl_ms, 50, method="inverted_cdf"))


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


def test_help_names_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert ", ".join(FORMATS) in " ".join(capsys.readouterr().out.split())


def test_the_command_takes_a_part(make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = str(make().directory)
    part = ["--table", "seconds", "--lane", "b", "--from", "7", "--until", "14", "--segment", "1"]
    assert main(["export", session, *part, "--to", str(tmp_path / "mine.csv")]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'mine.csv'}  seconds, 7 rows, ")
    rows = pl.read_csv(tmp_path / "mine.csv")
    assert set(rows["lane"]) == {"b"}
    assert set(rows["segment"]) == {1}


def test_progress_counts_up_to_the_end(make: Make, tmp_path: Path) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}
    export(make(), "csv", tmp_path, progress=lambda what, done, of: seen.setdefault(what, []).append((done, of)))
    assert seen["requests"][-1] == (400, 400)
    assert seen["chunks"][-1] == (8000, 8000)
    assert all(done == sorted(done) for done in seen.values())


@pytest.mark.parametrize("name", ["vllm", "sglang", "guidellm", "aiperf"])
def test_a_file_of_requests_counts_them(make: Make, tmp_path: Path, name: str) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}
    recorded = make(load=synthetic.Load(requests_per_s=200, tokens=1, failed_every=0), seconds=8)
    export(recorded, name, tmp_path, progress=lambda what, done, of: seen.setdefault(what, []).append((done, of)))
    for lane in ("lane a", "lane b"):
        counts = [done for done, of in seen[lane] if of]  # of requests that ended well, where others are apart
        assert counts == [1_000, 1_600]


@pytest.mark.parametrize(
    ("name", "target", "says"),
    [
        ("xls", "out", "there is no export format 'xls': choose one of csv, parquet"),
        ("csv", "sessions/made-up/requests", "is inside the session that is exported"),
        ("csv", "file/out", "cannot write .*: name another place"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(make: Make, tmp_path: Path, name: str, target: str, says: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=says):
        export(make(seconds=1), name, tmp_path / target)
