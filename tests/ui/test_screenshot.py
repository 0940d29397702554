"""A screenshot is complete in itself and has the colours of its theme."""

from pathlib import Path

import pytest

from tests.ui.fake_source import FakeSource
from tests.ui.pilots import SIZE, settled
from tui.ui.app import DragstripApp, svg_of

NAME = "2026-11-23_140207_vllm-vs-sglang-000150"


async def test_a_screenshot_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("S")
        assert f"screenshot: {NAME}.svg" in await settled(pilot)
        await pilot.press("S")
        await settled(pilot)
        assert (tmp_path / f"{NAME}-2.svg").is_file()
    svg = (tmp_path / f"{NAME}.svg").read_text(encoding="utf-8")
    assert "SGLang" in svg
    assert "@font-face" not in svg


@pytest.mark.parametrize(("theme", "dark"), [("dragstrip-dark", True), ("dragstrip-light", False)])
async def test_a_screenshot_has_the_ground_of_its_theme(theme: str, dark: bool) -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=SIZE) as pilot:
        app.theme = theme
        await settled(pilot)
        svg = svg_of(app)
    assert ("#292929" in svg) is dark
    assert ("#c5c8c6" in svg) is dark
