"""A driver that gets no time to run: the span is marked on the screen and in the file."""

import asyncio
import os
import signal
from pathlib import Path

import polars as pl

from tests.simulator.serving import serving
from tests.ui.pilots import screen_text
from tui.model.profile import LaneProfile, LoadProfile, Profile
from tui.recording.reader import open_session
from tui.recording.recorder import Recorder
from tui.session.live import LiveSession
from tui.ui.app import DragstripApp

LOAD = LoadProfile(concurrency=3, prompt_tokens=32, output_tokens=16)
STARVED_S = 0.8
MARK = "! client-bound: CPU"


async def starved(app: DragstripApp, session: LiveSession) -> None:
    """Starve the driver until the screen says so, which it does for three seconds."""
    while True:
        driver = session._lanes["a"].driver
        assert driver is not None
        os.kill(driver.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(STARVED_S)
        finally:
            os.kill(driver.pid, signal.SIGCONT)
        for _ in range(4):
            await session.elapsed(session.view(30).second + 1)
            if MARK in screen_text(app):
                return


async def test_a_starved_driver_is_marked_on_the_screen_and_in_the_file(tmp_path: Path) -> None:
    async with serving("vllm") as client:
        server = LaneProfile(url=str(client.base_url).rstrip("/"))
        profile = Profile(name="t", a=server, b=None, load=LOAD)
        session = LiveSession(profile, record=lambda info: Recorder(tmp_path / "s", info))
        app = DragstripApp(session)
        async with app.run_test(size=(120, 40)):
            await session.started()
            await session.elapsed(1)
            await starved(app, session)
            await session.stop("done")
    recorded = open_session(tmp_path / "s")
    seconds = recorded.scan("seconds").sort("t_ns").collect()
    assert seconds["bound"].any()
    spans = recorded.scan("events").filter(pl.col("kind") == "bound").sort("t_ns").collect()
    assert spans["new"][0] == "on"
    assert "late" in spans["text"][0] or "core" in spans["text"][0]
