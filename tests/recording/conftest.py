"""Recorded sessions to read, export and replay."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.recording import synthetic
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
