"""`dragstrip replay`: what is typed, and what is printed where there is no terminal."""

import math
import threading
from pathlib import Path

import pytest

from tests.recording import synthetic
from tests.recording.range_server import serving
from tui.cli.main import main
from tui.cli.replay import export_part, moment_of, speed_of
from tui.recording.writing.recorder import Recorder
from tui.records.errors import UserError
from tui.records.frame import Batch
from tui.records.rows import EventRow


def recorded(folder: Path, seconds: int = 5) -> Recorder:
    recorder = Recorder(folder, synthetic.info(folder.name))
    for batch in synthetic.batches(seconds, synthetic.Load(4, 5)):
        recorder(batch)
    return recorder


@pytest.mark.parametrize(
    ("typed", "second"), [("90", 90), ("1:30", 90), ("0:01:30", 90), ("1.5", 1.5), ("50%", 200), ("0", 0)]
)
def test_a_moment_is_typed_as_on_the_screen(typed: str, second: float) -> None:
    assert moment_of(typed)(400) == second


@pytest.mark.parametrize("typed", ["", "soon", "1:2:3:4", "-5", "5 %%", "1e3"])
def test_what_is_no_moment_is_refused(typed: str) -> None:
    with pytest.raises(UserError, match="no moment"):
        moment_of(typed)


def test_speeds() -> None:
    assert (speed_of("0.25"), speed_of("64"), speed_of("max")) == (0.25, 64.0, math.inf)
    with pytest.raises(UserError, match=r"no speed 3: give one of 0\.25, 0\.5, 1, 2, 4, 8, 16, 32, 64, max"):
        speed_of("3")


def test_without_a_terminal_each_second_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(tmp_path / "s").close("done", 5.0)
    assert main(["replay", str(tmp_path / "s"), "--at", "40%"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:8] for line in lines] == ["00:00:03", "00:00:04", "00:00:05"]
    assert "A     20 tok/s" in lines[0]
    assert "B     20 tok/s" in lines[0]


def test_a_part_is_exported_to_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path / "s").close("done", 5.0)
    monkeypatch.chdir(tmp_path)
    assert export_part(tmp_path / "s", 1.0, 3.0) == "5 files written to ./s-1-3-csv/"
    seconds = (tmp_path / "s-1-3-csv" / "seconds.csv").read_text().splitlines()
    assert len(seconds) == 1 + 2 * 2  # a heading, two lanes, two seconds
    info = tmp_path / "s" / "session.toml"
    info.write_text(info.read_text().replace('name = "s"', 'name = "../../elsewhere"'))
    export_part(tmp_path / "s", None, None)  # what a recording calls itself is no place to write to
    assert (tmp_path / "s-csv" / "requests.csv").is_file()


def test_over_the_web(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(tmp_path / "s").close("done", 5.0)
    with serving(tmp_path) as url:
        assert main(["replay", f"{url}/s", "--plain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("A concurrency 0 → 1 streams")
    assert len(lines) == 6


def test_following_prints_to_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorder = recorded(tmp_path / "s", 2)
    recorder(
        Batch(synthetic.T0_NS + 2 * synthetic.SECOND_NS, events=[EventRow("", synthetic.T0_NS, "mark", text="x")])
    )
    closing = threading.Timer(0.5, recorder.close, ("operator left", 2.0))
    closing.start()
    assert main(["replay", str(tmp_path / "s"), "--follow"]) == 0
    closing.join()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "ended: operator left"
    assert [line[:8] for line in lines if "tok/s" in line] == ["00:00:01", "00:00:02"]


@pytest.mark.parametrize("terminal", [[], ["--plain"]])
def test_what_cannot_be_replayed_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], terminal: list[str]
) -> None:
    assert main(["replay", str(tmp_path / "none"), *terminal]) == 2
    assert "there is no session" in capsys.readouterr().err
    Recorder(tmp_path / "empty", synthetic.info("empty")).close("done", 0.0)
    assert main(["replay", str(tmp_path / "empty"), *terminal]) == 2
    assert capsys.readouterr().err == "dragstrip: empty holds no whole second: there is nothing to replay\n"
    info = tmp_path / "empty" / "session.toml"
    info.write_text(info.read_text().replace("schema = 1", "schema = 99"))
    assert main(["replay", str(tmp_path / "empty"), *terminal]) == 2
    assert "newer dragstrip" in capsys.readouterr().err
