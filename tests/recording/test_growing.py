"""A table in parts becomes one file, and no interruption loses or doubles a row."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.recording import synthetic
from tui.model.rows import TABLES
from tui.recording import durable as folders
from tui.recording.growing import compact
from tui.recording.reader import open_session


class _CutOff(BaseException):
    """As if the program were killed."""


class Fuse:
    """Lets so many changes of folders through, then cuts the program off."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None  # None: all of them
        for owner, name in ((Path, "mkdir"), (Path, "rename"), (shutil, "rmtree")):
            monkeypatch.setattr(owner, name, self._before(getattr(owner, name)))
        for name in ("_exchange", "sync_folder"):
            monkeypatch.setattr(folders, name, self._before(getattr(folders, name)))

    def _before(self, change: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: object, **kwargs: object) -> object:
            if self.left == 0:
                raise _CutOff
            if self.left is not None:
                self.left -= 1
            return change(*args, **kwargs)

        return counted


@pytest.mark.parametrize("exchange", [True, False])
def test_compaction_cut_off_at_any_step_loses_and_doubles_nothing(
    killed_session: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    """Also where two folders cannot be exchanged in one step."""
    before = open_session(killed_session).scan("requests").collect()
    if not exchange:
        monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
    fuse = Fuse(monkeypatch)
    steps = 0
    while len(list((killed_session / "requests").iterdir())) > 1:
        fuse.left = steps
        with pytest.raises(_CutOff):
            compact(killed_session / "requests", "requests", synthetic.info())
        fuse.left = None
        assert open_session(killed_session).scan("requests").collect().equals(before), steps
        assert sorted(path.name for path in killed_session.iterdir()) == sorted([*TABLES, "session.toml"])
        steps += 1
    assert steps >= 4
