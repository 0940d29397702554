"""What a command is at: a line that is drawn again on a terminal, plain lines elsewhere, nothing for quick work."""

import io
import threading

import pytest

from tui.cli.progress import StatusLine, Working, time_text


class Screen(io.StringIO):
    """Standard error; awaits a text that another thread draws."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal
        self._drawn = threading.Condition()

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, text: str) -> int:
        with self._drawn:
            self._drawn.notify_all()
            return super().write(text)

    def wait_for(self, text: str) -> None:
        with self._drawn:
            assert self._drawn.wait_for(lambda: text in self.getvalue(), 10)


def screen_of(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool) -> Screen:
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen(is_terminal=is_terminal)
    monkeypatch.setattr("sys.stderr", screen)
    return screen


def test_long_work_says_what_it_is_at_and_leaves_the_line_free(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = screen_of(monkeypatch, is_terminal=True)
    with Working("reading", after_s=0) as working:
        screen.wait_for("reading  0:0")
        working.share("requests", 1, 4)
        screen.wait_for(f"requests  {'█' * 8:<30}  25%")
        working.at("judging")
        screen.wait_for("judging  0:0")
    assert screen.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize(("is_terminal", "after_s"), [(True, 60.0), (False, 0.0)])
def test_quick_work_says_nothing_and_so_does_work_without_a_terminal(
    is_terminal: bool, after_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = screen_of(monkeypatch, is_terminal=is_terminal)
    with Working("reading", after_s):
        pass
    assert screen.getvalue() == ""


@pytest.mark.parametrize(
    ("is_terminal", "shown"), [(True, "\r\x1b[Kone\r\x1b[Ktwo\r\x1b[Kthree"), (False, "one\nthree\n")]
)
def test_without_a_terminal_a_line_comes_when_something_begins_and_then_seldom(
    is_terminal: bool, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = screen_of(monkeypatch, is_terminal=is_terminal)
    line = StatusLine(every_s=3600)
    for text, begins in (("one", True), ("two", False), ("three", True)):
        line.show(text, at_once=begins)
    assert screen.getvalue() == shown


def test_times_are_short() -> None:
    assert [time_text(seconds) for seconds in (0, 41, 320, 3723)] == ["0:00", "0:41", "5:20", "1:02:03"]
