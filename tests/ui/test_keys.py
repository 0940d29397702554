"""Footer and help name the same keys, and each of them does something."""

import pytest
from textual.binding import Binding

from tests.ui.fake_source import FakeSource
from tests.ui.pilots import hints, screen_text, settled
from tui.profile.config import Config, UserConfig
from tui.ui.app import DragstripApp
from tui.ui.help import glossary, key_sections, phrase, section_rows
from tui.ui.keys import keys_problem
from tui.ui.live_screen import LiveScreen
from tui.ui.main_screen import MainScreen
from tui.ui.replay_screen import ReplayScreen
from tui.ui.widgets.rows import length


async def test_the_footer_names_the_keys_that_are_active() -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=(200, 50)) as pilot:
        footer = (await settled(pilot)).splitlines()[-1]
        assert all(hint in footer for hint in hints(app))


@pytest.mark.parametrize("screen", [LiveScreen, ReplayScreen])
def test_every_key_is_explained_once_and_does_something(screen: type[MainScreen]) -> None:
    bindings = list(Binding.make_bindings(screen.HELP_KEYS))
    sections = key_sections(screen.HELP_KEYS)
    help_text = "\n".join(text for lines in sections.values() for _, text in lines)
    assert len({binding.key for binding in bindings}) == len(bindings)
    for binding in bindings:
        assert (binding.tooltip or binding.description) in help_text
        action = binding.action.partition("(")[0]
        whose, name = (DragstripApp, action[4:]) if action.startswith("app.") else (screen, action)
        assert hasattr(whose, f"action_{name}"), binding
    assert all(length(row) == 75 for row in section_rows(sections, 75))


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


@pytest.mark.parametrize("screen", [LiveScreen, ReplayScreen])
def test_a_command_begins_with_a_verb_and_the_first_one_is_not_to_quit(screen: type[MainScreen]) -> None:
    phrases = [phrase(binding) for binding in Binding.make_bindings(screen.HELP_KEYS)]
    verbs = {text.split()[0] for text in phrases}
    assert verbs <= {
        "Begin", "Change", "Compare", "Copy", "Export", "Freeze", "Go", "Link", "Mark", "Open", "Play", "Quit",
        "Run,", "Save", "Set", "Show", "Step", "Stop", "Suspend", "Turn", "Undo", "Write", "Zoom",
    }  # fmt: skip
    assert not min(phrases).startswith("Quit")


def test_the_glossary_is_that_of_the_code() -> None:
    terms = {term for lines in glossary().values() for term, _ in lines}
    assert {"lane", "settle", "TTFT", "verdict", "session"} <= terms
    assert all(text for lines in glossary().values() for _, text in lines)


async def test_help_is_grouped_filtered_and_has_pages() -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=(140, 50)) as pilot:
        await pilot.press("question_mark")
        text = await settled(pilot)
        assert all(section in text for section in ("Dials", "Time", "Views", "Session", "Output", "Mouse"))
        assert any("Dials" in line and "Views" in line for line in text.splitlines())  # two columns
        assert "Ledger" not in text
        await pilot.press("slash", *"stop all")
        text = await settled(pilot)
        assert "stop all load at once" in text
        assert "concurrency one notch up" not in text
        await pilot.press("escape", "tab")
        assert "one prompt sent to one server" in await settled(pilot)
        await pilot.press("tab")
        assert "From the top" in await settled(pilot)
        await pilot.press("escape")
        await settled(pilot)
        assert len(app.screen_stack) == 1


async def test_hints_and_help_are_those_of_what_has_the_keys() -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("t")
        assert "enter go there" in (await settled(pilot)).splitlines()[-1].replace("⏎", "enter")
        await pilot.press("question_mark")
        assert "Ledger" in (await settled(pilot)).splitlines()[1]
        await pilot.press("escape", "escape")
        footer = (await settled(pilot)).splitlines()[-1]
        assert "go there" not in footer
        assert "e export" in footer
