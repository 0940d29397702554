"""The ledger is a place: its keys while it has the focus, going back to a setting, pinning one; and clicks."""

from dataclasses import replace

import pytest
from msgspec import structs

from tests.ui.fake_replay import FakeReplay
from tests.ui.fake_source import FakeSource
from tests.ui.made_ledger import long_ledger, swept
from tests.ui.pilots import SIZE, live, opened, rested, settled
from tui.model.dials import Dials
from tui.session.timeline import dials_of
from tui.session.view import View
from tui.ui.app import DragstripApp
from tui.ui.widgets.header import Hints
from tui.ui.widgets.ledger import LedgerPanel
from tui.ui.widgets.panel import Panel


async def test_enter_turns_the_dials_to_the_setting_under_the_cursor() -> None:
    source = FakeSource(second=150, change=swept())
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("t")
        await settled(pilot)
        assert isinstance(app.focused, LedgerPanel)
        await pilot.press("up", "up", "enter")
        assert "back to this setting: u undoes it" in await settled(pilot)
        assert source.board.in_force("a").concurrency == source.board.in_force("b").concurrency == 16
        await pilot.press("u")
        await settled(pilot)
        assert source.board.shown("a").concurrency == 32


async def test_escape_gives_the_keys_back() -> None:
    source = FakeSource(second=150, change=swept())
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("t", "escape")
        await settled(pilot)
        assert app.focused is None
        assert live(app).middle == "ledger"
        await pilot.press("up", "enter")
        await settled(pilot)
        assert source.board.shown("a").concurrency == 32
        await pilot.press("escape")
        assert "TTFT ms" in await settled(pilot)


async def test_s_sorts_and_the_cursor_stays_on_its_setting() -> None:
    app = DragstripApp(FakeSource(second=150, change=swept()))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("t", "up")
        before = live(app).query_one("#ledger", LedgerPanel).look.cursor
        await pilot.press("s", "s")
        text = await settled(pilot)
        assert live(app).query_one("#ledger", LedgerPanel).look.cursor == before
        assert text.index("conc 64 ") < text.index("conc 128 ") < text.index("conc 16 ") < text.index("conc 1 ")


async def test_the_cursor_takes_the_page_with_it() -> None:
    app = DragstripApp(FakeSource(second=150, change=long_ledger))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("t", *["down"] * 20)
        text = await settled(pilot)
        assert "conc 21 " in text
        assert "conc 1 " not in text


async def test_p_pins_a_setting_and_its_figures_stay_in_the_lanes() -> None:
    app = DragstripApp(FakeSource(second=150, change=swept()))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("t", "up", "up", "p")
        assert "conc 16 ◇" in await settled(pilot)
        await pilot.press("t")
        text = await settled(pilot)
        assert text.count("tok/s at conc 16, now +") == 2
        assert "TTFT p50 90.0" in text
        await pilot.press("t", "p", "t")
        assert "at conc 16" not in await settled(pilot)


async def test_in_a_replay_enter_goes_to_the_next_visit() -> None:
    class Visited(FakeReplay):
        def visits_s(self, wanted: object) -> list[float]:
            return [39.4, 300.0]

    source = Visited(change=swept())
    app = DragstripApp(source)
    async with opened(app) as pilot:
        await pilot.press("t", "up", "enter")
        await rested(pilot)
        assert source.position_s == 301
        await pilot.press("enter")
        await rested(pilot)
        assert source.position_s == 41


async def test_what_is_clicked_does_what_its_key_does() -> None:
    source = FakeSource(second=150, change=swept())
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        screen = live(app)
        pane = screen.query_one("#pane-b .body", Panel)
        over = next(y for y in range(40) if pane.plain_row(y).startswith("over"))
        await pilot.click(pane, offset=(2, over))
        await settled(pilot)
        assert screen.window_s == 60
        await pilot.click(pane, offset=(2, 0))
        assert "─ A vLLM" not in await settled(pilot)
        await pilot.click(pane, offset=(2, 0))
        assert "─ A vLLM" in await settled(pilot)
        before = screen.objective
        await pilot.click("#verdict", offset=(2, 0))
        await settled(pilot)
        assert screen.objective != before
        await pilot.click("LinkBadge", offset=(2, 0))
        await settled(pilot)
        assert not source.board.linked
        hints = screen.query_one(Hints)
        await pilot.click(hints, offset=(hints.plain.index("stop load") + 1, 0))
        await settled(pilot)
        assert not source.dial_board.load_on
        await pilot.click(hints, offset=(hints.plain.index("[ ] conc"), 0))
        await pilot.click(hints, offset=(hints.plain.index("[ ] conc") + 2, 0))
        await pilot.click(hints, offset=(hints.plain.index("[ ] conc") + 2, 0))
        await settled(pilot)
        assert source.board.shown("a").concurrency == 48


async def test_a_setting_is_chosen_by_a_click_and_wanted_by_two() -> None:
    source = FakeSource(second=150, change=swept())
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("t", "escape")
        panel = live(app).query_one("#ledger", LedgerPanel)
        await pilot.click(panel, offset=(5, 2), times=2)
        await settled(pilot)
        assert source.board.in_force("a").concurrency == 4


async def test_an_event_is_a_way_back_in_a_replay() -> None:
    source = FakeReplay(second=150)
    app = DragstripApp(source)
    async with opened(app) as pilot:
        events = app.screen.query_one("#events", Panel)
        row = next(y for y in range(5) if "concurrency 16" in events.plain_row(y) or "mark" in events.plain_row(y))
        await pilot.click(events, offset=(12, row))
        await rested(pilot)
        assert source.position_s in {75, 102}


@pytest.mark.parametrize("wide", [True, False])
async def test_the_column_of_settings_has_the_same_keys(wide: bool) -> None:
    source = FakeSource(second=150, change=swept())
    app = DragstripApp(source)
    async with app.run_test(size=(200, 50) if wide else (120, 40)) as pilot:
        await pilot.press(*["tab"] * 8)
        await settled(pilot)
        assert isinstance(app.focused, LedgerPanel) is wide


def test_a_setting_becomes_dials_again() -> None:
    base = Dials(concurrency=32, temperature=0.5)
    texts = {"concurrency": "16", "arrival": "poisson", "request_rate": "6.2", "shared_prefix": "50", "unknown": "1"}
    dials = dials_of(texts, base)
    assert (dials.concurrency, dials.arrival, dials.request_rate) == (16, "poisson", 6.2)
    assert (dials.shared_prefix, dials.temperature) == (0.5, 0.5)
    assert dials_of({"concurrency": "many"}, base) == base


async def test_what_is_not_measured_cannot_be_pinned() -> None:
    def unmeasured(view: View) -> View:
        rows = [replace(row, settled_s=0) for row in swept()(view).ledger]
        return structs.replace(view, ledger=rows, ledger_now=0)

    app = DragstripApp(FakeSource(second=150, change=unmeasured))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("t", "p")
        assert "nothing is measured at this setting yet" in await settled(pilot)
