"""What tests do with a screen: open it, let it come to rest, read its text row by row."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from textual.app import App
from textual.pilot import Pilot

from tests.session.virtual_clock import VirtualClock
from tests.ui.fake_source import FakeSource
from tui.session.dial_board import REST_S
from tui.ui.app import DragstripApp
from tui.ui.live_screen import LiveScreen
from tui.ui.replay_screen import ReplayScreen
from tui.ui.widgets.header import grouped
from tui.ui.widgets.rows import Row

SIZE = (120, 40)


def screen_text(app: App[Any]) -> str:
    """The whole screen as plain text, trailing spaces cut."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


def plain(rows: Sequence[Row]) -> str:
    return "\n".join("".join(text for text, _ in row) for row in rows)


def hints(app: App[int]) -> list[str]:
    """What the footer should name: the keys that are active and shown, each group as one."""
    shown = [key.binding for key in app.screen.active_bindings.values() if key.binding.show]
    return [f"{keys} {label}" for keys, label in grouped(shown)]


async def shows(pilot: Pilot[Any], text: str) -> None:
    """Wait until the screen shows it, as the command palette does once it has searched."""
    while text not in screen_text(pilot.app):
        await pilot.pause(0.01)


async def settled(pilot: Pilot[int]) -> str:
    """The screen once everything that was asked of it is painted."""
    for _ in range(3):
        await pilot.pause()
    return screen_text(pilot.app)


def live(app: DragstripApp) -> LiveScreen:
    screen = app.screen_stack[0]
    assert isinstance(screen, LiveScreen)
    return screen


async def rest_hand(source: FakeSource) -> None:
    """Leave the dials alone until they are in force, and complete that second."""
    assert isinstance(source.clock, VirtualClock)
    await source.clock.advance(REST_S)
    source.advance()


def replay(app: DragstripApp) -> ReplayScreen:
    screen = app.screen_stack[0]
    assert isinstance(screen, ReplayScreen)
    return screen


@asynccontextmanager
async def opened(app: DragstripApp, size: tuple[int, int] = SIZE) -> AsyncIterator[Pilot[int]]:
    """The replay screen once its source has started."""
    async with app.run_test(size=size) as pilot:
        await replay(app).source_started.wait()
        await settled(pilot)
        yield pilot


async def rested(pilot: Pilot[int]) -> str:
    """The replay screen once no key is held any more and it is where it was sent."""
    app = pilot.app
    assert isinstance(app, DragstripApp)
    replay(app).seeker.land()
    await app.workers.wait_for_complete()
    return await settled(pilot)
