"""Footer and help name the same keys, and each of them does something."""

import pytest
from textual.binding import Binding

from tests.ui.fake_source import FakeSource
from tests.ui.pilots import hints, settled
from tui.ui.app import DragstripApp
from tui.ui.dialogs import help_lines
from tui.ui.live_screen import LiveScreen
from tui.ui.main_screen import MainScreen
from tui.ui.replay_screen import ReplayScreen


async def test_the_footer_names_the_keys_that_are_active() -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=(200, 50)) as pilot:
        footer = (await settled(pilot)).splitlines()[-1]
        assert all(hint in footer for hint in hints(app))


@pytest.mark.parametrize("screen", [LiveScreen, ReplayScreen])
def test_every_key_is_explained_once_and_does_something(screen: type[MainScreen]) -> None:
    bindings = list(Binding.make_bindings(screen.HELP_KEYS))
    help_text = "\n".join("".join(text for text, _ in line) for line in help_lines(screen.HELP_KEYS))
    assert len({binding.key for binding in bindings}) == len(bindings)
    for binding in bindings:
        assert (binding.tooltip or binding.description) in help_text
        action = binding.action.partition("(")[0]
        whose, name = (DragstripApp, action[4:]) if action.startswith("app.") else (screen, action)
        assert hasattr(whose, f"action_{name}"), binding
    assert max(map(len, help_text.splitlines())) <= 75, "the help is cut at 80 columns"
