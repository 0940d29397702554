"""`python -m tests.bench.screens.cost --against CHECKOUT --minutes N`: what the screen costs, here and there.

Both run `dragstrip watch PROFILE` side by side for so long, each on a pseudo-terminal of 120 by 40, on two simulated
engines of its own, so that other work on this machine disturbs both. Of each main process, minute by minute: CPU time
(/proc/PID/stat), resident memory (VmRSS), bytes written (`wchar`: files, pipes and terminal) and bytes that reached
the terminal; then the size of the closed session, and the bytes written for each of its bytes.

`--streams` sets the load: at 150 streams a lane this is some 5,000 tokens/s. `--views` measures this checkout alone,
each view in turn.
"""

import argparse
import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parents[3]
ROWS, COLUMNS = 40, 120
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
MAIN = "import sys; from tui.cli.main import main; sys.exit(main(sys.argv[1:]))"
EARLY, LATE = 2, 60  # the minutes that are compared
VIEWS = {
    "lanes": "", "help": "?", "lanes again": "\x1b", "frozen": " ", "not frozen": " ", "ledger": "t",
    "lanes after it": "\x1b", "curve": "k", "lanes at last": "\x1b",
}  # fmt: skip
ESCAPED_S = 1.5  # a key after an escape is read as one with it, unless there is time between them


@dataclass(slots=True)
class Reading:
    """Of one process at one moment."""

    cpu_s: float
    rss_mb: float
    wchar: int
    shown: int  # bytes that reached the terminal


@dataclass
class Watched:
    """`dragstrip watch` of one checkout on a terminal, which a thread reads."""

    checkout: Path
    folder: Path  # for its recording
    streams: int
    shown: int = 0
    readings: list[Reading] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.terminal, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = {
            **os.environ, "PYTHONPATH": str(self.checkout), "TERM": "xterm-256color", "COLORTERM": "truecolor",
            "LC_ALL": "C.UTF-8",
        }  # fmt: skip
        asked = ["watch", "demo", "--out", str(self.folder), "--max-concurrency", str(self.streams)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, *asked], stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True, env=environment, cwd=self.checkout,
        )  # fmt: skip
        os.close(theirs)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the program has ended
            while data := os.read(self.terminal, 1 << 16):
                self.shown += len(data)

    def press(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def read(self) -> Reading:
        """What it has used until now. ProcessLookupError when it has ended."""
        if self.process.poll() is not None:
            raise ProcessLookupError(f"{self.checkout} ended with {self.process.returncode}")
        proc = Path(f"/proc/{self.process.pid}")
        used = (proc / "stat").read_text().rpartition(")")[2].split()
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        written = dict(line.split(": ") for line in (proc / "io").read_text().splitlines())
        return Reading(
            cpu_s=(int(used[11]) + int(used[12])) / TICKS_PER_S,
            rss_mb=int(status["VmRSS"].split()[0]) / 1024,
            wchar=int(written["wchar"]),
            shown=self.shown,
        )

    def end(self) -> int:
        """Leave it as an operator does; returns the size of the closed session, in bytes."""
        for key in ("\x1b", "q", "q"):
            time.sleep(ESCAPED_S / 2)
            with contextlib.suppress(OSError):
                self.press(key)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        self.kill()
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        self.reader.join(5)
        os.close(self.terminal)


def against(other: Path, minutes: int, streams: int) -> None:
    """Both, side by side."""
    with tempfile.TemporaryDirectory() as folder:
        names = {"this": HERE, "other": other.resolve()}
        watched = {name: Watched(checkout, Path(folder) / name, streams) for name, checkout in names.items()}
        begun_s = time.monotonic()
        last: dict[str, Reading] = {name: Reading(0.0, 0.0, 0, 0) for name in names}
        print(f"{streams} streams a lane; the minute that ends at each line")
        print("minute          CPU %            VmRSS MB       written kB/s      terminal B/s   (this, other)")
        for minute in range(1, minutes + 1):
            time.sleep(max(0.0, begun_s + 60 * minute - time.monotonic()))
            cells = [f"{minute:6}"]
            now = {name: each.read() for name, each in watched.items()}
            pairs = list(zip(now.values(), last.values(), strict=True))
            cells.append("".join(f"{100 * (new.cpu_s - old.cpu_s) / 60:9.2f}" for new, old in pairs))
            cells.append("".join(f"{new.rss_mb:9.0f}" for new, _ in pairs))
            cells.append("".join(f"{(new.wchar - old.wchar) / 60e3:9.1f}" for new, old in pairs))
            cells.append("".join(f"{(new.shown - old.shown) / 60:9.0f}" for new, old in pairs))
            print("".join(cells), flush=True)
            for name, reading in now.items():
                watched[name].readings.append(reading)
            last = now
        for name, each in watched.items():
            summarize(name, each)


def summarize(name: str, watched: Watched) -> None:
    """Close it, and say what is asked of it."""
    wchar, size = watched.read().wchar, watched.end()
    readings = watched.readings
    written = f"{wchar / 1e6:.1f} MB written, {size / 1e6:.2f} MB kept: {wchar / size:.1f} bytes for each"
    print(f"{name}: {written}")
    for minute in (EARLY, LATE):
        if len(readings) >= minute:
            used = readings[minute - 1].cpu_s - readings[minute - 2].cpu_s
            print(f"  minute {minute}: {100 * used / 60:.2f} % of a core, {readings[minute - 1].rss_mb:.0f} MB")


def views(streams: int, each_s: float) -> None:
    """This checkout alone, one view after the other."""
    with tempfile.TemporaryDirectory() as folder:
        watched = Watched(HERE, Path(folder), streams)
        try:
            time.sleep(30)
            print(f"{streams} streams a lane, {each_s:.0f} s each")
            for name, key in VIEWS.items():
                watched.press(key)
                time.sleep(ESCAPED_S)
                before = watched.read()
                time.sleep(each_s)
                after = watched.read()
                cpu = 100 * (after.cpu_s - before.cpu_s) / each_s
                print(
                    f"{name:15} {cpu:6.2f} % of a core {(after.shown - before.shown) / each_s:7.0f} B/s", flush=True
                )
        finally:
            watched.end()


def main() -> None:
    """As the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, metavar="CHECKOUT")
    parser.add_argument("--minutes", type=int, default=2)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--views", action="store_true")
    parser.add_argument("--each", type=float, default=40.0, metavar="S", help="seconds for each view")
    args = parser.parse_args()
    if args.views:
        views(args.streams, args.each)
    elif args.against is None:
        parser.error("--against CHECKOUT or --views is needed")
    else:
        against(args.against, args.minutes, args.streams)


if __name__ == "__main__":
    main()
