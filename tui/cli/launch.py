"""`dragstrip launch`: start both engines with one configuration, or print the commands that would."""

import argparse
import asyncio
import signal
from collections.abc import Coroutine

from tui.cli.console import print_notice, print_result
from tui.model.profile import Profile
from tui.profile.reading import read_profile

HELP = "start both engines of a profile with one configuration, or print the two commands"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which profile, and whether to start it."""
    parser.add_argument("profile", help="a profile with tables [a.launch] and [b.launch]")
    parser.add_argument("--print", dest="only_print", action="store_true", help="print the commands, start nothing")
    parser.add_argument(
        "--together",
        action="store_true",
        help="start both at once although they share a GPU: for KV pools of a fixed size",
    )


def call(args: argparse.Namespace) -> int:
    """Start and compare the engines, keep them until interrupted, stop them."""
    from tui.launcher.launcher import shell_commands

    profile = read_profile(args.profile)
    if args.only_print:
        print_result(shell_commands(profile))
        return 0
    return asyncio.run(_launch(profile, together=args.together))


async def _launch(profile: Profile, *, together: bool) -> int:
    from tui.doctor.checks import examine, text
    from tui.launcher.launcher import EngineDiedError, Launcher

    interrupted = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, interrupted.set)
    try:
        async with Launcher(
            profile, lambda lane, stage: print_notice(f"{lane.upper()} {stage}"), together=together
        ) as launcher:
            print_notice(f"logs are in {launcher.logs}")
            if await _unless(interrupted, launcher.start()):
                print_result(text(await examine(profile)))
                print_notice("both run; end them with ctrl+c")
                await _unless(interrupted, launcher.ended())
    except EngineDiedError as error:
        for line in error.tail:
            print_notice(f"  {line}")
        raise
    return 0


async def _unless(interrupted: asyncio.Event, work: Coroutine[object, object, object]) -> bool:
    """Whether the work was done before the operator interrupted. Raises its errors."""
    doing, waiting = asyncio.ensure_future(work), asyncio.ensure_future(interrupted.wait())
    await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if doing.done():
        doing.result()
        return True
    doing.cancel()
    await asyncio.wait([doing])
    return False
