"""Every key does what help says, and footer, help and palette name the same keys."""

import dataclasses
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual import events
from textual.binding import Binding
from textual.widgets import Input

from tests.session.virtual_clock import VirtualClock
from tests.ui.fake_source import FakeSource
from tests.ui.made_ledger import row
from tests.ui.reading import found, hints, screen_text, settled
from tui.model.dials import DIALS, DialName
from tui.session.dial_board import REST_S
from tui.stats.verdict import Verdict, Word
from tui.ui.app import DragstripApp
from tui.ui.comparison import OBJECTIVES, compare
from tui.ui.dialogs import ExportDialog, HelpDialog, QuitDialog, TextDialog, help_lines
from tui.ui.live_screen import LiveScreen
from tui.ui.main_screen import MainScreen
from tui.ui.replay_screen import ReplayScreen
from tui.ui.screenshot import svg_of
from tui.ui.widgets.dials import Dial
from tui.ui.widgets.theme import PALETTES

SIZE = (120, 40)


async def rest(source: FakeSource) -> None:
    """Take the hand off the dials, and complete the second in which they are in force."""
    assert isinstance(source.clock, VirtualClock)
    await source.clock.advance(REST_S)
    source.advance()


def live(app: DragstripApp) -> LiveScreen:
    screen = app.screen_stack[0]
    assert isinstance(screen, LiveScreen)
    return screen


@pytest.mark.parametrize(
    ("key", "name", "before", "after"),
    [
        ("left_square_bracket", "concurrency", 32, 24),
        ("right_square_bracket", "concurrency", 32, 48),
        ("left_curly_bracket", "concurrency", 32, 16),
        ("right_curly_bracket", "concurrency", 32, 64),
        ("comma", "prompt_tokens", 512, 384),
        ("full_stop", "prompt_tokens", 512, 768),
        ("less_than_sign", "prompt_tokens", 512, 256),
        ("greater_than_sign", "prompt_tokens", 512, 1024),
        ("semicolon", "output_tokens", 128, 96),
        ("apostrophe", "output_tokens", 128, 192),
        ("colon", "output_tokens", 128, 64),
        ("quotation_mark", "output_tokens", 128, 256),
    ],
)
async def test_a_dial_key_turns_both_lanes(key: str, name: DialName, before: int, after: int) -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(key)
        text = await settled(pilot)
        assert [getattr(source.board.shown(lane), name) for lane in ("a", "b")] == [after, after]
        assert f"{before}→{after}…" in text or f"→{after}…" in text
        await rest(source)
        assert "…▶" not in (await settled(pilot)).replace(" ", "")


async def test_at_its_limit_a_dial_says_so() -> None:
    source = FakeSource(second=150)
    source.board.set("concurrency", 4096)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("right_square_bracket")
        assert "conc is at its limit" in await settled(pilot)


async def test_tab_reaches_all_seven_dials_and_arrows_turn_them() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        reached = []
        for _ in DIALS:
            await pilot.press("tab")
            assert isinstance(app.focused, Dial)
            reached.append(app.focused.spec.name)
        assert reached == [spec.name for spec in DIALS]
        await pilot.press("up")
        assert source.board.shown("b").temperature == 0.01
        await pilot.press("end")
        assert source.board.shown("a").temperature == 2.0
        await pilot.press("home", "shift+tab", "shift+tab", "shift+tab", "down")
        assert source.board.shown("a").temperature == 0.0
        await pilot.press("escape")
        assert app.focused is None


async def test_a_typed_value_is_applied_by_enter_and_dropped_by_escape() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("tab", "4", "0", "enter")
        await settled(pilot)
        assert source.board.shown("a").concurrency == 40
        await pilot.press("1", "2", "escape")
        await settled(pilot)
        assert source.board.shown("a").concurrency == 40
        assert live(app).zoomed is None
        await pilot.press("9", "9", "9", "9", "enter")
        assert "must lie between 0 and 4096" in await settled(pilot)
        await pilot.press("pageup")
        await settled(pilot)
        assert source.board.shown("b").concurrency == 80


async def test_the_mouse_turns_and_types() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        dial = app.screen.query_one("#dial-both-concurrency", Dial)
        await pilot.click(dial, offset=(dial.size.width - 1, 0))
        await settled(pilot)
        assert source.board.shown("a").concurrency == 48
        await pilot.click(dial, offset=(5, 0))
        await settled(pilot)
        assert source.board.shown("a").concurrency == 32
        for kind in (events.MouseScrollUp, events.MouseScrollUp, events.MouseScrollDown):
            dial.post_message(kind(dial, 6, 0, 0, 0, 0, shift=False, meta=False, ctrl=False))
        await settled(pilot)
        assert source.board.shown("a").concurrency == 48
        await pilot.click(dial, offset=(9, 0), times=2)
        await pilot.press("7", "enter")
        await settled(pilot)
        assert source.board.shown("a").concurrency == 7


async def test_apart_each_lane_has_its_dials() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("l")
        text = await settled(pilot)
        assert "dials apart" in text
        reached = []
        for _ in range(14):
            await pilot.press("tab")
            assert isinstance(app.focused, Dial)
            reached.append(app.focused.lanes)
        assert reached == ["a"] * 7 + ["b"] * 7
        await pilot.press("right_square_bracket")
        await settled(pilot)
        assert (source.board.shown("a").concurrency, source.board.shown("b").concurrency) == (32, 48)
        await pilot.press("l")
        assert "A=B linked" in await settled(pilot)


async def test_apart_a_typed_value_is_applied_whole() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("l", "tab", *"1024", "enter")
        await settled(pilot)
        assert (source.board.shown("a").concurrency, source.board.shown("b").concurrency) == (1024, 32)
        await pilot.press("tab", *"100000", "enter")
        await rest(source)
        text = await settled(pilot)
        assert source.board.shown("a").prompt_tokens == 100_000
        assert "100k" in text
        assert "1024" in text


async def test_undo_takes_a_turn_back_and_says_when_there_is_none() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("right_square_bracket", "u")
        await settled(pilot)
        assert source.board.shown("a").concurrency == 32
        await pilot.press("u")
        assert "nothing to undo" in await settled(pilot)


async def test_x_stops_the_load_and_brings_it_back() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("x")
        assert "LOAD STOPPED" in await settled(pilot)
        assert not source.dial_board.load_on
        await pilot.press("x")
        assert "LOAD STOPPED" not in await settled(pilot)


async def test_frozen_the_picture_rests_and_the_seconds_behind_are_told() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        before = (await settled(pilot)).split("\n")[4:-2]
        await pilot.press("space")
        source.advance(9)
        text = await settled(pilot)
        assert "FROZEN 00:09 behind" in text
        assert text.split("\n")[4:-2] == before
        await pilot.press("space")
        text = await settled(pilot)
        assert "LIVE 00:02:39" in text
        assert text.split("\n")[4:-2] != before


async def test_frozen_a_key_shows_what_it_does_and_nothing_else_moves() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("space")
        source.advance(7)
        held = await settled(pilot)
        assert "00:07 behind" in held
        await pilot.press("w")
        text = await settled(pilot)
        assert "window 60 s, once the screen is no longer frozen" in text
        assert "FROZEN 00:07 behind" in text
        assert "over 30 s" in text
        await pilot.press("v")
        assert "TTFT p95 A/B" in await settled(pilot)
        await pilot.press("x")
        assert "LOAD STOPPED" in await settled(pilot)
        await pilot.press("space")
        assert "over 60 s" in await settled(pilot)


async def test_looking_keys() -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("w")
        assert "over 60 s" in await settled(pilot)
        await pilot.press("v")
        assert "undecided  TTFT p95" in await settled(pilot)
        await pilot.press("b")
        assert live(app).glyphs.kind == "block"
        await pilot.press("2")
        text = await settled(pilot)
        assert "SGLang" in text
        assert "A vLLM" not in text
        await pilot.press("escape", "1")
        assert "B SGLang" not in await settled(pilot)
        await pilot.press("1")
        assert "B SGLang" in await settled(pilot)
        await pilot.press("o")
        assert "A solid" in await settled(pilot)
        before = app.theme
        await pilot.press("c")
        assert app.theme != before
        assert {palette.name for palette in PALETTES} <= set(app.available_themes)


async def test_mark_note_export_help() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("m", *"warm", "enter")
        await settled(pilot)
        await pilot.press("n")
        await settled(pilot)
        assert isinstance(app.screen, TextDialog)
        app.screen.query_one(Input).value = "fans loud"
        await pilot.press("enter")
        await settled(pilot)
        await pilot.press("m", "escape")
        await settled(pilot)
        assert source.marks == ["warm", "note: fans loud"]
        await pilot.press("e")
        assert "dragstrip export 2026-11-23_140207_vllm-vs-sglang" in await settled(pilot)
        assert isinstance(app.screen, ExportDialog)
        await pilot.press("escape", "question_mark")
        assert "concurrency one notch up" in await settled(pilot)
        assert isinstance(app.screen, HelpDialog)


async def test_a_screenshot_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("S")
        assert "screenshot: dragstrip-000150.svg" in await settled(pilot)
    svg = (tmp_path / "dragstrip-000150.svg").read_text(encoding="utf-8")
    assert "SGLang" in svg
    assert "@font-face" not in svg


@pytest.mark.parametrize(("theme", "dark"), [("dragstrip-dark", True), ("dragstrip-light", False)])
async def test_a_picture_has_the_ground_of_its_theme(theme: str, dark: bool) -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=SIZE) as pilot:
        app.theme = theme
        await settled(pilot)
        svg = svg_of(app)
    assert ("#292929" in svg) is dark
    assert ("#c5c8c6" in svg) is dark


async def test_quit_asks_once_while_load_runs() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("q")
        await settled(pilot)
        assert isinstance(app.screen, QuitDialog)
        await pilot.press("escape")
        await settled(pilot)
        assert source.stopped == []
        await pilot.press("ctrl+c")
        await settled(pilot)
        await pilot.press("q")
        await settled(pilot)
    assert source.stopped == ["quit"]
    assert app.return_value == 0
    assert 1 < len(app.summary) <= 6
    name = "2026-11-23_140207_vllm-vs-sglang"
    assert app.summary[-2:] == [f"recorded: {name}", f"next: dragstrip report {name}; dragstrip replay {name}"]


async def test_two_quick_keys_ask_once_and_quit() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        live(app).action_leave()
        live(app).action_leave()
        await settled(pilot)
        assert sum(isinstance(screen, QuitDialog) for screen in app.screen_stack) <= 1
        assert source.stopped == ["quit"]


async def test_the_palette_offers_what_the_screen_can_do_whatever_is_in_focus() -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("tab", "ctrl+p")
        text = await settled(pilot)
        assert "ledger  (t)" in text
        assert "one notch up  (↑)" not in text
        assert text.count("quit  (") <= 1


async def test_the_palette_offers_the_keys_and_runs_them() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("ctrl+p")
        await pilot.press(*"concurrency doubled")
        await found(pilot, "concurrency doubled  (})")
        await pilot.press("enter", "enter")
        await settled(pilot)
        assert source.board.shown("a").concurrency == 64


async def test_the_footer_names_the_keys_that_are_active() -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=(200, 50)) as pilot:
        footer = (await settled(pilot)).splitlines()[-1]
        assert all(hint in footer for hint in hints(app))


@pytest.mark.parametrize("screen", [LiveScreen, ReplayScreen])
def test_every_key_is_explained_once_and_does_something(screen: type[MainScreen]) -> None:
    bindings = list(Binding.make_bindings(screen.HELP_KEYS))
    told = "\n".join("".join(text for text, _ in line) for line in help_lines(screen.HELP_KEYS))
    assert len({binding.key for binding in bindings}) == len(bindings)
    for binding in bindings:
        assert (binding.tooltip or binding.description) in told
        action = binding.action.partition("(")[0]
        whose, name = (DragstripApp, action[4:]) if action.startswith("app.") else (screen, action)
        assert hasattr(whose, f"action_{name}"), binding
    assert max(map(len, told.splitlines())) <= 75, "the help is cut at 80 columns"


async def test_the_overlay_makes_room_for_the_lanes_when_they_are_asked_for() -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=SIZE) as pilot:
        for keys in (["o", "escape"], ["o", "1"], ["escape", "o", "k", "escape"]):
            await pilot.press(*keys)
            assert "TTFT ms" in await settled(pilot), keys


async def test_half_typed_into_a_share_is_fifty_percent() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        next(dial for dial in app.screen.query(Dial) if dial.spec.name == "shared_prefix").focus()
        await pilot.press("0", "full_stop", "5", "enter")
        assert source.board.shown("a").shared_prefix == 0.5
        await pilot.press("7", "5", "enter")
        assert source.board.shown("a").shared_prefix == 0.75


async def test_a_message_goes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.ui.main_screen.MESSAGE_S", 0.05)
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=SIZE) as pilot:
        live(app).show_message("heard once")
        assert "heard once" in screen_text(app)
        while "heard once" in screen_text(app):
            await pilot.pause(0.01)


async def test_suspended_the_load_stops_and_it_is_said_afterwards() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        live(app).before_suspend()
        assert not source.dial_board.load_on
        app.app_resume_signal.publish(app)
        assert "load stopped on ctrl+z: x resumes" in await settled(pilot)
        await pilot.press("u")
        live(app).before_suspend()  # it is stopped already: nothing to tell
        app.app_resume_signal.publish(app)
        assert "ctrl+z" not in await settled(pilot)
        assert not source.dial_board.load_on


async def test_in_ascii_the_key_of_the_characters_says_that_there_are_no_others() -> None:
    app = DragstripApp(FakeSource(second=150), ascii_only=True)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("b")
        assert live(app).glyphs.kind == "ascii"
        assert "charts stay in ASCII" in " ".join((await settled(pilot)).split())


async def test_in_turns_what_a_word_needs_is_told_in_turns() -> None:
    def undecided(need_s: float, mode: str, reason: str = "5 pairs of turns, 30 s of each lane") -> str:
        view = replace(FakeSource(second=150).view(30), mode=mode)
        view = replace(
            view, verdicts={"output_tps": Verdict("output_tps", "undecided", need_s=need_s, reason=reason)}
        )
        return compare(view, OBJECTIVES[0], linked=True).note

    assert undecided(40, "together") == "needs about 40 s more"
    assert undecided(100, "alternate") == "needs about 2 more turns each"
    few = "needs 4 turns of each lane side by side, has 1"
    assert undecided(180, "alternate", few) == few
    assert undecided(3, "alternate") == "needs about 1 more turn each"


def test_while_it_settles_the_verdict_tells_the_seconds_that_its_ratio_is_of() -> None:
    def note(*over_s: int) -> str:
        view = FakeSource(second=150).view(30)
        lanes = {lane: replace(of, over_s=s) for (lane, of), s in zip(view.lanes.items(), over_s, strict=True)}
        settling = {"output_tps": Verdict("output_tps", "undecided", need_s=5.0, reason="settling")}
        return compare(replace(view, lanes=lanes, verdicts=settling), OBJECTIVES[0], linked=True).note

    assert note(7, 6) == "over 6 s, settling"
    assert note(0, 0) == "settling"


def test_a_setting_visited_again_tells_what_all_visits_say() -> None:
    def note(visits: int, word: Word) -> str:
        view = FakeSource(second=150).view(30)
        found = row(16, 1200, 90, word)
        view = replace(view, ledger=[dataclasses.replace(found, visits=visits)], ledger_now=0)
        view = replace(view, verdicts={"output_tps": Verdict("output_tps", "undecided", need_s=40.0)})
        return compare(view, OBJECTIVES[0], linked=True).note

    assert note(4, "A ahead") == "this visit; all 4 visits: A ahead 1.11, press t"
    assert note(4, "undecided") == note(1, "A ahead") == "needs about 40 s more"


async def test_a_message_too_long_for_its_place_is_told_whole() -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        live(app).show_message("the profile has no [[plan]]")
        assert "the profile has no [[plan]]" in await settled(pilot)
