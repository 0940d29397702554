"""`dragstrip launch`: start both engines with one configuration, or print the commands that would."""

import argparse
import asyncio

from tui.cli.console import Interruption, print_marked, print_notice, print_result, until_one_ends
from tui.cli.progress import Working
from tui.model.profile import Profile
from tui.profile.reading import read_profile

HELP = "start both engines of a profile with the same settings, or print the commands"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("profile", help="a profile with tables [a.launch] and [b.launch]")
    parser.add_argument("--print", dest="only_print", action="store_true", help="print the commands, start nothing")
    parser.add_argument(
        "--together",
        action="store_true",
        help="start both at once on a shared GPU: only with KV pools of a fixed size",
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

    interrupted = Interruption().event
    try:
        async with Launcher(
            profile, lambda lane, stage: print_notice(f"{lane.upper()} {stage}"), together=together
        ) as launcher:
            print_notice(f"logs are in {launcher.logs}")
            await until_one_ends(launcher.start(), interrupted.wait())
            if not interrupted.is_set():
                with Working("asking both engines for their settings"):
                    report = await examine(profile)
                print_marked(text(report))
                print_notice("both engines are running; stop them with ctrl+c")
                await until_one_ends(launcher.ended(), interrupted.wait())
    except EngineDiedError as error:
        for line in error.tail:
            print_notice(f"  {line}")
        raise
    return 0
