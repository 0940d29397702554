"""What must be settled before Textual is imported, because it reads these once, at import."""

import errno
import gc
import os
import select
import stat
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from typing import Any

LET_GO_S = 0.5
DRAIN_S = 0.05
SSH_FPS = "15"  # bounds what a held key sends; one key press still echoes at once


def prepare_terminal() -> None:
    """No animations anywhere; fewer frames where each of them crosses a network.

    Nothing that is made until the first paint is garbage, and looking for some costs a fifth of that time: the
    collector begins with `painted`.
    """
    gc.disable()
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    if os.environ.get("SSH_CONNECTION"):
        os.environ.setdefault("TEXTUAL_FPS", SSH_FPS)


def painted() -> None:
    """The first paint is done: what there is stays, and the collector looks at what comes."""
    gc.freeze()
    gc.enable()


def is_gone() -> bool:
    """Whether the terminal that this program began on was closed; False when it never had one."""
    try:
        termios.tcgetattr(2)
    except termios.error as error:
        return bool(error.args[0] == errno.EIO)
    return False


def watch_terminal(gone: Callable[[], object], writer: Callable[[], Any]) -> None:
    """Call `gone` in a thread of its own once the terminal is closed, whatever the event loop is waiting for.

    Textual's writer thread ends at the first write that fails, its queue is short, and the event loop waits for room
    in it for ever: no signal is seen any more. So the queue of a `writer` that ended is emptied until the end.
    """
    if os.isatty(2):
        threading.Thread(target=_watch, args=(gone, writer), daemon=True, name="terminal-watch").start()


def _watch(gone: Callable[[], object], writer: Callable[[], Any]) -> None:
    hangup = select.poll()
    hangup.register(2, 0)  # nothing but what is always told: that it hung up
    while not any(events & select.POLLHUP for _, events in hangup.poll()):
        pass
    with suppress(RuntimeError):  # the event loop is closed: the program is ending anyway
        gone()
    pause = threading.Event()
    while not pause.wait(DRAIN_S):
        ended = writer()
        if ended is not None and not ended.is_alive():
            with suppress(Empty):
                while True:
                    ended._queue.get_nowait()


def let_go(code: int) -> None:
    """The terminal was closed: what is written to it goes nowhere, and nothing waits for it longer than a moment."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        if stat.S_ISCHR(os.fstat(descriptor).st_mode):  # a redirected stdout is still good
            os.dup2(nowhere, descriptor)
    last = threading.Timer(LET_GO_S, os._exit, [code])
    last.daemon = True
    last.start()


def has_shell() -> bool:
    """Whether the process that started this one shares its terminal session: a shell's `fg` can bring it back."""
    try:
        return os.getsid(os.getppid()) == os.getsid(0)
    except OSError:
        return False


def speaks_utf8() -> bool:
    """Whether the locale lets a terminal show more than ASCII; where none is set, it is taken to.

    The operator's words count: Python puts LC_CTYPE=C.UTF-8 in place of a locale C (PEP 538), turning UTF-8 mode on.
    """
    replaced = sys.flags.utf8_mode and os.environ.get("LC_CTYPE") == "C.UTF-8"
    names = ("LC_ALL", "LANG") if replaced else ("LC_ALL", "LC_CTYPE", "LANG")
    told = next((os.environ[name] for name in names if os.environ.get(name)), "UTF-8")
    return "utf" in told.casefold()
