"""Every session gets its folder and is listed, and a name finds it."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.recording import synthetic
from tests.recording.conftest import Make
from tui.model.text import UserError
from tui.recording.catalog import list_sessions, reserve_folder, resolve, sessions_root
from tui.recording.reader import open_session
from tui.recording.recorder import Recorder


def begin(root: Path) -> Recorder:
    """As a program does that was started in that second."""
    info = synthetic.info("2026-11-23_120000_same")
    return Recorder(reserve_folder(root, info), info)


def test_sessions_of_the_same_second_have_separate_folders(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        recorders = list(pool.map(lambda _: begin(tmp_path / "sessions"), range(4)))
    for seconds, recorder in enumerate(recorders, 1):
        for batch in synthetic.batches(seconds):
            recorder(batch)
        recorder.close("done", float(seconds))
    folders = sorted((tmp_path / "sessions").iterdir())
    name = "2026-11-23_120000_same"
    assert [folder.name for folder in folders] == [name, f"{name}_2", f"{name}_3", f"{name}_4"]
    sessions = [open_session(folder) for folder in folders]
    assert [recorded.info.name for recorded in sessions] == [folder.name for folder in folders]
    assert sorted(recorded.scan("requests").collect().height for recorded in sessions) == [20, 40, 60, 80]


def test_a_name_is_a_folder_in_the_root_and_no_deeper(tmp_path: Path) -> None:
    assert reserve_folder(tmp_path, synthetic.info("../a/b")) == tmp_path / ".._a_b"


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot record into .*: name another folder"):
        begin(tmp_path / "file")


def test_sessions_are_listed_newest_first(make: Make, tmp_path: Path) -> None:
    make("older", seconds=2)
    make("newer", seconds=3, wall_ns=synthetic.WALL_NS + 10**9)
    (tmp_path / "sessions" / "no session").mkdir()
    newer, older = list_sessions(tmp_path / "sessions")
    assert (newer.name, older.name) == ("newer", "older")
    assert (newer.length_s, newer.state, newer.simulated) == (3.0, "done", False)
    assert newer.lanes == {"a": "vLLM 0.33.0 tiny", "b": "SGLang 0.5.23 tiny"}
    assert newer.size_bytes == sum(path.stat().st_size for path in newer.path.rglob("*") if path.is_file())


def test_a_killed_session_and_a_running_one_are_listed_as_such(killed_session: Path, tmp_path: Path) -> None:
    states = {entry.name: entry.state for entry in list_sessions(tmp_path)}
    assert states == {"killed": "cut off", "was": "recording"}


def test_how_long_a_killed_session_was_does_not_depend_on_when_it_was_copied(
    killed_session: Path, tmp_path: Path
) -> None:
    seconds = open_session(killed_session).scan("seconds").collect()["t_ns"]
    for path in killed_session.rglob("*"):
        os.utime(path, (2**31, 2**31))
    (killed,) = (entry for entry in list_sessions(tmp_path) if entry.name == "killed")
    assert killed.length_s == seconds.n_unique()
    shutil.rmtree(killed_session / "seconds")
    (killed,) = (entry for entry in list_sessions(tmp_path) if entry.name == "killed")
    assert killed.length_s == 0


def test_a_session_opens_by_path_name_and_beginning(make: Make, tmp_path: Path) -> None:
    root = tmp_path / "sessions"
    for name in ("2026-01-01_a", "2026-01-01_b", "2026-02-01"):
        make(name, seconds=1)
    assert resolve(str(root / "2026-02-01"), root) == root / "2026-02-01"
    assert resolve("2026-01-01_b", root) == root / "2026-01-01_b"
    assert resolve("2026-02", root) == root / "2026-02-01"
    with pytest.raises(UserError, match=r"'2026-01' is the beginning of 2 sessions \(2026-01-01_a, 2026-01-01_b\)"):
        resolve("2026-01", root)
    for name in ("nothing", "", "2026-02-01/requests"):
        if name:
            with pytest.raises(UserError, match="there is no session"):
                resolve(name, root)


def test_the_home_of_sessions_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGSTRIP_HOME", str(tmp_path))
    assert sessions_root() == tmp_path / "sessions"
    monkeypatch.delenv("DRAGSTRIP_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert sessions_root() == tmp_path / "data" / "dragstrip" / "sessions"
