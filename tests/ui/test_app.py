"""Endings, signals, the command palette: the terminal and the recording are whole, and the exit code says why."""

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

import msgspec
import pytest
from msgspec.structs import replace

from tests.ui.fake_source import FakeSource
from tests.ui.pilots import SIZE, settled, shows
from tui.model.rows import EventRow
from tui.profile.config import UserConfig
from tui.session.view import ServerView, View
from tui.ui.app import DragstripApp

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
if "keep" in sys.argv:
    app.keeps_on_hangup, app.ends_after_s = True, 4.0
if "untold" in sys.argv:
    app.main_screen.next_steps = lambda: 1 / 0
code = app.run()
with open(sys.argv[1], "w") as outcome:
    outcome.write(f"{code} {source.stopped} load {source.board.load_on} {app.log_path} {source.marks}")
sys.exit(code)
"""
LEAVE_ALTERNATE_SCREEN = b"\x1b[?1049l"
SHOW_CURSOR = b"\x1b[?25h"
HOSTILE = "[bold red]\x1b[31mhi\x1b]0;title\x07 \u202eevil\u0000 [@click=app.quit]x[/] 模型 " + "y" * 300
HEAVY = ("polars", "plotext", "numpy", "httpx", "aiohttp", "openai", "pynvml")


async def test_the_palette_offers_what_the_screen_can_do_whatever_is_in_focus() -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("tab", "ctrl+p")
        text = await settled(pilot)
        assert "Show every setting visited  (t)" in text or "Change the colours  (c)" in text
        assert "one notch up  (↑)" not in text
        assert text.count("Quit  (") <= 1


async def test_the_palette_offers_the_keys_and_runs_them() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("ctrl+p")
        await pilot.press(*"concurrency doubled")
        await shows(pilot, "Turn concurrency doubled  (})")
        await pilot.press("enter", "enter")
        await settled(pilot)
        assert source.board.shown("a").concurrency == 64


def read_until(fd: int, wanted: bytes, seen: bytearray, patience_s: float = 20.0) -> None:
    """Read what the program draws until `wanted` has been seen or the terminal is closed."""
    deadline_s = time.monotonic() + patience_s
    while wanted not in seen and time.monotonic() < deadline_s:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                seen += os.read(fd, 65536)
            except OSError:
                return


def run(outcome: Path, *arguments: str) -> tuple["subprocess.Popen[bytes]", int]:
    main, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(outcome), *arguments],
        stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    os.close(inner)
    return process, main


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_signal(number: signal.Signals, code: int, tmp_path: Path) -> None:
    outcome, seen = tmp_path / "outcome", bytearray()
    process, fd = run(outcome)
    read_until(fd, b"help", seen)
    process.send_signal(number)
    read_until(fd, SHOW_CURSOR, seen)
    assert process.wait(20) == code
    assert LEAVE_ALTERNATE_SCREEN in seen
    assert outcome.read_text().startswith(f"{code} ['signal {number.name}']")


def test_suspended_it_stops_the_load_and_paints_again_when_it_comes_back(tmp_path: Path) -> None:
    outcome, seen = tmp_path / "outcome", bytearray()
    process, fd = run(outcome)
    read_until(fd, b"help", seen)
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
    assert "load False" in outcome.read_text()


def test_a_closed_terminal(tmp_path: Path) -> None:
    outcome, seen = tmp_path / "outcome", bytearray()
    process, fd = run(outcome)
    read_until(fd, b"help", seen)
    os.close(fd)
    process.send_signal(signal.SIGHUP)  # what the kernel sends to the session that a terminal controls
    assert process.wait(20) == 129
    assert "SIGHUP" in outcome.read_text()


@pytest.mark.parametrize("signalled", [True, False])
def test_a_session_that_is_kept_goes_on_without_its_terminal_and_ends_by_itself(
    tmp_path: Path, signalled: bool
) -> None:
    outcome, seen = tmp_path / "outcome", bytearray()
    process, fd = run(outcome, "keep")
    read_until(fd, b"LIVE", seen)
    os.close(fd)
    try:
        if signalled:
            process.send_signal(signal.SIGHUP)
        assert process.wait(20) == 0
    finally:
        process.kill()
    assert outcome.read_text().startswith("0 ['its time is over']")
    assert "the terminal was closed: it goes on without a screen" in outcome.read_text()


@pytest.mark.parametrize("arguments", [(), ("flood",)])
def test_a_terminal_that_closes_without_a_word(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """No signal comes, and the event loop may stand still because nobody takes what it draws."""
    outcome, seen = tmp_path / "outcome", bytearray()
    process, fd = run(outcome, *arguments)
    read_until(fd, b"help", seen)
    os.close(fd)
    try:
        assert process.wait(20) == 129
    finally:
        process.kill()
    assert "SIGHUP" in outcome.read_text()


def test_a_bug_is_in_a_log_and_not_on_the_screen(tmp_path: Path) -> None:
    outcome, seen = tmp_path / "outcome", bytearray()
    process, fd = run(outcome, "fail")
    read_until(fd, SHOW_CURSOR, seen)
    assert process.wait(20) == 1
    code, *_, log, _ = outcome.read_text().split()
    assert code == "1"
    assert "internal error" in outcome.read_text()
    assert "broken view" in Path(log).read_text(encoding="utf-8")
    assert b"Traceback" not in seen
    Path(log).unlink()


@pytest.mark.parametrize(
    ("argument", "why"),
    [("unsaved", "the last rows were not written"), ("untold", "division by zero")],
)
def test_what_fails_at_the_end_is_logged_and_the_source_is_stopped(tmp_path: Path, argument: str, why: str) -> None:
    outcome, seen = tmp_path / "outcome", bytearray()
    process, fd = run(outcome, argument)
    read_until(fd, b"help", seen)
    os.write(fd, b"q")
    read_until(fd, b"Quit?", seen)
    os.write(fd, b"q")
    read_until(fd, SHOW_CURSOR, seen)
    assert process.wait(20) == 1
    log = Path(outcome.read_text().split()[-2])
    assert "['quit']" in outcome.read_text()
    assert why in log.read_text(encoding="utf-8")
    log.unlink()


def hostile(view: View) -> View:
    """Every text that a server, a profile or an operator can put on the screen."""
    lanes = {}
    for name, lane in view.lanes.items():
        assert lane.info is not None
        info = msgspec.structs.replace(
            lane.info, title=HOSTILE, model=HOSTILE, version=HOSTILE, url=f"http://{HOSTILE}"
        )
        lanes[name] = replace(
            lane, info=info, causes={HOSTILE: 3}, failed=3, last_error=HOSTILE, gpus=[], gpu_note=HOSTILE,
            server=ServerView(note=HOSTILE),
        )  # fmt: skip
    down = replace(lanes["b"], state="down", state_text=HOSTILE)
    rows = [EventRow("a", view.t0_ns, "note", name=HOSTILE, old=HOSTILE, new=HOSTILE, text=HOSTILE)]
    return replace(view, title=HOSTILE, lanes={"a": lanes["a"], "b": down}, events=rows, recording_note=HOSTILE)


@pytest.mark.parametrize("size", [(20, 5), (60, 20), (80, 24), (120, 40), (200, 50)])
async def test_hostile_text_is_shown_as_text(size: tuple[int, int]) -> None:
    app = DragstripApp(FakeSource(second=150, change=hostile))
    async with app.run_test(size=size) as pilot:
        text = await settled(pilot)
        assert not set(text) & {"\x1b", "\x07", "\u202e", "\x00"}
        assert len(text.splitlines()) == size[1]
        if size[0] >= 80:
            assert "[bold red]hi" in text


async def test_without_colour_nothing_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=(80, 24)) as pilot:
        assert "A vLLM" in await settled(pilot)
        strips = app.screen._compositor.render_strips()
        colours = {s.style.color.name for strip in strips for s in strip if s.style is not None and s.style.color}
        assert colours <= {"default"}


def test_nothing_heavy_is_imported_with_the_screen() -> None:
    code = "import sys, tui.ui.app; print([m for m in sys.argv[1:] if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_what_was_chosen_is_there_in_the_next_session() -> None:
    app = DragstripApp(FakeSource(second=150), user_config=UserConfig.open())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("c", "b", "w", "v")
        screen = app.main_screen
        chosen = (app.theme, screen.glyphs, screen.window_s, screen.objective)
    again = DragstripApp(FakeSource(second=150), user_config=UserConfig.open())
    async with again.run_test(size=SIZE):
        screen = again.main_screen
        assert (again.theme, screen.glyphs, screen.window_s, screen.objective) == chosen
    fresh = DragstripApp(FakeSource(second=150)).main_screen
    assert screen.glyphs != fresh.glyphs
    assert screen.window_s != fresh.window_s
    assert screen.objective != fresh.objective


async def test_a_broken_config_is_said_once_and_the_session_goes_on() -> None:
    opened = UserConfig.open()
    assert opened.path is not None
    opened.path.parent.mkdir(parents=True)
    opened.path.write_text("theme = ")
    app = DragstripApp(FakeSource(second=150), user_config=UserConfig.open())
    async with app.run_test(size=SIZE) as pilot:
        while not app._notifications:
            await pilot.pause()
        await pilot.press("w", "c")
        assert ["this is not TOML" in said.message for said in app._notifications] == [True]
    assert opened.path.read_text() == "theme = "
