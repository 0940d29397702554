"""The whole replay screen as text, at three sizes and where it is most different from live."""

import pytest

from tests.ui.fake_replay import FakeReplay
from tests.ui.made_ledger import swept
from tests.ui.reading import settled
from tests.ui.test_snapshots import compare
from tui.ui.app import DragstripApp


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50), (60, 20), (20, 5)])
async def test_a_replay_at_a_size(size: tuple[int, int]) -> None:
    app = DragstripApp(FakeReplay(change=swept()))
    async with app.run_test(size=size) as pilot:
        compare("replay-{}x{}".format(*size), await settled(pilot))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_window_at_a_size(size: tuple[int, int]) -> None:
    app = DragstripApp(FakeReplay())
    async with app.run_test(size=size) as pilot:
        await pilot.press("z", "up", "z")
        await app.workers.wait_for_complete()
        compare("replay-window-{}x{}".format(*size), await settled(pilot))


async def test_in_ascii_nothing_else_is_drawn() -> None:
    app = DragstripApp(FakeReplay(), ascii_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("z", "up", "z")
        await app.workers.wait_for_complete()
        text = await settled(pilot)
        compare("replay-ascii", text)
        assert text.isascii()
