"""Commands, flags, sessions and profiles are completed, as a shell asks for them; help is grouped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tui.cli.main import COMMANDS, EXAMPLES, main


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("dragstrip rep", {"replay", "report"}),
        ("dragstrip replay h100", {"h100-concurrent", "h100-sweep"}),
        ("dragstrip watch vllm", {"vllm-vs-sglang"}),
        ("dragstrip run --until", {"--until-decided"}),
    ],
)
def test_a_shell_is_answered(typed: str, offered: set[str], tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_STDOUT_FILENAME": str(answer)}
    place = {"COMP_LINE": typed, "COMP_POINT": str(len(typed)), "_ARGCOMPLETE_SUPPRESS_SPACE": "1"}
    subprocess.run([sys.executable, "-m", "tui"], env=os.environ | asked | place, check=True, timeout=50)
    assert {each.strip() for each in answer.read_text().splitlines()} == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_is_told_how_to_ask(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "dragstrip" in capsys.readouterr().out


def test_help_names_every_command_in_its_group_and_each_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.endswith(":")] == [
        "watch:",
        "measure:",
        "look back:",
        "tools:",
        "options:",
    ]
    assert {line.split()[0] for line in lines if line.startswith("  ")} >= set(COMMANDS)
    assert set(EXAMPLES) == set(COMMANDS)
