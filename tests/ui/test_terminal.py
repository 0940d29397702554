"""What is set before Textual is imported."""

import os
import subprocess
import sys

import pytest

from tui.ui.terminal import prepare_terminal


def test_over_ssh_fewer_frames_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TEXTUAL_FPS", "TEXTUAL_ANIMATIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 22 10.0.0.2 22")
    prepare_terminal()
    assert os.environ["TEXTUAL_FPS"] == "15"
    assert os.environ["TEXTUAL_ANIMATIONS"] == "none"


@pytest.mark.parametrize(
    ("variables", "speaks"),
    [
        ({"LANG": "C"}, "False"),
        ({"LC_ALL": "POSIX", "LANG": "C.UTF-8"}, "False"),
        ({"LANG": "de_DE.ISO-8859-1"}, "False"),
        ({"LANG": "en_US.UTF-8"}, "True"),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, "True"),
        ({}, "True"),
    ],
)
def test_a_locale_without_utf8_is_drawn_in_ascii(variables: dict[str, str], speaks: str) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "LANG" and not name.startswith("LC_")}
    code = "from tui.ui.terminal import speaks_utf8; print(speaks_utf8())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | variables, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == speaks
