"""The ledger in place of the lanes."""

from tests.ui.fake_source import FakeSource
from tests.ui.made_ledger import long_ledger, swept
from tests.ui.pilots import plain, settled
from tui.ui.app import DragstripApp
from tui.ui.widgets.tables import ledger_rows

SENTENCE = "A ahead up to 4 streams, level from 16, B from 64"


async def test_the_ledger_by_a_key_with_its_sentence() -> None:
    app = DragstripApp(FakeSource(second=150, change=swept()))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("t")
        text = await settled(pilot)
        assert "Every setting visited" in text
        assert "▸conc 128" in text
        assert "1.02 … 1.21" in text
        assert SENTENCE in text
        await pilot.press("t")
        assert "TTFT ms" in await settled(pilot)
        await pilot.press("t", "k")
        assert "by conc" in await settled(pilot)
        await pilot.press("1")
        text = await settled(pilot)
        assert "TTFT ms" in text
        assert "─ B SGLang" not in text


async def test_a_long_ledger_is_in_the_order_of_the_dial_and_paged() -> None:
    app = DragstripApp(FakeSource(second=150, change=long_ledger))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("t")
        text = await settled(pilot)
        assert "▸conc 1 " in text
        assert "1–14 of 40" in text
        assert text.index("conc 2 ") < text.index("conc 3 ")
        for _ in range(5):
            await pilot.press("pagedown")
        text = await settled(pilot)
        assert "conc 40 " in text
        assert "27–40 of 40" in text
        await pilot.press("pageup")
        assert "13–26 of 40" in await settled(pilot)


def test_a_wide_ledger_has_the_ttft_of_both_lanes() -> None:
    view = swept()(FakeSource(second=150).view(30))
    text = plain(ledger_rows(view, 118, 20))
    assert "A TTFT p95" in text
    assert "900.0 ms" in text
    assert "720.0 ms" in text
    assert "TTFT" not in plain(ledger_rows(view, 78, 20))
