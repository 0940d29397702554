"""The replay screen under a test: open, with its keys at rest."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.pilot import Pilot

from tests.ui.reading import settled
from tui.ui.app import DragstripApp
from tui.ui.replay_screen import ReplayScreen

SIZE = (120, 40)


def screen_of(app: DragstripApp) -> ReplayScreen:
    screen = app.screen_stack[0]
    assert isinstance(screen, ReplayScreen)
    return screen


@asynccontextmanager
async def opened(app: DragstripApp, size: tuple[int, int] = SIZE) -> AsyncIterator[Pilot[int]]:
    """The screen once its source has begun."""
    async with app.run_test(size=size) as pilot:
        await screen_of(app).source_started.wait()
        await settled(pilot)
        yield pilot


async def rested(pilot: Pilot[int]) -> str:
    """The screen once no key is held any more and the picture is where it was sent."""
    app = pilot.app
    assert isinstance(app, DragstripApp)
    screen_of(app).seeker.land()
    await app.workers.wait_for_complete()
    return await settled(pilot)
