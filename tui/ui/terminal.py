"""The terminal around Textual: what must be set before Textual is imported, and what happens when it is closed."""

from __future__ import annotations

import errno
import gc
import os
import select
import signal
import stat
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from typing import TYPE_CHECKING, Any

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)  # that end the program in order
if TYPE_CHECKING:
    from textual.app import App

EXIT_S = 0.5
TMUX_S = 2.0
DRAIN_S = 0.05
SSH_FPS = "15"  # bounds what a held key sends; one key press still echoes at once


def prepare_terminal() -> None:
    """No animations, fewer frames where each of them crosses a network; Textual reads both once, at import.

    Nothing that is made until the first paint is garbage, and looking for some costs a fifth of that time: the
    collector begins with `painted`.
    """
    gc.disable()
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    if os.environ.get("SSH_CONNECTION"):
        os.environ.setdefault("TEXTUAL_FPS", SSH_FPS)


def painted() -> None:
    """The first paint is done: everything made so far stays, and the collector looks at what comes."""
    gc.freeze()
    gc.enable()


def is_closed() -> bool:
    """Whether the terminal was closed; False when there never was one."""
    try:
        termios.tcgetattr(2)
    except termios.error as error:
        return bool(error.args[0] == errno.EIO)
    return False


def watch_terminal(gone: Callable[[], object], writer: Callable[[], Any]) -> None:
    """Call `gone` in a separate thread once the terminal is closed, whatever the event loop is waiting for.

    Textual's writer thread ends at the first write that fails, its queue is short, and the event loop waits for room
    in it for ever: no signal is seen any more. So the queue of a `writer` that has ended is emptied until the end.
    """
    if os.isatty(2):
        threading.Thread(target=_watch, args=(gone, writer), daemon=True, name="terminal-watch").start()


def _watch(gone: Callable[[], object], writer: Callable[[], Any]) -> None:
    hangup = select.poll()
    hangup.register(2, 0)  # no event but POLLHUP, which is always reported
    while not any(events & select.POLLHUP for _, events in hangup.poll()):
        pass
    with suppress(RuntimeError):  # the event loop is closed: the program is ending anyway
        gone()
    pause = threading.Event()
    while not pause.wait(DRAIN_S):
        thread = writer()
        if thread is not None and not thread.is_alive():
            with suppress(Empty):
                while True:
                    thread._queue.get_nowait()


def silence_terminal() -> None:
    """The terminal was closed: send what is written to it nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        if stat.S_ISCHR(os.fstat(descriptor).st_mode):  # a redirected stdout is still good
            os.dup2(null, descriptor)


def abandon_terminal(code: int) -> None:
    """The terminal was closed: send what is written to it nowhere, and exit soon whatever still waits for it."""
    silence_terminal()
    forced = threading.Timer(EXIT_S, os._exit, [code])
    forced.daemon = True
    forced.start()


def write_terminal(app: App[Any], sequence: str) -> None:
    """A control sequence, between two frames; nothing where there is no terminal."""
    if not app.is_headless and app._driver is not None:
        app._driver.write(sequence)


APPLE_TERMINAL, LINUX_CONSOLE = "Apple_Terminal", "linux"
VTE_TAKES_IT_FROM = 7800  # GNOME Terminal, Tilix, Terminator, xfce4-terminal: 0.78, of September 2024


def clipboard_problem() -> str:
    """Why this terminal is known not to take OSC 52, by which a program fills the clipboard; empty: it may.

    No terminal answers whether it took it. Textual names macOS' Terminal as one that does not; a console has no
    clipboard; GNU screen passes nothing on; tmux does so only where `set-clipboard` is on, which it is not at first.
    """
    if os.environ.get("TMUX"):
        return _tmux_problem()
    vte = os.environ.get("VTE_VERSION", "")
    if os.environ.get("TERM_PROGRAM") == APPLE_TERMINAL:
        return "macOS' Terminal takes no OSC 52"
    if os.environ.get("TERM") == LINUX_CONSOLE:
        return "the console has no clipboard"
    if os.environ.get("STY"):
        return "GNU screen passes no OSC 52 on"
    if vte.isdigit() and int(vte) < VTE_TAKES_IT_FROM:
        return "this terminal is older than VTE 0.78, which takes OSC 52"
    return ""


def _tmux_problem() -> str:
    """`on` passes it on to the terminal; `external`, as at first, is only for tmux itself."""
    try:
        asked = subprocess.run(
            ["tmux", "show-options", "-sv", "set-clipboard"],
            capture_output=True,
            text=True,
            timeout=TMUX_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return "" if asked.stdout.strip() == "on" else "tmux keeps it: `tmux set -s set-clipboard on` passes it on"


def has_shell() -> bool:
    """Whether the parent process is in the same terminal session: a shell whose `fg` can bring this one back."""
    try:
        return os.getsid(os.getppid()) == os.getsid(0)
    except OSError:
        return False


def speaks_utf8() -> bool:
    """Whether the locale allows more than ASCII; assumed where none is set.

    What counts is what the operator set: Python replaces a locale C by LC_CTYPE=C.UTF-8 and turns UTF-8 mode on
    (PEP 538).
    """
    replaced = sys.flags.utf8_mode and os.environ.get("LC_CTYPE") == "C.UTF-8"
    names = ("LC_ALL", "LANG") if replaced else ("LC_ALL", "LC_CTYPE", "LANG")
    locale = next((os.environ[name] for name in names if os.environ.get(name)), "UTF-8")
    return "utf" in locale.casefold()
