"""Marks of a replay are kept next to the recording: they come back, survive a crash and never touch the session."""

import pwd
from pathlib import Path

import msgspec
import pytest

from tests.recording import synthetic
from tui.model.rows import EventRow
from tui.model.text import UserError
from tui.recording.marks import Marks, marks_root, open_marks


def test_what_was_marked_comes_back_in_order_of_time(tmp_path: Path) -> None:
    marks = Marks(tmp_path / "new" / "folder" / "s.jsonl")
    assert list(marks.read()) == []
    marks.add(70, "late")
    marks.add(50, "")
    marks.add(60, "note: fans loud")
    expected = [
        EventRow("", 50, "mark"),
        EventRow("", 60, "note", text="fans loud"),
        EventRow("", 70, "mark", text="late"),
    ]
    assert list(marks.read()) == expected
    assert list(Marks(marks.path).read()) == expected


def test_another_terminal_s_mark_is_seen(tmp_path: Path) -> None:
    mine, other = Marks(tmp_path / "s.jsonl"), Marks(tmp_path / "s.jsonl")
    mine.add(1, "mine")
    assert len(mine.read()) == 1
    other.add(2, "other")
    assert [row.text for row in mine.read()] == ["mine", "other"]


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_torn_line_takes_no_other_with_it(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "s.jsonl"
    marks = Marks(path)
    marks.add(1, "first")
    marks.add(2, "torn by a power cut")
    path.write_bytes(path.read_bytes()[:-cut])
    marks.add(3, "after it")
    texts = [row.text for row in Marks(path).read()]
    assert texts[0] == "first"
    assert texts[-1] == "after it"
    assert len(texts) == (3 if cut == 1 else 2)  # without its newline alone a line is whole


def test_text_is_cleaned_when_it_is_kept_and_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    marks = Marks(path)
    marks.add(1, "a\x1b[31mb\nc")
    assert b"\\u001b" not in path.read_bytes()
    with path.open("ab") as file:
        file.write(b'{"t_ns":2,"kind":"note","text":"\\u001b]0;title\\u0007x"}\n')
    assert [row.text for row in marks.read()] == ["ab c", "x"]


def test_where_nothing_can_be_written_the_operator_sees_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="could not save the mark"):
        Marks(tmp_path / "file" / "s.jsonl").add(1, "x")


def test_marks_belong_to_one_session_wherever_it_lies() -> None:
    info = synthetic.info("../odd name/é", profile={"name": "x"})
    path = open_marks(info).path
    assert path is not None
    assert path.parent == marks_root()
    assert open_marks(msgspec.structs.replace(info, ended="done", duration_s=9.0)).path == path
    assert open_marks(msgspec.structs.replace(info, wall_ns=info.wall_ns + 1)).path != path


def test_without_a_home_folder_a_session_opens_and_a_mark_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HOME", "DRAGSTRIP_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    marks = open_marks(synthetic.info("x"))
    assert not marks.read()
    with pytest.raises(UserError, match="no home folder; set HOME or DRAGSTRIP_HOME"):
        marks.add(1, "x")
