"""Do the figures change when the screen is drawn, resized and paged through during the measurement?

`python -m tests.bench.load.screen_effect [--streams 200] [--rounds 3]`: `dragstrip run`, which draws nothing, and
`dragstrip watch` in a terminal that changes its size and presses keys five times a second, in turn, on a server in C
that logs what it sent when. Printed: each figure of both recordings less the same figure of the server's own log.
"""

import argparse
import contextlib
import fcntl
import os
import pty
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.bench.load.source import Sent, sent, source
from tui.recording.reader import Selection, open_session
from tui.recording.tape import tables_of, token_gaps
from tui.report.summary import summary

TTFT_US, STEP_US, TOKENS = 200_000, 20_000, 100
SETTLED_S = 3.0
MOVE_S = 0.2
SIZES = ((40, 120), (24, 80), (60, 200), (30, 100))
KEYS = (b"t", b"\x1b[6~", b"\x1b[5~", b"\x1b", b"o", b"w", b"v", b"k", b"\x1b", b"1", b"2", b"\x1b", b"?", b"\x1b")
FIGURES = ("ttft_ms", "tpot_ms", "itl_ms", "e2e_ms")
PERCENTS = (50, 95, 99)
Figures = dict[str, float]


def measured(folder: Path, log: list[Sent]) -> tuple[Figures, Figures]:
    """What was recorded, and the same by the server's log, both without the start."""
    recorded = open_session(next(folder.iterdir()))
    chosen = Selection(t0_ns=recorded.info.t0_ns + round(SETTLED_S * 1e9))
    tables = tables_of(recorded, chosen)
    report = summary(replace(tables, events=()), token_gaps(recorded, chosen))["lanes"]["a"]
    ours = {f"{name} p{p}": report[name][f"p{p}"] for name in FIGURES for p in PERCENTS}
    ends_ns = tables.requests["t_end_ns"]
    late = [line for line in log if int(ends_ns[0]) <= line.t_ns[-1] <= int(ends_ns[-1])]
    times: dict[str, Sequence[float] | NDArray[np.float64]] = {
        "ttft_ms": [(line.t_ns[0] - line.received_ns) / 1e6 for line in late],
        "tpot_ms": [(line.t_ns[-1] - line.t_ns[0]) / 1e6 / (len(line.t_ns) - 1) for line in late],
        "itl_ms": np.concatenate([np.diff(line.t_ns) / 1e6 for line in late]),
        "e2e_ms": [(line.t_ns[-1] - line.received_ns) / 1e6 for line in late],
    }
    theirs = {f"{name} p{p}": float(np.percentile(np.asarray(times[name]), p)) for name in FIGURES for p in PERCENTS}
    return ours, theirs


def run(*, screen: bool, streams: int, seconds: float) -> tuple[Figures, Figures]:
    """One measurement, with or without the screen."""
    with source() as url, tempfile.TemporaryDirectory() as folder:
        options = ["--a", f"{url}/p/{TTFT_US}/{STEP_US}", "--max-concurrency", str(streams), "--out", folder]
        options += ["--random-input-len", "64", "--random-output-len", str(TOKENS)]
        dragstrip = [sys.executable, "-m", "tui.cli.main"]
        if screen:
            with on_a_terminal([*dragstrip, "watch", *options]):
                time.sleep(seconds)
        else:
            command = [*dragstrip, "run", *options, "--for", f"{seconds}s"]
            subprocess.run(command, check=True, capture_output=True)
        return measured(Path(folder), sent(url))


@contextlib.contextmanager
def on_a_terminal(command: list[str]) -> Iterator[None]:
    """Run it on a terminal that is resized and typed on; at the end leave it as an operator does."""
    ours, theirs = pty.openpty()
    there = os.environ | {"TERM": "xterm"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, env=there)
    os.close(theirs)
    over = threading.Event()
    busy = [threading.Thread(target=_empty, args=(ours,)), threading.Thread(target=_move, args=(ours, process, over))]
    for thread in busy:
        thread.start()
    try:
        yield
    finally:
        over.set()
        busy[1].join()
        for key in (b"\x1b", b"q", b"q"):
            time.sleep(0.5)
            os.write(ours, key)
        process.wait(20)
        busy[0].join()
        os.close(ours)


def _empty(terminal: int) -> None:
    with contextlib.suppress(OSError):  # the other end is closed
        while os.read(terminal, 1 << 16):
            pass


def _move(terminal: int, process: subprocess.Popen[bytes], over: threading.Event) -> None:
    for (rows, columns), key in zip(cycle(SIZES), cycle(KEYS), strict=False):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        process.send_signal(signal.SIGWINCH)
        os.write(terminal, key)
        if over.wait(MOVE_S):
            return


def main() -> None:
    """Several rounds, the two in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    off: dict[bool, list[Figures]] = {False: [], True: []}
    truth: list[Figures] = []
    for _ in range(args.rounds):
        for screen in (False, True):
            ours, theirs = run(screen=screen, streams=args.streams, seconds=args.seconds)
            off[screen].append({name: ours[name] - theirs[name] for name in ours})
            truth.append(theirs)
    print(f"{args.streams} streams, {args.rounds} rounds; ms off the server's own log, median (least to most)")
    for name in truth[0]:
        cells = [f"{name:12} {statistics.median(t[name] for t in truth):9.3f}"]
        for screen, label in ((False, "no screen"), (True, "screen")):
            values = sorted(figures[name] for figures in off[screen])
            cells.append(f"{label} {statistics.median(values):+7.3f} ({values[0]:+.3f} to {values[-1]:+.3f})")
        print("  " + "   ".join(cells))


if __name__ == "__main__":
    main()
