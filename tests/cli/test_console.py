"""A command whose reader or terminal has gone ends quietly."""

import os
import pty
import subprocess
import sys

import pytest

from tui.cli.console import print_notice, print_result

PROGRAM = """
import sys
from tui.cli.console import print_notice, print_result
sys.stdin.buffer.read()  # until the terminal is gone
print_notice("nobody hears this")
try:
    print_result("nor this")
except BrokenPipeError:
    sys.stdout = None  # what is buffered can go nowhere
    sys.exit(7)
"""
MAIN = """
import sys
from tui.cli import main
sys.stdin.buffer.read()
sys.exit(main.main(["profiles"]))
"""


@pytest.mark.parametrize(("program", "code"), [(PROGRAM, 7), (MAIN, 0)])
def test_a_terminal_that_is_gone_is_a_broken_pipe(program: str, code: int) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.close(ours)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == code


def test_a_locale_without_a_sign_gets_a_question_mark() -> None:
    command = [sys.executable, "-m", "tui", "report", "h100-sweep"]
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=ascii_only, capture_output=True, text=True, check=True)
    assert "lies within ?: ?3 %" in done.stdout


def test_no_escape_code_reaches_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for tell in (print_result, print_notice):
        tell("a\x1b[2J\x9b1m\u202eb\tc\nd – 模型")
    assert capsys.readouterr() == ("a[2J1mb\tc\nd – 模型\n",) * 2


def test_a_reader_that_left_ends_the_command() -> None:
    read, write = os.pipe()
    os.close(read)
    code = "import sys; from tui.cli import main; sys.exit(main.main(['profiles']))"
    done = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
