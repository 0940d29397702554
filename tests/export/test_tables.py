"""Our own tables come back from every format as they were, and no export names a place that it should not."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from tests.recording import synthetic
from tests.recording.conftest import Make
from tui.export.formats import export
from tui.model.rows import TABLES
from tui.model.session import LaneInfo
from tui.recording.reader import Selection, window_ns
from tui.recording.schema import schema

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
    exported = json.loads(file.path.read_text())
    assert (exported["schema"], exported["simulated"], exported["session"]["name"]) == (1, False, "made-up")
    assert list(exported["tables"]) == list(TABLES)
    assert exported["tables"]["requests"] == recorded.scan("requests").collect().to_dicts()
    assert file.rows == sum(len(rows) for rows in exported["tables"].values())


def test_one_table_goes_to_the_folder_given(make: Make, tmp_path: Path) -> None:
    (file,) = export(make(), "csv", tmp_path / "deep" / "mine.csv", Selection(tables=("seconds",)))
    assert file.path == tmp_path / "deep" / "mine.csv"
    assert len(file.path.read_text().splitlines()) == 1 + 40


def test_a_window_a_lane_and_a_segment(make: Make, tmp_path: Path) -> None:
    recorded = make()
    t0_ns, t1_ns = window_ns(recorded.info, 5, 10)
    assert (t0_ns, t1_ns) == (synthetic.T0_NS + 5 * synthetic.SECOND_NS, synthetic.T0_NS + 10 * synthetic.SECOND_NS)

    def rows(selection: Selection) -> dict[str, int]:
        replacing = replace(selection, overwrite=True)
        return {file.what: file.rows for file in export(recorded, "parquet", tmp_path / "o", replacing)}

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
