"""A dial turns by its keys, by the mouse and by a typed value, linked or not."""

import pytest
from textual import events

from tests.ui.fake_source import FakeSource
from tests.ui.pilots import SIZE, live, rest_hand, settled
from tui.model.dials import AS_IN_FILE, DIALS, NATURAL, SYNTHETIC, TrafficKind
from tui.ui.app import DragstripApp
from tui.ui.widgets.dials import Dial


async def test_a_trace_has_a_dial_for_its_speed_and_conversations_one_for_their_pauses() -> None:
    source = FakeSource(second=150)
    source.board.traffic = TrafficKind(file=True, times=True, pauses=True, shared_prefix=False)
    source.board.set("prompt_tokens", AS_IN_FILE)
    source.board.set("output_tokens", NATURAL)
    await rest_hand(source)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        assert {dial.spec.name for dial in app.screen.query(Dial)} == {spec.name for spec in DIALS} - {
            "shared_prefix"
        }
        drawn = await settled(pilot)
        assert "file" in drawn
        assert "natural" in drawn
        source.board.step("speed", 1)
        assert source.board.shown("b").speed == 1.5


async def test_tab_reaches_all_seven_dials_and_arrows_turn_them() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        shown = [spec.name for spec in DIALS if SYNTHETIC.has(spec)]
        reached = []
        for _ in shown:
            await pilot.press("tab")
            assert isinstance(app.focused, Dial)
            reached.append(app.focused.spec.name)
        assert reached == shown
        assert len(reached) == 7
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
        assert "dials differ" not in await settled(pilot)
        reached = []
        for _ in range(14):
            await pilot.press("tab")
            assert isinstance(app.focused, Dial)
            reached.append(app.focused.lanes)
        assert reached == ["a"] * 7 + ["b"] * 7
        await pilot.press("right_square_bracket")
        source.advance()
        assert "dials differ" in await settled(pilot)
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
        await rest_hand(source)
        text = await settled(pilot)
        assert source.board.shown("a").prompt_tokens == 100_000
        assert "100k" in text
        assert "1024" in text


async def test_half_typed_into_a_share_is_fifty_percent() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        next(dial for dial in app.screen.query(Dial) if dial.spec.name == "shared_prefix").focus()
        await pilot.press("0", "full_stop", "5", "enter")
        assert source.board.shown("a").shared_prefix == 0.5
        await pilot.press("7", "5", "enter")
        assert source.board.shown("a").shared_prefix == 0.75


@pytest.mark.parametrize("keys", [("6", "4", "x"), ("b",), ("q",), ("6", "space"), ("6", "up")])
async def test_a_dial_in_focus_swallows_the_keys_of_others(keys: tuple[str, ...]) -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        before = live(app).glyphs
        await pilot.press("tab", *keys)
        text = await settled(pilot)
        assert source.dial_board.load_on
        assert live(app).glyphs == before
        assert len(app.screen_stack) == 1
        assert "FROZEN" not in text
        assert "conc has the keys: esc gives them back" in text
        await pilot.press("escape")
        await settled(pilot)
        assert source.board.shown("a").concurrency == 32


async def test_a_dial_in_focus_lets_through_what_turns_and_what_leaves() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("tab", "right_square_bracket", "full_stop", "tab", "tab", "escape")
        await settled(pilot)
        assert app.focused is None
        assert source.board.shown("a").concurrency == 48
        assert source.board.shown("a").prompt_tokens == 768
        await pilot.press("x")
        await settled(pilot)
        assert not source.dial_board.load_on
