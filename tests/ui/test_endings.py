"""However the program ends, the source is stopped, the terminal is as it was, and the exit code says why."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

PROGRAM = """
import sys
import termios
from tests.ui.fake_source import FakeSource
from tui.ui.terminal import prepare_terminal
prepare_terminal()
from tui.ui.app import DragstripApp

def change(view):
    if "fail" in sys.argv and view.second > 150:
        raise RuntimeError("broken view")
    if "flood" in sys.argv and view.second > 150:
        for _ in range(200):  # more than the queue of Textual's writer holds
            app._driver.write("\\0" * 4096)
    return view

class Source(FakeSource):
    async def stop(self, why):
        await super().stop(why)
        if "unsaved" in sys.argv:
            raise OSError("the last rows were not written")

source = Source(second=150, change=change)
source.playing = True
app = DragstripApp(source)
if "untold" in sys.argv:
    app.main_screen.next_steps = lambda: 1 / 0
code = app.run()
with open(sys.argv[1], "w") as told:
    told.write(f"{code} {source.stopped} load {source.board.load_on} {app.log_path}")
sys.exit(code)
"""
LEAVE_ALTERNATE_SCREEN = b"\x1b[?1049l"
SHOW_CURSOR = b"\x1b[?25h"


def read_until(fd: int, wanted: bytes, seen: bytearray, patience_s: float = 20.0) -> None:
    """Read what the program draws until `wanted` has been seen or the terminal is closed."""
    deadline_s = time.monotonic() + patience_s
    while wanted not in seen and time.monotonic() < deadline_s:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                seen += os.read(fd, 65536)
            except OSError:
                return


def run(told: Path, *arguments: str) -> tuple["subprocess.Popen[bytes]", int]:
    main, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(told), *arguments],
        stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    os.close(inner)
    return process, main


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_signal(number: signal.Signals, code: int, tmp_path: Path) -> None:
    told, seen = tmp_path / "told", bytearray()
    process, fd = run(told)
    read_until(fd, b"window", seen)
    process.send_signal(number)
    read_until(fd, SHOW_CURSOR, seen)
    assert process.wait(20) == code
    assert LEAVE_ALTERNATE_SCREEN in seen
    assert told.read_text().startswith(f"{code} ['signal {number.name}']")


def test_suspended_it_stops_the_load_and_paints_again_when_it_comes_back(tmp_path: Path) -> None:
    told, seen = tmp_path / "told", bytearray()
    process, fd = run(told)
    read_until(fd, b"window", seen)
    process.send_signal(signal.SIGTSTP)
    read_until(fd, SHOW_CURSOR, seen)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    again = bytearray()
    process.send_signal(signal.SIGCONT)
    read_until(fd, b"load stopped on ctrl+z", again)
    process.send_signal(signal.SIGTERM)
    read_until(fd, SHOW_CURSOR, again)
    assert process.wait(20) == 143
    assert b"LOAD STOPPED" in again
    assert "load False" in told.read_text()


def test_a_closed_terminal(tmp_path: Path) -> None:
    told, seen = tmp_path / "told", bytearray()
    process, fd = run(told)
    read_until(fd, b"window", seen)
    os.close(fd)
    process.send_signal(signal.SIGHUP)  # what the kernel sends to the session that a terminal controls
    assert process.wait(20) == 129
    assert "SIGHUP" in told.read_text()


@pytest.mark.parametrize("arguments", [(), ("flood",)])
def test_a_terminal_that_closes_without_a_word(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """No signal comes, and the event loop may stand still because nobody takes what it draws."""
    told, seen = tmp_path / "told", bytearray()
    process, fd = run(told, *arguments)
    read_until(fd, b"window", seen)
    os.close(fd)
    try:
        assert process.wait(20) == 129
    finally:
        process.kill()
    assert "SIGHUP" in told.read_text()


def test_an_error_of_ours_is_in_a_log_and_not_on_the_screen(tmp_path: Path) -> None:
    told, seen = tmp_path / "told", bytearray()
    process, fd = run(told, "fail")
    read_until(fd, SHOW_CURSOR, seen)
    assert process.wait(20) == 1
    code, *_, log = told.read_text().split()
    assert code == "1"
    assert "internal error" in told.read_text()
    assert "broken view" in Path(log).read_text(encoding="utf-8")
    assert b"Traceback" not in seen
    Path(log).unlink()


@pytest.mark.parametrize(
    ("argument", "why"),
    [("unsaved", "the last rows were not written"), ("untold", "division by zero")],
)
def test_what_fails_at_the_end_is_told_of_and_the_source_is_stopped(tmp_path: Path, argument: str, why: str) -> None:
    told, seen = tmp_path / "told", bytearray()
    process, fd = run(told, argument)
    read_until(fd, b"window", seen)
    os.write(fd, b"q")
    read_until(fd, b"Quit?", seen)
    os.write(fd, b"q")
    read_until(fd, SHOW_CURSOR, seen)
    assert process.wait(20) == 1
    log = Path(told.read_text().split()[-1])
    assert "['quit']" in told.read_text()
    assert why in log.read_text(encoding="utf-8")
    log.unlink()
