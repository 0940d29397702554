"""`dragstrip watch`: the live head-to-head."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tui.cli.calibrate import with_noise_floor
from tui.cli.console import call_in_lines, is_dumb, print_notice, require_terminal, run_screen, screen_flags
from tui.cli.options import (
    profile_from,
    recorder_from,
    recording_flags,
    session_argument,
    session_folder,
    target_flags,
)
from tui.model.profile import Profile
from tui.profile.config import UserConfig, pair_of
from tui.session.source import Source

if TYPE_CHECKING:
    from tui.ui.tour import Tour

REFUSED = 2  # exit code of a session that did not begin
HELP = "watch two servers side by side, live"


def arguments(parser: argparse.ArgumentParser) -> None:
    target_flags(parser)
    recording_flags(parser)
    screen_flags(parser)


def call(args: argparse.Namespace, make_tour: Callable[[Source], Tour] | None = None) -> int:
    if is_dumb():
        from tui.cli import run

        return call_in_lines(run, args, "run")
    profile = profile_from(args)
    require_terminal("`dragstrip run` measures the same without one")
    profile = with_noise_floor(profile)
    record = recorder_from(args, profile)

    def session() -> Source:
        from tui.session.live import LiveSession

        live = LiveSession(profile, record=record)
        live.watched = True
        return live

    code = run_screen(
        session,
        ascii_only=args.ascii,
        session_argument=partial(session_argument, args, profile),
        session_folder=partial(session_folder, args, profile),
        make_tour=make_tour,
    )
    if code != REFUSED and args.profile != "demo" and (problem := _remember(profile, args.profile or "")):
        print_notice(f"dragstrip: {problem}")
    return code


def _remember(profile: Profile, name: str) -> str:
    """Keep the pair for the start screen; a config that cannot be written is no reason to end with an error."""
    return UserConfig.open().remember(pair_of(profile, name))
