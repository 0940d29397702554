"""Footer and help name the same keys, and each of them does something."""

import pytest
from textual.binding import Binding

from tests.ui.fake_source import FakeSource
from tests.ui.pilots import hints, screen_text, settled
from tui.profile.config import Config, UserConfig
from tui.ui.app import DragstripApp
from tui.ui.dialogs import help_lines
from tui.ui.keys import keys_problem
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


async def test_remapped_keys_work_and_footer_palette_and_help_follow() -> None:
    config = UserConfig(config=Config(keys={"window": "f2", "concurrency-up": "j", "help": "f1,h"}))
    app = DragstripApp(FakeSource(second=150), user_config=config)
    async with app.run_test(size=(200, 50)) as pilot:
        await pilot.press("w", "right_square_bracket", "question_mark")
        assert app.main_screen.window_s == 30
        assert app.screen is app.main_screen
        await pilot.press("f2", "j")
        assert app.main_screen.window_s == 60
        assert app.source.board.shown("a").concurrency > 32
        assert "f2 window" in screen_text(app)
        assert "[ j conc" in screen_text(app)
        named = [command.title for command in app.get_system_commands(app.screen)]
        assert any("(f2)" in title for title in named)
        assert not any(title.endswith("(w)") for title in named)
        await pilot.press("h")
        assert "f2" in screen_text(app)
        assert app.screen is not app.main_screen


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"windw": "f2"}, "[keys] has no windw; did you mean window?"),
        ({"window": "v"}, "[keys]: v cannot be both window and verdict"),
        ({"window": "v", "verdict": "w"}, ""),
        ({"window": "wide"}, "[keys] window: wide is not a key"),
        ({"window": "?"}, "question_mark cannot be both"),
        ({"window": "f3,ctrl+w,W"}, ""),
        ({"faster": "f2"}, ""),  # a replay's
        ({"window": ""}, "an empty text is not a key"),
    ],
)
def test_keys_that_cannot_be_used_are_named(keys: dict[str, str], sentence: str) -> None:
    said = keys_problem(keys, LiveScreen.HELP_KEYS)
    assert sentence in said
    assert bool(said) == bool(sentence)


def test_every_key_has_a_name_of_its_own() -> None:
    for screen in (LiveScreen, ReplayScreen):
        actions: dict[str, set[str]] = {}
        for binding in Binding.make_bindings(screen.HELP_KEYS):
            assert binding.id
            actions.setdefault(binding.id, set()).add(binding.action)
        assert [name for name, done in actions.items() if len(done) > 1] == []
