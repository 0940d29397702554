"""`dragstrip doctor`: may these two servers be compared?"""

import argparse
import asyncio

from tui.cli.console import print_marked, print_result
from tui.cli.options import profile_from, target_flags
from tui.cli.progress import Working
from tui.model.profile import Profile

HELP = "are these two servers comparable? settings side by side, and the flags that change those that differ"


def arguments(parser: argparse.ArgumentParser) -> None:
    target_flags(parser)
    parser.add_argument("--reset-cache", action="store_true", help="empty both servers' prefix caches afterwards")


def call(args: argparse.Namespace) -> int:
    """Print the settings and the answer; 0 when they are comparable, else 1."""
    return asyncio.run(_examine(profile_from(args), reset_cache=args.reset_cache))


async def _examine(profile: Profile, *, reset_cache: bool) -> int:
    from tui.doctor.checks import examine, text
    from tui.doctor.examine import empty_caches
    from tui.simulator.process import SimulatedLanes

    simulated = SimulatedLanes()
    try:
        with Working("asking both servers" if profile.b is not None else "asking the server"):
            profile = await simulated.start(profile)
            report = await examine(profile)
        print_marked(text(report))
        for line in await empty_caches(profile) if reset_cache else ():
            print_result(line)
    finally:
        await simulated.stop()
    return 0 if report.comparable else 1
