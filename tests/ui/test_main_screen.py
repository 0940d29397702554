"""What live and replay share: keys of the view and the session, messages, the first paint."""

import pytest
from textual.widgets import Input

from tests.ui.fake_source import FakeSource
from tests.ui.pilots import SIZE, live, screen_text, settled
from tui.ui.app import DragstripApp
from tui.ui.dialogs import TextDialog
from tui.ui.help import HelpDialog
from tui.ui.widgets.theme import PALETTES


async def test_keys_of_the_view() -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("w")
        assert "over 60 s" in await settled(pilot)
        assert "tok/s -100 s" in await settled(pilot)
        await pilot.press("v")
        text = await settled(pilot)
        assert "measuring TTFT p95: B SGLang" in text
        assert "TTFT ms -100 s" in text
        await pilot.press("b")
        assert live(app).glyphs.kind == "braille"
        await pilot.press("2")
        text = await settled(pilot)
        assert "SGLang" in text
        assert "─ A vLLM" not in text
        await pilot.press("escape", "1")
        assert "─ B SGLang" not in await settled(pilot)
        await pilot.press("1")
        assert "B SGLang" in await settled(pilot)
        await pilot.press("o")
        assert "A thin" in await settled(pilot)
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
        assert "nothing is recorded, so there is nothing to export" in await settled(pilot)
        await pilot.press("question_mark")
        assert "concurrency one notch up" in await settled(pilot)
        assert isinstance(app.screen, HelpDialog)


async def test_the_overlay_makes_room_for_the_lanes_when_they_are_asked_for() -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=SIZE) as pilot:
        for keys in (["o", "escape"], ["o", "1"], ["escape", "o", "k", "escape"]):
            await pilot.press(*keys)
            assert "TTFT ms" in await settled(pilot), keys


async def test_a_message_goes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.ui.main_screen.MESSAGE_S", 0.05)
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=SIZE) as pilot:
        live(app).show_message("heard once")
        assert "heard once" in screen_text(app)
        while "heard once" in screen_text(app):
            await pilot.pause(0.01)


async def test_in_ascii_the_key_of_the_charts_shows_each_second_and_the_mean_again() -> None:
    app = DragstripApp(FakeSource(second=150), ascii_only=True)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        before = await settled(pilot)
        await pilot.press("b")
        assert live(app).glyphs.kind == "ascii seconds"
        text = await settled(pilot)
        assert "each second" in text
        assert text.isascii()
        await pilot.press("b")
        live(app).show_message("")
        assert await settled(pilot) == before


async def test_a_message_too_long_for_its_place_is_a_notification() -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        live(app).show_message("the profile has no [[plan]]")
        assert "the profile has no [[plan]]" in await settled(pilot)


async def test_the_source_starts_after_the_first_paint() -> None:
    source = FakeSource()
    app = DragstripApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        assert "connecting" in await settled(pilot)
        assert source.started


async def test_a_second_repaints_only_rows_that_changed() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=(80, 24)) as pilot:
        before = (await settled(pilot)).splitlines()
        source.advance()
        after = (await settled(pilot)).splitlines()
        same = [y for y, (old, new) in enumerate(zip(before, after, strict=True)) if old == new]
        assert {1, 2, 11, 22, 23} <= set(same)
        assert before != after
