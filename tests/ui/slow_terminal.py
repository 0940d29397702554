"""A terminal behind a slow link: it takes so many bytes a second, and its answers take so long."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections import deque
from pathlib import Path

from tui.ui.link import QUESTION

TICK_S = 0.02
ANSWER = b"\x1b[?2026;2$y"
ROOT = Path(__file__).parents[2]


class SlowTerminal:
    """Runs `python -m tests.ui.show` with what is said in `arguments`. Time passes in `run_until`."""

    def __init__(self, *arguments: str, bytes_per_s: int, delay_s: float, size: tuple[int, int] = (120, 40)) -> None:
        self.bytes_per_tick = round(bytes_per_s * TICK_S)
        self.delay_s = delay_s
        self.seen = bytearray()  # all that has come over the link
        self._link = bytearray()  # what ssh has taken and the link has not carried yet
        self._answers: deque[tuple[float, bytes]] = deque()  # on their way, with the moment of their arrival
        self._terminal, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        os.set_blocking(self._terminal, False)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.ui.show", *arguments], stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True, cwd=ROOT,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        os.close(theirs)

    def press(self, keys: str) -> None:
        """The keys are with the program after half of the delay."""
        self._answers.append((time.monotonic() + self.delay_s / 2, keys.encode()))

    def run_until(self, text: bytes, within_bytes: int) -> int:
        """Let time pass until a text has come over the link; returns how many bytes came until then.

        AssertionError when it is not among the next so many bytes, or none come at all.
        """
        begin = len(self.seen)
        quiet_s = 0.0
        while text not in self.seen[begin:]:
            assert len(self.seen) - begin <= within_bytes, bytes(self.seen[begin:])
            quiet_s = quiet_s + TICK_S if not self._tick() else 0.0
            assert quiet_s < 30, "nothing is drawn any more"
        return len(self.seen) - begin

    def run_for(self, seconds: float) -> int:
        """The bytes that came in so long."""
        begin, end_s = len(self.seen), time.monotonic() + seconds
        while time.monotonic() < end_s:
            self._tick()
        return len(self.seen) - begin

    def _tick(self) -> int:
        """One tick of the link; returns how many bytes it carried."""
        time.sleep(TICK_S)
        now_s = time.monotonic()
        while self._answers and self._answers[0][0] <= now_s:
            os.write(self._terminal, self._answers.popleft()[1])
        while select.select([self._terminal], [], [], 0)[0]:
            try:
                self._link += os.read(self._terminal, 1 << 16)
            except OSError:  # the program has ended
                break
        carried = bytes(self._link[: self.bytes_per_tick])
        del self._link[: self.bytes_per_tick]
        asked = (self.seen[-len(QUESTION) + 1 :] + carried).count(QUESTION.encode())
        self._answers.extend([(now_s + self.delay_s, ANSWER)] * asked)
        self.seen += carried
        return len(carried)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)
