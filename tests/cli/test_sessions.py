"""Shipped sessions are found by name, after recorded ones."""

from pathlib import Path

import pytest

from tests.recording import synthetic
from tui.cli.main import main
from tui.cli.sessions import session_named, shipped_sessions
from tui.model.rows import TABLES
from tui.model.text import UserError
from tui.recording.catalog import list_sessions, sessions_root
from tui.recording.reader import open_session

DATA = Path(__file__).parents[1] / "data"
CHUNKS = {"h100-concurrent": True, "h100-sweep": False}  # whether a shipped session holds them


def test_a_shipped_session_opens_by_name_and_says_what_it_is_of() -> None:
    recorded = open_session(session_named("h100-sweep"))
    assert {info.title for info in recorded.info.lanes.values()} == {"vLLM", "SGLang"}
    assert not recorded.info.simulated
    assert "random weights, speed only" in str(recorded.info.profile["sentence"])
    assert recorded.missing == []


def test_the_shipped_sessions_are_whole_and_small() -> None:
    shipped = {entry.name: entry for entry in list_sessions(shipped_sessions())}
    assert {name: entry.state for name, entry in shipped.items()} == dict.fromkeys(CHUNKS, "done")
    assert sum(entry.size_bytes for entry in shipped.values()) < 2_000_000  # most of what an installation weighs
    for name, has_chunks in CHUNKS.items():
        recorded = open_session(shipped[name].path)
        assert recorded.missing == []
        assert recorded.has_chunks == has_chunks
        assert all(recorded.files(table) for table in TABLES if has_chunks or table != "chunks")


def test_a_session_that_was_cut_off_says_so() -> None:
    (entry,) = [entry for entry in list_sessions(DATA) if entry.name == "h100-sweep-other-host"]
    assert entry.state == "cut off"


def test_a_recorded_session_comes_before_a_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGSTRIP_HOME", str(tmp_path))
    recorded = sessions_root() / "h100-sweep"
    (recorded / "events").mkdir(parents=True)
    assert session_named("h100-sweep") == recorded


def test_the_beginning_of_a_shipped_name_is_enough_where_no_recorded_one_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRAGSTRIP_HOME", str(tmp_path))
    assert session_named("h100-c") == shipped_sessions() / "h100-concurrent"
    with pytest.raises(UserError, match="beginning of 2 sessions"):
        session_named("h100-")
    recorded = sessions_root() / "h100-c-mine"
    (recorded / "events").mkdir(parents=True)
    assert session_named("h100-c") == recorded


@pytest.mark.parametrize("name", ["", "..", "no-such", "../sessions"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UserError):
        session_named(name)


@pytest.mark.parametrize("url", ["s3://h100-sweep", "https://host/h100-sweep?signature=secret"])
def test_a_url_is_refused_and_its_signature_is_not_repeated(url: str) -> None:
    with pytest.raises(
        UserError, match="not from a URL: copy it here first, or read its tables with Polars"
    ) as refused:
        session_named(url)
    assert "secret" not in str(refused.value)


def test_a_session_is_renamed_annotated_and_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    folder = sessions_root() / "2026_made-up"
    synthetic.record(folder, synthetic.batches(3)).close("done", 3.0)
    (folder / "mine.txt").write_text("not dragstrip's")
    assert main(["sessions", "rename", "2026", "first"]) == 0
    assert main(["sessions", "note", "first", "clocks were\x1b[2J low"]) == 0
    capsys.readouterr()
    assert main(["sessions"]) == 0
    header, first, *shipped = capsys.readouterr().out.splitlines()
    assert header.split() == ["session", "recorded,", "UTC", "length", "size", "servers"]
    assert first.split()[0] == "first"
    assert first.endswith("done: clocks were low")
    assert [line.endswith("  come with dragstrip") for line in shipped] == [True, True]
    assert main(["report", "first"]) == 0
    assert "Note: clocks were" in capsys.readouterr().out
    assert main(["sessions", "delete", "first"]) == 2
    assert "--yes deletes it without asking" in capsys.readouterr().err
    assert main(["sessions", "delete", "first", "--yes"]) == 0
    assert [path.name for path in (sessions_root() / "first").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", ["", "a/b", "-x", ".x", "other"])
def test_a_name_that_cannot_be_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("one", "other"):
        synthetic.record(sessions_root() / folder, synthetic.batches(1)).close("done", 1.0)
    assert main(["sessions", "rename", "--", "one", name]) == 2
    assert (sessions_root() / "one").is_dir()
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_is_being_recorded_or_comes_with_dragstrip_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    recorder = synthetic.record(sessions_root() / "running", synthetic.batches(1))
    for name, why in (("running", "is being recorded"), ("h100-sweep", "comes with dragstrip")):
        assert main(["sessions", "delete", name, "--yes"]) == 2
        assert why in capsys.readouterr().err
        assert session_named(name).is_dir()
    recorder.close("done", 1.0)
    assert main(["sessions", "--in", "/no/such"]) == 2
    assert "there is no folder /no/such" in capsys.readouterr().err
