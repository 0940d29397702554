"""`dragstrip doctor`: may these two be compared?"""

import argparse
import asyncio

from tui.cli import options as target
from tui.cli.console import print_result
from tui.model.profile import Profile

HELP = "are these two comparable? settings side by side, what is unfair, and the flag that mends it"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The targets of `watch`."""
    target.arguments(parser)
    parser.add_argument("--reset-cache", action="store_true", help="empty both servers' prefix caches afterwards")


def call(args: argparse.Namespace) -> int:
    """Print the table and the sentence; 0 when they are comparable, else 1."""
    return asyncio.run(_examine(target.profile_of(args), empty=args.reset_cache))


async def _examine(profile: Profile, *, empty: bool) -> int:
    from tui.cli.simulate import SimulatedLanes
    from tui.doctor.checks import examine, text
    from tui.engines.prefix_cache import empty_caches

    simulated = SimulatedLanes()
    try:
        profile = await simulated.prepare(profile)
        report = await examine(profile)
        print_result(text(report))
        for line in await empty_caches(profile) if empty else ():
            print_result(line)
    finally:
        await simulated.stop()
    return 0 if report.comparable else 1
