"""Played live and replayed, a session gives the same screen at the same second."""

from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.session.scripted_lane import ScriptedLane
from tests.session.virtual_clock import VirtualClock
from tests.ui.pilots import settled
from tui.model.profile import LaneProfile, Limits, LoadProfile, Profile
from tui.model.session import SessionInfo
from tui.recording.reader import open_session
from tui.recording.recorder import Recorder
from tui.recording.tape import Tape
from tui.session.live import LiveSession
from tui.session.replay import ReplaySource
from tui.session.source import Source
from tui.session.timeline import profile_of
from tui.ui.app import DragstripApp

SIZE = (120, 40)
TIMELINE_ROWS = 2  # a replay has them more than the live screen, below the status line
REPLAY_SIZE = (SIZE[0], SIZE[1] + TIMELINE_ROWS)
PROFILE = Profile(
    name="test",
    a=LaneProfile(url="http://a"),
    b=LaneProfile(url="http://b"),
    load=LoadProfile(concurrency=3, prompt_tokens=32, output_tokens=16),
    slo=Limits(ttft_ms=50, e2e_ms=2000),
)


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
    """The screen at each second of a live session whose dials are turned, linked and unlinked."""
    turns = {2: ("concurrency", 6, "both"), 4: ("prompt_tokens", 64, "both"), 6: ("concurrency", 2, "b")}
    clock = VirtualClock()

    def record(info: SessionInfo) -> Recorder:
        return Recorder(folder, info)

    session = LiveSession(profile, record=record, clock=clock)
    app = DragstripApp(session)
    seen: dict[int, str] = {}
    async with app.run_test(size=SIZE) as pilot:
        await session.started()
        for wanted in range(1, 10):
            await clock.advance(1)
            second, text = await picture(pilot, session)
            assert second == wanted
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


async def test_a_replay_shows_the_screen_that_was_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.session.lane.LaneRun", ScriptedLane)
    live = await played_live(PROFILE, tmp_path / "s")
    again = await replayed(tmp_path / "s", sorted(live))
    for second, text in live.items():
        assert again[second] == text.replace(" A=B linked\n", " as recorded, read-only\n")


async def test_the_view_of_a_second_is_of_the_dials_that_were_in_force_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.session.lane.LaneRun", ScriptedLane)
    clock = VirtualClock()
    session = LiveSession(PROFILE, record=lambda info: Recorder(tmp_path / "s", info), clock=clock)
    await session.start(lambda: None)
    await session.started()
    await clock.advance(2)
    session.board.set("concurrency", 6)
    await clock.advance(0.5)
    assert session.board.in_force("a").concurrency == 6
    assert (session.view(30).second, session.view(30).lanes["a"].dials.concurrency) == (2, 3)  # as a replay has it
    await clock.advance(0.5)
    assert (session.view(30).second, session.view(30).lanes["a"].dials.concurrency) == (3, 6)
    await session.stop("done")
