"""Every session has a folder of its own."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.recording import synthetic
from tui.model.text import UserError
from tui.recording.catalog import reserve_folder
from tui.recording.reader import open_session
from tui.recording.recorder import Recorder


def begin(root: Path) -> Recorder:
    """As a program does that was started in that second."""
    info = synthetic.info("2026-11-23_120000_same")
    return Recorder(reserve_folder(root, info), info)


def test_sessions_of_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        recorders = list(pool.map(lambda _: begin(tmp_path / "sessions"), range(4)))
    for seconds, recorder in enumerate(recorders, 1):
        for batch in synthetic.batches(seconds):
            recorder(batch)
        recorder.close("done", float(seconds))
    folders = sorted((tmp_path / "sessions").iterdir())
    name = "2026-11-23_120000_same"
    assert [folder.name for folder in folders] == [name, f"{name}_2", f"{name}_3", f"{name}_4"]
    found = [open_session(folder) for folder in folders]
    assert [recorded.info.name for recorded in found] == [folder.name for folder in folders]
    assert sorted(recorded.scan("requests").collect().height for recorded in found) == [20, 40, 60, 80]


def test_a_name_is_a_folder_in_the_root_and_no_deeper(tmp_path: Path) -> None:
    assert reserve_folder(tmp_path, synthetic.info("../a/b")) == tmp_path / ".._a_b"


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot record into .*: name another folder"):
        begin(tmp_path / "file")
