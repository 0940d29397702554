"""`dragstrip replay`: the screen on a recording."""

import argparse
import math
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tui.cli.console import call_in_lines, is_dumb, require_terminal, run_screen, screen_flags
from tui.cli.options import session_flag
from tui.model.session import SessionInfo
from tui.model.text import UserError
from tui.session.source import SPEEDS, Source
from tui.ui.dialogs import RecordingTimes, parse_time

if TYPE_CHECKING:
    from tui.recording.tape import Tape

HELP = "replay a recorded session on the same screen"
_SPEED_NAMES = {f"{speed:g}": speed for speed in SPEEDS[:-1]} | {"max": math.inf, "inf": math.inf}


def arguments(parser: argparse.ArgumentParser) -> None:
    session_flag(parser)
    parser.add_argument("--speed", metavar="X", default="1", help=f"{', '.join(list(_SPEED_NAMES)[:-1])} (1)")
    parser.add_argument(
        "--at", default="0", metavar="TIME", help="where to start: 90, 1:30, 0:01:30 or 50%% (default 0)"
    )
    parser.add_argument("--follow", action="store_true", help="watch a session that is still being recorded")
    screen_flags(parser)


def call(args: argparse.Namespace) -> int:
    from tui.cli.sessions import session_named
    from tui.recording.marks import open_marks
    from tui.session.replay import ReplayOptions
    from tui.session.timeline import profile_of

    if is_dumb():
        from tui.cli import report

        return call_in_lines(report, args, "report", args.session)
    how = ReplayOptions(speed_of(args.speed), moment_of(args.at), args.follow)
    where = session_named(args.session)
    require_terminal("use `dragstrip report SESSION`, which needs none")
    info = _info(where)

    def session() -> Source:
        from tui.session.replay import ReplaySource

        return ReplaySource(profile_of(info), partial(_open, where), how, open_marks(info))

    return run_screen(
        session,
        ascii_only=args.ascii,
        session_argument=lambda _: shlex.quote(args.session),
        session_folder=lambda _: where,
    )


def speed_of(text: str) -> float:
    """A speed as typed. UserError when a replay has no such speed."""
    if text not in _SPEED_NAMES:
        raise UserError(f"{text} is not a speed: give one of {', '.join(list(_SPEED_NAMES)[:-1])}")
    return _SPEED_NAMES[text]


def moment_of(text: str) -> Callable[[float], float]:
    """A moment as typed, to be asked with the session's length in seconds. UserError when it is none."""
    at_s = parse_time(text, RecordingTimes(math.inf, None))
    return lambda duration_s: at_s if math.isfinite(at_s) else parse_time(text, RecordingTimes(duration_s, None))


def _info(where: Path) -> SessionInfo:
    """All that the first paint needs of a session; the tables make it up for one whose `session.toml` is torn."""
    from tui.recording.catalog import read_info

    try:
        return read_info(where)
    except (OSError, ValueError):
        return _open(where).info


def _open(where: Path) -> "Tape":
    from tui.recording.reader import open_session
    from tui.recording.tape import Tape

    return Tape(open_session(where))
