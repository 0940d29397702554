"""Recorded sessions to read, export and replay."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.recording import synthetic
from tests.recording.synthetic import record
from tui.recording.reader import RecordedSession, open_session
from tui.recording.recorder import Recorder

Make = Callable[..., RecordedSession]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Records a made-up session and opens it."""

    def record(
        name: str = "made-up", seconds: int = 20, load: synthetic.Load | None = None, **about: object
    ) -> RecordedSession:
        recorder = Recorder(tmp_path / "sessions" / name, synthetic.info(name, **about))
        for batch in synthetic.batches(seconds, load):
            recorder(batch)
        recorder.close("done", float(seconds))
        return open_session(tmp_path / "sessions" / name)

    return record


@pytest.fixture(autouse=True)
def _no_recorder_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A recorder that a test leaves open must not go on beating under the tests that follow."""
    made: list[Recorder] = []
    begin = Recorder.__init__

    def remember(self: Recorder, *args: object, **options: object) -> None:
        begin(self, *args, **options)  # type: ignore[arg-type]
        made.append(self)

    monkeypatch.setattr(Recorder, "__init__", remember)
    yield
    for recorder in made:
        recorder._closing.set()


@pytest.fixture
def killed_session(tmp_path: Path) -> Path:
    """A session whose program was killed: parts, no end. Its requests are in two parts."""
    directory = tmp_path / "killed"
    load = synthetic.Load(requests_per_s=2_100, tokens=1)
    record(tmp_path / "was", synthetic.batches(3, load))  # never closed: its lock is let go with the copy
    shutil.copytree(tmp_path / "was", directory, ignore=shutil.ignore_patterns("*.lock"))
    return directory
