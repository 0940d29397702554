"""What a command is at: one live line on a terminal, and now and then a plain line where there is none.

It goes to stderr, so that stdout stays free for results.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from tui.cli.console import print_notice, printable

if TYPE_CHECKING:
    from tui.session.live import LiveSession
    from tui.session.plan import PlanProgress
    from tui.session.view import View

AFTER_S: Final = 1.0  # work that takes no longer says nothing
EVERY_S: Final = 10.0  # between plain lines
TICK_S: Final = 0.5
LEAD_CELLS: Final = 48
USUAL_COLUMNS: Final = 80  # of a terminal that does not say
CLEAR_LINE: Final = "\r\x1b[K"


def time_text(seconds: float) -> str:
    """`0:41`, `5:20`, `1:02:03`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def is_terminal() -> bool:
    """Whether stderr is a terminal that can draw a line again."""
    return bool(sys.stderr and sys.stderr.isatty()) and os.environ.get("TERM") != "dumb"


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or USUAL_COLUMNS
    except OSError:
        return USUAL_COLUMNS


class StatusLine:
    """On a terminal each text replaces the one before; elsewhere a text is printed when `every_s` have passed."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._is_live = is_terminal()
        self._every_s = every_s
        self._next_s = 0.0
        self._shown = False

    def show(self, text: str, *, at_once: bool = False) -> None:
        """`at_once`: what began is new, so that it is printed without a terminal too."""
        if self._is_live:
            with suppress(OSError):
                sys.stderr.write(CLEAR_LINE + printable(text)[: _columns() - 1])
                sys.stderr.flush()
            self._shown = True
        elif at_once or time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + self._every_s
            print_notice(text)

    def clear(self) -> None:
        """Leave the line free for what is printed next."""
        if self._shown:
            with suppress(OSError):
                sys.stderr.write(CLEAR_LINE)
                sys.stderr.flush()
            self._shown = False


class Working:
    """Says on a terminal what a command is at while the block runs, once it takes long: `with Working("…") as work:`.

    A thread draws, because most of this work blocks.
    """

    def __init__(self, stage: str, after_s: float = AFTER_S) -> None:
        self._stage = stage
        self._after_s = after_s
        self._line = StatusLine()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def at(self, stage: str) -> None:
        """The work is at its next part."""
        self._stage = stage

    def share(self, what: str, done: int, total: int) -> None:
        """So much of the work is done; a callback of exports."""
        part = done / max(total, 1)
        self._stage = f"{what:<9} {'█' * round(30 * part):<30} {part:4.0%}"

    def __enter__(self) -> Self:
        if is_terminal():
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._line.clear()

    def _run(self) -> None:
        began_s, wait_s = time.monotonic(), self._after_s
        while not self._over.wait(wait_s):
            self._line.show(f"{self._stage}  {time_text(time.monotonic() - began_s)}")
            wait_s = TICK_S


class RunProgress:
    """The line of `dragstrip run`, drawn when a second is complete.

    `step 3 of 6  conc 32  41 s of 84  5:20 left  A 3,332  B 3,407 tok/s  B 2 % ahead`
    """

    def __init__(self, for_s: float, *, until_decided: bool = False) -> None:
        self._for_s = for_s
        self._most = "at most " if until_decided else ""
        self._line = StatusLine()
        self._number = 0

    def second(self, session: LiveSession) -> None:
        view = session.view(10)
        if not view.second:
            return
        now = session.plan.progress() if session.plan is not None else None
        if session.plan is not None and now is None:
            return
        place = self._step(now) if now is not None else self._elapsed(view.second)
        self._line.show(
            "  ".join(filter(None, (place, rates_text(view), lead_text(view)))), at_once=self._begins(now)
        )

    def clear(self) -> None:
        self._line.clear()

    def _begins(self, now: PlanProgress | None) -> bool:
        number = 1 if now is None else now.number
        begins, self._number = number != self._number, number
        return begins

    def _elapsed(self, second: int) -> str:
        return f"{second} s of {self._for_s:g}  {time_text(max(self._for_s - second, 0))} left"

    def _step(self, now: PlanProgress) -> str:
        held = f"{now.held_s:.0f} s of {self._most}{now.for_s:g}" if now.for_s is not None else ""
        if now.requests is not None:
            held = f"{now.ended} of {now.requests} requests"
        left = f"{self._most}{time_text(now.left_s)} left" if now.left_s else ""
        return "  ".join(filter(None, (f"step {now.number} of {now.of}", now.setting, held, left)))


def rates_text(view: View) -> str:
    """`A 3,332  B 3,407 tok/s`, over the last seconds; what a lane is when it has none."""
    rates = []
    for lane, each in view.lanes.items():
        rate = "–" if each.output_tps is None else f"{each.output_tps:,.0f}"
        rates.append(f"{lane.upper()} {'down' if each.state == 'down' else rate}")
    return f"{'  '.join(rates)} tok/s"


def lead_text(view: View) -> str:
    """Who leads so far, as sure or as unsure as it is."""
    from tui.judge.sentence import Setup, joined, verdict_sentence

    verdict = view.verdicts.get("output_tps")
    if len(view.lanes) < 2 or verdict is None:
        return ""
    a, b = (lane.output_tps for lane in view.lanes.values())
    so_far = a / b if a and b else None
    return joined(verdict_sentence(verdict, Setup(delta=view.delta, ratio_so_far=so_far)).within(LEAD_CELLS))
