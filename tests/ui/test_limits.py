"""Limits set from the screen: what is outside is signed, the share inside stands in the lane, and they are kept."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.ui.fake_source import FakeSource
from tests.ui.pilots import settled
from tui.model.profile import Limits
from tui.profile.config import UserConfig
from tui.session.view import View
from tui.ui.app import DragstripApp


def limited(view: View) -> View:
    lanes = {name: replace(lane, goodput=17.5, inside_share=0.92) for name, lane in view.lanes.items()}
    return replace(view, lanes=lanes, limits={"ttft": 150.0})


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_figures_outside_are_signed_and_the_share_inside_is_shown(size: tuple[int, int]) -> None:
    app = DragstripApp(FakeSource(second=150, change=limited))
    async with app.run_test(size=size) as pilot:
        text = await settled(pilot)
        (row,) = [line for line in text.splitlines() if "TTFT ms" in line]
        assert row.split("││")[0].count("!") == 2  # p95 and p99 of A
        assert row.split("││")[1].count("!") == 1  # p99 of B
        assert text.count("92% inside") + text.count("92 % inside the limits") == 2


async def test_the_key_sets_them_and_the_config_keeps_them(tmp_path: Path) -> None:
    source = FakeSource(second=150)
    config = UserConfig(tmp_path / "config.toml")
    app = DragstripApp(source, user_config=config)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("L", *"ttft:x", "enter")
        assert "a limit is a number of ms above 0" in await settled(pilot)
        await pilot.press(*["backspace"] * 6, *"ttft:200 tpot:30", "enter")
        assert "goodput counts by ttft:200 tpot:30 ms" in await settled(pilot)
        assert source.limits == Limits(ttft_ms=200.0, tpot_ms=30.0)
        assert "ttft_ms = 200.0" in (tmp_path / "config.toml").read_text()
        await pilot.press("L", "enter")
        assert "no limits: there is no goodput" in await settled(pilot)
        assert source.limits == Limits()
