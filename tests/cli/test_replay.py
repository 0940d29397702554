"""`dragstrip replay`: its flags, and the message without a terminal."""

import math
from pathlib import Path

import pytest

from tests.recording import synthetic
from tui.cli.main import main
from tui.cli.replay import moment_of, speed_of
from tui.model.text import UserError
from tui.recording.recorder import Recorder


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
    with pytest.raises(UserError, match="not a time"):
        moment_of(typed)


def test_speeds() -> None:
    assert (speed_of("0.25"), speed_of("64"), speed_of("max")) == (0.25, 64.0, math.inf)
    with pytest.raises(UserError, match=r"3 is not a speed: give one of 0\.25, 0\.5, 1, 2, 4, 8, 16, 32, 64, max"):
        speed_of("3")


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ([], "there is no terminal to draw on; use `dragstrip report SESSION`, which needs none"),
        (["--plain"], "`replay --plain` was removed: use `dragstrip report SESSION`, which needs no terminal"),
    ],
)
def test_where_it_cannot_draw_it_names_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: list[str], sentence: str
) -> None:
    recorded(tmp_path / "s").close("done", 5.0)
    assert main(["replay", str(tmp_path / "s"), *flag]) == 2
    assert capsys.readouterr().err == f"dragstrip: {sentence}\n"


def test_what_is_no_session_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(tmp_path / "none")]) == 2
    assert "there is no session" in capsys.readouterr().err
