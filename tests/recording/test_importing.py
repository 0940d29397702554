"""Another tool's result becomes a session with the same figures, which says what is not known."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.recording import coherent, synthetic
from tui.cli.main import main
from tui.recording.export.registry import FORMATS, export
from tui.recording.foreign.importing import import_result
from tui.recording.reading.batches import batches
from tui.recording.reading.reader import Recorded, open_session
from tui.recording.reading.selection import Selection
from tui.recording.writing.recorder import Recorder
from tui.records.errors import UserError

SAME = ("completed", "failed", "total_output_tokens", "mean_ttft_ms", "p99_tpot_ms", "mean_itl_ms", "std_e2el_ms")


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    """Where the results come from."""
    return coherent.record(tmp_path / "original")


def exported(recorded: Recorded, name: str, folder: Path) -> Path:
    (file,) = export(recorded, name, folder, Selection(lane="a"))
    return file.path


def test_vllm_there_and_back(recorded: Recorded, tmp_path: Path) -> None:
    path = exported(recorded, "vllm", tmp_path)
    (folder,) = import_result(path, "0.1.0", tmp_path / "sessions")
    found = open_session(folder)
    before, after = (json.loads(file.read_text()) for file in (path, exported(found, "vllm", tmp_path / "again")))
    for name in SAME:
        assert after[name] == pytest.approx(before[name], rel=1e-6), name
    assert found.info.duration_s == before["duration"]
    assert found.info.lanes["a"].engine == "vllm"
    assert found.info.profile["load"] == {"arrival": "closed", "concurrency": 12}


def test_sglang_keeps_latencies_and_says_that_times_are_laid_out(recorded: Recorded, tmp_path: Path) -> None:
    path = exported(recorded, "sglang", tmp_path)
    (folder,) = import_result(path, "0.1.0", tmp_path / "sessions")
    found = open_session(folder)
    before, after = (json.loads(file.read_text()) for file in (path, exported(found, "sglang", tmp_path / "again")))
    for name in ("completed", "total_output_tokens", "mean_ttft_ms", "p99_itl_ms"):
        assert after[name] == pytest.approx(before[name], rel=1e-6), name
    notes = [event.text for batch in batches(found) for event in batch.events]
    assert any("when each request was sent: they are laid out anew" in note for note in notes)
    assert found.info.profile["imported"]["not_known"]


def test_sglang_writes_infinity_and_tells_of_its_server(recorded: Recorded, tmp_path: Path) -> None:
    path = exported(recorded, "sglang", tmp_path)
    result = json.loads(path.read_text()) | {"request_rate": float("inf")}
    result["server_info"] = {"model_path": "m", "version": "0.5.23", "simulated": True}
    path.write_text(json.dumps(result))
    assert "Infinity" in path.read_text()
    (folder,) = import_result(path, "0.1.0", tmp_path / "sessions")
    found = open_session(folder).info
    assert found.profile["load"] == {"arrival": "closed", "concurrency": 12}
    assert (found.lanes["a"].version, found.lanes["a"].model, found.simulated) == ("0.5.23", "m", True)


def test_an_imported_session_plays(recorded: Recorded, tmp_path: Path) -> None:
    (folder,) = import_result(exported(recorded, "vllm", tmp_path), "0.1.0", tmp_path / "sessions")
    _, *seconds = batches(open_session(folder))
    rows = [batch.seconds[0] for batch in seconds]
    assert sum(row.finished for row in rows) == sum(
        len([r for r in batch.requests if r.outcome == "ok"]) for batch in seconds
    )
    assert sum(row.started for row in rows) == sum(row.finished + row.failed for row in rows)
    assert rows[-1].in_flight == 0
    assert sum(row.output_tokens for row in rows) == sum(r.output_tokens for batch in seconds for r in batch.requests)


def test_a_request_that_was_never_sent_does_not_stretch_the_session(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "s", synthetic.info())
    for batch in synthetic.batches(3):
        first, *rest = batch.requests
        lost = msgspec.structs.replace(
            first, t_send_ns=None, t_first_ns=None, t_last_ns=None, outcome="failed", cause="connection refused"
        )
        batch.requests = [lost, *rest]
        recorder(batch)
    recorder.close("done", 3.0)
    path = exported(open_session(tmp_path / "s"), "vllm", tmp_path)
    assert min(json.loads(path.read_text())["start_times"]) > synthetic.T0_NS / 1e9 - 2
    (folder,) = import_result(path, "0.1.0", tmp_path / "sessions")
    assert open_session(folder).scan("seconds").collect().height < 10


def test_each_line_of_an_appended_file_is_a_session(recorded: Recorded, tmp_path: Path) -> None:
    line = exported(recorded, "vllm", tmp_path).read_text().strip()
    both = tmp_path / "both.json"
    both.write_text(f"{line}\n{line}")
    folders = import_result(both, "0.1.0", tmp_path / "sessions")
    assert [folder.name for folder in folders] == ["imported_both", "imported_both_2"]


WHOLE: dict[str, Any] = {"mean_e2e_latency_ms": 1.0, "duration": 1.0}


def result(**changes: object) -> str:
    """One of SGLang's benchmark of two requests: one without output, one that failed."""
    lists = {"input_lens": [1, 1], "output_lens": [0, 0], "ttfts": [0.0, 0.0], "itls": [[], []], "errors": ["", "no"]}
    return json.dumps(WHOLE | lists | changes)


@pytest.mark.parametrize("name", FORMATS)
def test_a_result_without_a_single_output_becomes_every_format(tmp_path: Path, name: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(result())
    (folder,) = import_result(path, "0.1.0", tmp_path / "sessions")
    for file in export(open_session(folder), name, tmp_path / "out"):
        content = file.path.read_bytes()
        assert b"NaN" not in content
        if name == "vllm":
            told = json.loads(content)
            assert (told["completed"], told["failed"]) == (0, 2)
            assert told["errors"] == ["no output", "bad answer: no"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("no json", "is not JSON"),
        ("[]", "holds no result"),
        ("{}", "is no result of `vllm bench serve` or of SGLang's benchmark"),
        ('{"total_token_throughput": 1, "num_prompts": 1}', "run it again with --save-detailed"),
        (json.dumps(WHOLE), "run it again with --output-details"),
        (
            json.dumps(WHOLE | {n: ["x"] for n in ("input_lens", "output_lens", "ttfts", "itls", "errors")}),
            "is damaged",
        ),
        (
            json.dumps(WHOLE | {n: [] for n in ("input_lens", "output_lens", "ttfts", "itls")} | {"errors": [""]}),
            "is damaged",
        ),
        (
            json.dumps(
                WHOLE | {"input_lens": [1], "output_lens": [1], "ttfts": [float("nan")], "itls": [[]], "errors": [""]}
            ),
            "a time in it is no number",
        ),
        (result(ttfts=[-1.0]), "a length in it is below 0"),
        (result(duration=float("inf")), "a time in it is no number"),
        (result(max_concurrency="many"), "is damaged"),
        (result(start_times=[1e9, 0.0]), "start more than"),
    ],
)
def test_what_is_no_result_is_one_sentence(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(content)
    with pytest.raises(UserError, match=says):
        import_result(path, "0.1.0", tmp_path / "sessions")
    with pytest.raises(UserError, match="cannot read"):
        import_result(tmp_path / "nothing.json", "0.1.0", tmp_path)


def test_the_command_names_the_session_and_says_what_is_not_known(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DRAGSTRIP_HOME", str(tmp_path / "home"))
    path = exported(recorded, "sglang", tmp_path)
    for name in ("imported_original.a.sglang", "imported_original.a.sglang_2"):
        assert main(["import", str(path)]) == 0
        said = capsys.readouterr()
        assert said.out == f"{name}\n"
        assert "not known: when each request was sent" in said.err
        assert "not known: the server's gauges, GPUs and any change of the load" in said.err
        assert open_session(tmp_path / "home" / "sessions" / name).info.name == name
