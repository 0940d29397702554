"""The README's commands as they stand."""

import re
import shlex
from pathlib import Path

import pytest

from tui.cli.main import main

TOP = Path(__file__).parents[2]
NEEDS_MORE = {"watch", "run", "doctor", "calibrate", "replay", "demo"}  # servers or a terminal
PLACEHOLDERS = {"SESSION", "S1"}


def commands_of_the_readme() -> list[str]:
    """Its command lines that need nothing but what comes with dragstrip."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (TOP / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("dragstrip ")]
    assert len(lines) > 8
    return [
        line
        for line in lines
        if line.split()[1] not in NEEDS_MORE and not PLACEHOLDERS & set(shlex.split(line, True))
    ]


@pytest.mark.parametrize("line", commands_of_the_readme())
def test_a_command_of_the_readme_works_as_it_stands(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(line, comments=True)[1:]) == 0
    assert capsys.readouterr().out or list(tmp_path.iterdir())
