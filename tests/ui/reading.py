"""What a test reads off the screen: its text, row by row."""

from textual.app import App
from textual.pilot import Pilot

from tui.ui.widgets.header import grouped


def screen_text(app: App[int]) -> str:
    """The whole screen as plain text, trailing spaces cut."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


def hints(app: App[int]) -> list[str]:
    """What the footer should name: the keys that are active and shown, each group as one."""
    shown = [one.binding for one in app.screen.active_bindings.values() if one.binding.show]
    return [f"{keys} {label}" for keys, label in grouped(shown)]


async def found(pilot: Pilot[int], text: str) -> None:
    """Wait until the screen shows it, as the command palette does once it has searched."""
    while text not in screen_text(pilot.app):
        await pilot.pause(0.01)


async def settled(pilot: Pilot[int]) -> str:
    """The screen once everything that was asked of it is painted."""
    for _ in range(3):
        await pilot.pause()
    return screen_text(pilot.app)
