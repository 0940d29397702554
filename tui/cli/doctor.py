"""`dragstrip doctor`: may these two be compared?"""

import argparse
import asyncio

from tui.cli import target
from tui.cli.output import say
from tui.profile.model import Profile

HELP = "are these two comparable? settings side by side, what is unfair, and the flag that mends it"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The targets of `watch`."""
    target.arguments(parser)


def call(args: argparse.Namespace) -> int:
    """Print the table and the sentence; 0 when they are comparable, else 1."""
    return asyncio.run(_examine(target.profile_of(args)))


async def _examine(profile: Profile) -> int:
    from tui.cli.simulated import SimulatedLanes
    from tui.session.doctor import examine, text

    simulated = SimulatedLanes()
    try:
        report = await examine(await simulated.prepare(profile))
    finally:
        await simulated.stop()
    say(text(report))
    return 0 if report.comparable else 1
