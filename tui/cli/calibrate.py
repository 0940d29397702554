"""`dragstrip calibrate`: measure one server against itself, for the δ within which two servers are level.

The measured noise floors are kept in the user's data folder.
"""

from __future__ import annotations

import argparse
import asyncio
import math
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tui.cli.console import print_notice, print_result, until_one_ends
from tui.cli.options import ask_before_load, duration_s, profile_from, target_flags, yes_flag
from tui.cli.progress import StatusLine, rates_text, time_text
from tui.model.dials import DIALS, dial_text
from tui.model.profile import Profile
from tui.model.rows import Lane
from tui.model.text import UserError
from tui.profile.reading import lane_dials

if TYPE_CHECKING:
    from tui.session.live import LiveSession

MIN_S = 80  # four batches of 20 s
MAX_SETTLING_S = 90
HELP = "measure the noise floor with one server in both lanes (it gets the load of both)"


class NoiseFloor(msgspec.Struct, frozen=True, kw_only=True):
    """δ of one server under one setting, and the A/A run it comes from."""

    server: str  # its URL, or the engine that a simulator imitates
    model: str
    setting: str
    delta: float
    ratio: float
    low: float
    high: float
    seconds: int
    measured: str  # the day, as 2026-11-23


def arguments(parser: argparse.ArgumentParser) -> None:
    target_flags(parser)
    yes_flag(parser)
    parser.add_argument(
        "--for",
        dest="duration",
        default="120s",
        metavar="TIME",
        help="settled time to measure, at least 80s (default 120s)",
    )


def call(args: argparse.Namespace) -> int:
    """Run A against A; print and store δ."""
    from tui.stats.verdict import noise_floor

    profile = profile_from(args)
    server, model, setting = _identity(profile)
    for_s = duration_s(args.duration)
    if for_s < MIN_S:
        raise UserError(f"{for_s:g} s are too short for a noise floor: run at least {MIN_S} s")
    ask_before_load(msgspec.structs.replace(profile, b=None), yes=args.yes)
    print_notice(f"measuring one server against itself: {time_text(for_s)} and the time to settle")
    tps = asyncio.run(settled_tps(profile, for_s))
    noise = noise_floor(tps["a"], tps["b"])
    _store(
        NoiseFloor(
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
        print_notice(
            "dragstrip: the lanes differ although both load the same server; δ covers it, but look for the cause"
        )
    return 0


async def settled_tps(profile: Profile, for_s: float) -> dict[Lane, list[float]]:
    """Output tokens of each settled second of lane A's server in both lanes: `for_s` seconds, if they come."""
    from tui.session.live import LiveSession
    from tui.simulator.process import SimulatedLanes

    simulated = SimulatedLanes()
    alone = await simulated.start(msgspec.structs.replace(profile, b=None, mode="together"))
    session = LiveSession(msgspec.structs.replace(alone, b=alone.a))
    line = StatusLine()
    try:
        await session.reach()
        await session.start(lambda: line.show(_settled_text(session, for_s)))
        await until_one_ends(session.ended(), _settled(session, for_s))
        return {lane: list(values) for lane, values in session.view(10).segment_tps.items()}
    finally:
        line.clear()
        await session.stop("done")
        await simulated.stop()


def _settled_text(session: LiveSession, for_s: float) -> str:
    view = session.view(10)
    settled_s = min(map(len, view.segment_tps.values()), default=0)
    return f"{settled_s} settled s of {for_s:g}  {time_text(max(for_s - settled_s, 0))} left  {rates_text(view)}"


async def _settled(session: LiveSession, for_s: float) -> None:
    for second in count(math.ceil(for_s)):
        await session.elapsed(second)
        settled_s = min(map(len, session.view(10).segment_tps.values()))
        if settled_s >= for_s or second > for_s + MAX_SETTLING_S:
            return


def with_noise_floor(profile: Profile) -> Profile:
    """The profile with the δ measured for it; unchanged when it has a δ or none was measured."""
    if profile.delta is not None:
        return profile
    floor = next((floor for floor in noise_floors() if _key(floor) == _identity(profile)), None)
    if floor is None:
        return profile
    return msgspec.structs.replace(profile, delta=floor.delta, delta_from=f"calibrated {floor.measured}")


def store_path() -> Path:
    from tui.recording.catalog import sessions_root

    return sessions_root().parent / "noise.json"


def noise_floors() -> list[NoiseFloor]:
    """Every stored noise floor. UserError when the file is damaged."""
    try:
        path = store_path()
    except UserError:
        return []  # a user without a home folder has stored none
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[NoiseFloor])
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, msgspec.DecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}); delete it and calibrate again") from error


def _store(floor: NoiseFloor) -> None:
    """Store a floor in place of an older one of the same server, model and setting."""
    path = store_path()
    floors = [other for other in noise_floors() if _key(other) != _key(floor)] + [floor]
    scratch = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(msgspec.json.format(msgspec.json.encode(floors)))
        scratch.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror})") from error


def _identity(profile: Profile) -> tuple[str, str, str]:
    """Server, model and setting of lane A as the profile starts it."""
    lane, dials = profile.a, lane_dials(profile, profile.a)
    setting = ", ".join(f"{spec.label} {dial_text(spec, getattr(dials, spec.name))}" for spec in DIALS)
    return lane.url or f"simulated {lane.simulate}", lane.model, setting


def _key(floor: NoiseFloor) -> tuple[str, str, str]:
    return floor.server, floor.model, floor.setting
