"""`dragstrip watch`: the live head-to-head."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tui.cli.calibrate import with_noise_floor
from tui.cli.console import (
    bell_flag,
    call_in_lines,
    is_dumb,
    print_notice,
    require_terminal,
    run_screen,
    screen_flags,
)
from tui.cli.options import (
    ask_before_load,
    duration_s,
    limits_of_load,
    profile_from,
    recorder_from,
    recording_flags,
    session_argument,
    session_folder,
    target_flags,
    yes_flag,
)
from tui.model.profile import Profile
from tui.model.text import UserError
from tui.profile.config import UserConfig, pair_of
from tui.session.source import Source

if TYPE_CHECKING:
    from tui.ui.app import DragstripApp
    from tui.ui.tour import Tour

REFUSED = 2  # exit code of a session that did not begin
HELP = "watch two servers side by side, live"


def arguments(parser: argparse.ArgumentParser) -> None:
    target_flags(parser)
    yes_flag(parser)
    recording_flags(parser)
    screen_flags(parser)
    bell_flag(parser)
    parser.add_argument("--for", dest="duration", metavar="TIME", help="end by itself after 90s, 30m or 2h")
    parser.add_argument(
        "--on-hangup",
        choices=("end", "keep"),
        default="end",
        help="when the connection drops: end the session, or go on recording until --for is over (default: end)",
    )


def call(args: argparse.Namespace, make_tour: Callable[[Source], Tour] | None = None) -> int:
    if is_dumb():
        from tui.cli import run

        return call_in_lines(run, args, "run")
    profile = profile_from(args)
    ends_after_s = _ends_after_s(args)
    require_terminal("`dragstrip run` measures the same without one")
    ask_before_load(profile, yes=args.yes)
    limits = limits_of_load()
    limits.check(profile)
    profile = with_noise_floor(profile)
    record = recorder_from(args, profile)

    def session() -> Source:
        from tui.session.live import LiveSession

        live = LiveSession(profile, record=record)
        live.watched = True
        live.limit(limits)
        return live

    def prepare(app: DragstripApp) -> None:
        from tui.ui.live_screen import LiveScreen

        app.ends_after_s, app.keeps_on_hangup = ends_after_s, args.on_hangup == "keep"
        if isinstance(app.main_screen, LiveScreen):
            app.main_screen.alerts = None if getattr(args, "no_bell", False) else app.main_screen.alerts
            app.main_screen.tour = make_tour(app.source) if make_tour is not None else None

    code = run_screen(
        session,
        ascii_only=args.ascii,
        session_argument=partial(session_argument, args, profile),
        session_folder=partial(session_folder, args, profile),
        prepare=prepare,
    )
    if code != REFUSED and args.profile != "demo" and (problem := _remember(profile, args.profile or "")):
        print_notice(f"dragstrip: {problem}")
    return code


def _ends_after_s(args: argparse.Namespace) -> float | None:
    """UserError for a session that nobody could end or see."""
    if args.on_hangup == "keep":
        if not args.duration:
            raise UserError("--on-hangup keep needs --for, as --for 30m: without a screen nobody could end the load")
        if args.no_record:
            raise UserError("--on-hangup keep records what goes on without a screen: leave --no-record out")
    return duration_s(args.duration) if args.duration else None


def _remember(profile: Profile, name: str) -> str:
    """Keep the pair for the start screen; a config that cannot be written is no reason to end with an error."""
    return UserConfig.open().remember(pair_of(profile, name))
