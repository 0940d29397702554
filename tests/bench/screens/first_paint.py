"""`python -m tests.bench.screens.first_paint [ROUNDS]`: how soon the demo is painted, without its tour.

It and a bare Textual app are started in turns on a pseudo-terminal of 120 by 40; the clock runs from the start of the
process until the last row of the picture has been written. Prints the medians and the ratio of each round.
"""

import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time

BARE = """
from textual.app import App, ComposeResult
from textual.widgets import Static

class Bare(App):
    def compose(self) -> ComposeResult:
        yield Static("painted quit")

Bare().run()
"""
MAIN = "import sys; from tui.cli.main import main; sys.exit(main(['watch', 'demo', '--no-record']))"
PROGRAMS = {"bare": BARE, "dragstrip": MAIN}
READY = b"quit"  # in the footer of ours, the last row to be painted
PATIENCE_S = 30.0


def painted_s(program: str, rows: int = 40, columns: int = 120) -> float:
    """Seconds from the start of a process until it has painted."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
    begin_s = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True, env=environment,
    )  # fmt: skip
    os.close(theirs)
    seen = bytearray()
    while READY not in seen and time.perf_counter() - begin_s < PATIENCE_S:
        if select.select([ours], [], [], 0.05)[0]:
            seen += os.read(ours, 65536)
    took_s = time.perf_counter() - begin_s
    process.send_signal(signal.SIGTERM)
    drain(ours)
    process.wait(PATIENCE_S)
    os.close(ours)
    if READY not in seen:
        raise TimeoutError(f"nothing was painted within {PATIENCE_S:.0f} s")
    return took_s


def drain(descriptor: int) -> None:
    """Read what a program still draws while it ends, so that it does not wait for us."""
    try:
        while select.select([descriptor], [], [], PATIENCE_S)[0] and os.read(descriptor, 65536):
            pass
    except OSError:  # it is gone
        return


def main() -> int:
    """The medians, and the ratio of each round."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    took: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds):
        for name, program in PROGRAMS.items():
            took[name].append(painted_s(program))
    bare, whole = took["bare"], took["dragstrip"]
    ratios = [w / b for w, b in zip(whole, bare, strict=True)]
    sys.stdout.write(f"bare Textual app {statistics.median(bare) * 1e3:.0f} ms, ")
    sys.stdout.write(f"dragstrip demo {statistics.median(whole) * 1e3:.0f} ms, ")
    sys.stdout.write(f"ratio {statistics.median(ratios):.2f} of {rounds} rounds: ")
    sys.stdout.write(" ".join(f"{ratio:.2f}" for ratio in sorted(ratios)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
