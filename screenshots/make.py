"""Make the pictures of this folder: `python screenshots/make.py` for the demo, `--a URL --b URL` for real servers.

Runs a real session without a terminal for a minute and a half, turns the concurrency up twice, and writes NAME-120x40
and NAME-80x24 as SVG and PNG. With `--replay SESSION --at SECONDS` it shows that moment of a recording instead, after
the keys of `--keys`. The PNGs need resvg-py and the DejaVu fonts.
"""

import argparse
import asyncio
from pathlib import Path

from textual.app import App

from tui.model.profile import LaneProfile, Profile
from tui.profile.reading import read_profile
from tui.ui.terminal import prepare_terminal

FOLDER = Path(__file__).parent
SIZES = ((120, 40), (80, 24))
TURNS_S = (25, 25, 40)  # between the turns of the dial, and after the last


def main() -> None:
    """Parse the flags, run, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--a", metavar="URL", help="lane A's server; without it the demo is shown")
    parser.add_argument("--b", metavar="URL", help="lane B's server")
    parser.add_argument("--name", default="", help="begins the file names (demo, or real)")
    parser.add_argument("--turns", default=2, type=int, help="how often the concurrency is turned up (2)")
    parser.add_argument("--dial", nargs=3, type=int, metavar="N", help="concurrency, prompt and output tokens")
    parser.add_argument("--replay", metavar="SESSION", help="a recorded session, instead of a new one")
    parser.add_argument("--at", default=0.0, type=float, metavar="SECONDS", help="of the recording")
    parser.add_argument("--keys", default=[], nargs="*", metavar="KEY", help="pressed before the picture is taken")
    args = parser.parse_args()
    if args.replay:
        prepare_terminal()
        asyncio.run(_make_replay(args.replay, args.at, args.keys, args.name or args.replay))
        return
    profile = _profile(args.a, args.b, args.dial)
    prepare_terminal()
    asyncio.run(_make(profile, args.name or ("real" if args.a else "demo"), args.turns))


def _profile(a: str | None, b: str | None, dials: list[int] | None) -> Profile:
    from msgspec.structs import replace

    if a:
        profile = Profile(name="vllm-vs-sglang", a=LaneProfile(url=a), b=LaneProfile(url=b) if b else None)
    else:
        profile = read_profile("demo")
    if dials:
        names = ("concurrency", "prompt_tokens", "output_tokens")
        profile = replace(profile, load=replace(profile.load, **dict(zip(names, dials, strict=True))))
    return profile


async def _make(profile: Profile, name: str, turns: int) -> None:
    from tui.session.live import LiveSession
    from tui.ui.app import DragstripApp

    session = LiveSession(profile)
    app = DragstripApp(session)
    async with app.run_test(size=SIZES[0]) as pilot:
        app.theme = "dragstrip-dark"
        await session.started()
        for wait_s in TURNS_S[:turns]:
            await asyncio.sleep(wait_s)
            await pilot.press("right_curly_bracket")
        await asyncio.sleep(TURNS_S[-1])
        for size in SIZES:
            await pilot.resize_terminal(*size)
            await pilot.pause(1.5)
            write(app, f"{name}-{size[0]}x{size[1]}")
        await session.stop("picture taken")


async def _make_replay(session: str, at_s: float, keys: list[str], name: str) -> None:
    from tui.cli.sessions import session_named
    from tui.recording.marks import open_marks
    from tui.recording.reader import open_session
    from tui.recording.tape import Tape
    from tui.session.recorded_state import READING
    from tui.session.replay import ReplayOptions, ReplaySource
    from tui.session.timeline import profile_of
    from tui.ui.app import DragstripApp

    recorded = open_session(session_named(session))
    info = recorded.info
    options = ReplayOptions(1.0, lambda _: at_s)
    source = ReplaySource(profile_of(info), lambda: Tape(recorded), options, open_marks(info))
    app = DragstripApp(source, session_argument=lambda _: session)
    async with app.run_test(size=SIZES[0]) as pilot:
        app.theme = "dragstrip-dark"
        await pilot.pause(2)
        if source.playing:
            source.toggle()
        await source.seek(at_s)
        while any(verdict.reason == READING for verdict in source.view(60).verdicts.values()):
            await pilot.pause(1)
        await pilot.pause(1)
        for size in SIZES:
            await pilot.resize_terminal(*size)
            await pilot.press(*keys)
            await pilot.pause(1.5)
            write(app, f"{name}-{size[0]}x{size[1]}")
            await pilot.press("escape")
        await source.stop("picture taken")


def write(app: App[int], name: str) -> None:
    """One picture in both forms."""
    from resvg_py import svg_to_bytes

    from tui.ui.app import svg_of

    svg = svg_of(app)
    (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")
    (FOLDER / f"{name}.png").write_bytes(svg_to_bytes(svg, width=1482))


if __name__ == "__main__":
    main()
