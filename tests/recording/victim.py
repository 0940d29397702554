"""A program that records until it is killed: `python -m tests.recording.victim FOLDER live|closing`.

It says on its standard output what it does, one line a step: `given N` when the recorder was handed batch N,
`safe N` when it called that batch safe, `closing` and `closed`.
"""

import itertools
import os
import sys
import time
from pathlib import Path

from tests.recording import synthetic
from tui.recording.recorder import Recorder

EVERY_S = 0.02
BATCHES_TO_CLOSE = 10


def say(line: str) -> None:
    """Unbuffered, so that a kill loses no line."""
    os.write(1, f"{time.monotonic_ns()} {line}\n".encode())


def safe(recorder: Recorder) -> int:
    """How many batches are on the disk."""
    return 0 if recorder.durable_t_ns is None else (recorder.durable_t_ns - synthetic.T0_NS) // synthetic.SECOND_NS


def record(recorder: Recorder, batches: int | None) -> None:
    """Hand over batch after batch, without end when `batches` is None."""
    said = 0
    for number in range(batches) if batches else itertools.count():
        recorder(next(synthetic.batches(1, first=number)))
        say(f"given {number + 1}")
        if safe(recorder) > said:
            said = safe(recorder)
            say(f"safe {said}")
        time.sleep(EVERY_S)


def main() -> None:
    """Record as the second argument says."""
    directory, mode = Path(sys.argv[1]), sys.argv[2]
    if mode == "live":
        record(Recorder(directory, synthetic.info()), None)
    recorder = Recorder(directory, synthetic.info(), flush_every_s=0.05)
    record(recorder, BATCHES_TO_CLOSE)
    while safe(recorder) < BATCHES_TO_CLOSE:
        time.sleep(0.005)
    say("closing")
    recorder.close("stopped", float(BATCHES_TO_CLOSE))
    say("closed")
    time.sleep(60)


if __name__ == "__main__":
    main()
