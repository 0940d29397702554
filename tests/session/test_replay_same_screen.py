"""Played live and replayed, a session gives the same screen at the same second."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.ui.reading import settled
from tui.model.profile import LaneProfile, Limits, LoadProfile, Profile
from tui.model.session import SessionInfo
from tui.recording.reader import open_session
from tui.recording.recorder import Recorder
from tui.recording.tape import Tape
from tui.session.live import LiveSession
from tui.session.replay import ReplaySource
from tui.session.source import Source
from tui.session.timeline import profile_of
from tui.simulator.process import SimulatorProcess, start_simulator
from tui.ui.app import DragstripApp

SIZE = (120, 40)
TIMELINE_ROWS = 2  # a replay has them more than the live screen, below the status line
REPLAY_SIZE = (SIZE[0], SIZE[1] + TIMELINE_ROWS)
LOAD = LoadProfile(concurrency=3, prompt_tokens=32, output_tokens=16)


@pytest.fixture
async def pair() -> AsyncIterator[list[SimulatorProcess]]:
    processes = list(await asyncio.gather(*(start_simulator(engine, speed=20) for engine in ("vllm", "sglang"))))
    yield processes
    await asyncio.gather(*(process.stop() for process in processes))


async def picture(pilot: Pilot[int], source: Source) -> tuple[int, str]:
    """The second that the screen shows, and all of it but what is there to move time in, or to turn dials."""
    while True:
        text = await settled(pilot)
        app = pilot.app
        assert isinstance(app, DragstripApp)
        shown = app.main_screen.view
        if shown is not None and shown.second == source.view(30).second:
            lines = text.replace("◀", " ").replace("▶", " ").splitlines()
            lines = [line.rstrip() for line in lines]
            return shown.second, "\n".join(lines[1 + (TIMELINE_ROWS if source.replay else 0) : -1])


async def played_live(profile: Profile, folder: Path) -> dict[int, str]:
    """The screen at each second of a live session whose dials are turned, together and apart."""
    turns = {2: ("concurrency", 6, "both"), 4: ("prompt_tokens", 64, "both"), 6: ("concurrency", 2, "b")}

    def record(info: SessionInfo) -> Recorder:
        return Recorder(folder, info)

    session = LiveSession(profile, record=record)
    app = DragstripApp(session)
    seen: dict[int, str] = {}
    async with app.run_test(size=SIZE) as pilot:
        await session.started()
        while not seen or max(seen) < 8:
            await session.elapsed((max(seen, default=0)) + 1)
            second, text = await picture(pilot, session)
            seen[second] = text
            if turn := turns.pop(second, None):
                if turn[2] == "b":
                    session.board.toggle_link()
                assert not session.board.set(*turn)  # type: ignore[arg-type]
        await session.stop("done")
    return seen


async def replayed(folder: Path, seconds: list[int]) -> dict[int, str]:
    recorded = open_session(folder)
    source = ReplaySource(profile_of(recorded.info), partial(Tape, recorded))
    app = DragstripApp(source)
    seen: dict[int, str] = {}
    async with app.run_test(size=REPLAY_SIZE) as pilot:
        await source.opened()
        source.toggle()
        assert not source.playing
        for wanted in [*seconds, *reversed(seconds)]:
            await source.seek(wanted)
            second, text = await picture(pilot, source)
            assert second == wanted
            assert seen.setdefault(second, text) == text
        await source.stop("done")
    return seen


async def test_a_replay_shows_the_screen_that_was_live(pair: list[SimulatorProcess], tmp_path: Path) -> None:
    a, b = (LaneProfile(url=process.url, dcgm=process.dcgm_url) for process in pair)
    profile = Profile(name="test", a=a, b=b, load=LOAD, slo=Limits(ttft_ms=50, e2e_ms=2000))
    live = await played_live(profile, tmp_path / "s")
    again = await replayed(tmp_path / "s", sorted(live))
    assert len(live) >= 6
    for second, text in live.items():
        assert again[second] == text.replace(" A=B linked\n", " as recorded, read-only\n")
