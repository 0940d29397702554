"""`dragstrip calibrate`: lane A's server against itself, for the δ under which two servers are called level."""

import argparse
import asyncio
import math
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from tui.cli import noise_store
from tui.cli import options as target
from tui.cli.console import print_notice, print_result
from tui.model.profile import Profile
from tui.model.rows import Lane
from tui.model.text import UserError

if TYPE_CHECKING:
    from tui.session.live import LiveSession

LEAST_S = 80  # four batches of 20 s
LONGEST_SETTLING_S = 90
HELP = "measure the noise floor: one server in both lanes (it carries the load of both)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Targets, dials and how long."""
    target.arguments(parser)
    parser.add_argument(
        "--for", dest="duration", default="120s", metavar="TIME", help="how many settled seconds, 80 at least (120s)"
    )


def call(args: argparse.Namespace) -> int:
    """Run A against A, store δ, say it."""
    from tui.cli.run import seconds
    from tui.stats.verdict import noise_floor

    profile = target.profile_of(args)
    server, model, setting = noise_store.identity(profile)
    for_s = seconds(args.duration)
    if for_s < LEAST_S:
        raise UserError(f"no noise floor can be told of {for_s:g} s: run it longer, {LEAST_S} s at least")
    tps = asyncio.run(settled_tps(profile, for_s))
    noise = noise_floor(tps["a"], tps["b"])
    noise_store.keep(
        noise_store.Floor(
            server=server,
            model=model,
            setting=setting,
            measured=datetime.now(tz=UTC).date().isoformat(),
            **{name: getattr(noise, name) for name in ("delta", "ratio", "low", "high", "seconds")},
        )
    )
    print_result(f"δ = {noise.delta:.1%} for {server} at {setting}")
    print_result(
        f"A/A ratio {noise.ratio:.3f} [{noise.low:.3f} … {noise.high:.3f}] over {noise.seconds} settled seconds"
    )
    if noise.biased:
        print_notice("dragstrip: the lanes differ although the server is one; δ covers it, but look for the cause")
    return 0


async def settled_tps(profile: Profile, for_s: float) -> dict[Lane, list[float]]:
    """The tokens of each settled second of lane A's server in both lanes, `for_s` of them if they come."""
    from tui.cli.simulate import SimulatedLanes
    from tui.session.live import LiveSession

    simulated = SimulatedLanes()
    alone = await simulated.prepare(msgspec.structs.replace(profile, b=None, mode="together"))
    session = LiveSession(msgspec.structs.replace(alone, b=alone.a), release=simulated.stop)
    try:
        await session.reach()
        await session.start(lambda: None)
        ended = asyncio.create_task(session.ended())
        complete = asyncio.create_task(_settled(session, for_s))
        await asyncio.wait({ended, complete}, return_when=asyncio.FIRST_COMPLETED)
        complete.cancel()
        if ended.done():
            ended.result()
        ended.cancel()
        return {lane: list(values) for lane, values in session.view(10).segment_tps.items()}
    finally:
        await session.stop("done")


async def _settled(session: "LiveSession", for_s: float) -> None:
    for second in count(math.ceil(for_s)):
        await session.elapsed(second)
        settled_s = min(map(len, session.view(10).segment_tps.values()))
        if settled_s >= for_s or second > for_s + LONGEST_SETTLING_S:
            return
