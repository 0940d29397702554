"""The parent process of an engine that dragstrip started: no part of the engine outlives dragstrip.

Its standard input is a pipe that nobody writes to: when it closes, dragstrip has stopped or was killed, and the
keeper ends the engine. Engines start workers that may lose their parent; as a "subreaper" the keeper inherits those
and ends them too.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tui.telemetry.processes import descendants

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_POLL_S = 0.2
TERM_GRACE_S = 15.0  # vLLM and SGLang take a few seconds to end their workers
KILL_GRACE_S = 2.0
NOT_STARTED = 127


def main(arguments: Sequence[str]) -> int:
    """Run `LOG COMMAND…` until standard input closes or the command ends; returns the command's exit status."""
    log, command = Path(arguments[0]), list(arguments[1:])
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # only the closed pipe ends it
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    with log.open("ab") as out:
        try:
            engine = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=_as_engine,  # noqa: PLW1509 - this process has one thread
            )
        except OSError as error:
            out.write(f"{command[0]}: {error.strerror}\n".encode())
            return NOT_STARTED
    while engine.poll() is None and not _closed():
        pass
    _end(engine)
    return engine.returncode if engine.returncode is not None else 1


def _as_engine() -> None:
    """Runs in the engine's process before the engine: ordinary signals, and an end when the keeper is killed."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _closed() -> bool:
    """Whether dragstrip has closed the pipe, after waiting for that a fifth of a second."""
    readable, _, _ = select.select([0], [], [], _POLL_S)
    return bool(readable) and not os.read(0, 1)


def _end(engine: "subprocess.Popen[bytes]") -> None:
    """Terminate the engine, then the processes that it leaves, then kill the rest."""
    _signal([engine.pid] if engine.poll() is None else [], signal.SIGTERM)
    _wait(lambda: engine.poll() is not None, TERM_GRACE_S)
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal(descendants(os.getpid()), number)
        if _wait(lambda: engine.poll() is not None and not _remaining(), KILL_GRACE_S):
            return


def _remaining() -> frozenset[int]:
    """The processes left below the keeper; those that have ended are reaped."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return frozenset()
    return descendants(os.getpid())


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
