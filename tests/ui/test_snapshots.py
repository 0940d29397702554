"""The whole screen as text at fixed seconds and sizes. `UPDATE_SNAPSHOTS=1` writes them again."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.ui.fake_replay import FakeReplay
from tests.ui.fake_source import FakeSource
from tests.ui.made_ledger import swept
from tests.ui.pilots import settled
from tui.session.view import ServerView, View
from tui.stats.verdict import Verdict
from tui.ui.app import DragstripApp

FOLDER = Path(__file__).parent / "snapshots"


def compare(name: str, text: str) -> None:
    path = FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        FOLDER.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def b_down(view: View) -> View:
    """Lane B has been down for seven seconds; its server last spoke a while ago."""
    b = view.lanes["b"]
    b = replace(
        b, state="down", state_text="connection refused", output_tps=None, in_flight=0,
        curve=[*b.curve[:-7], *[None] * 7], server=ServerView(30, 2, 0.38, None, 0, 12.0), gpus=[],
        gpu_note="GPU not on this host; set dcgm to the URL of an exporter",
    )  # fmt: skip
    down = {"output_tps": Verdict("output_tps", "not comparable", reason="B down")}
    return replace(view, lanes={"a": view.lanes["a"], "b": b}, verdicts=down)


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (200, 50), (60, 20), (20, 5)])
async def test_the_screen_at_a_size(size: tuple[int, int]) -> None:
    app = DragstripApp(FakeSource(second=150, change=swept()))
    async with app.run_test(size=size) as pilot:
        compare("{}x{}".format(*size), await settled(pilot))


async def test_the_first_paint_knows_no_number() -> None:
    app = DragstripApp(FakeSource())
    async with app.run_test(size=(80, 24)) as pilot:
        compare("connecting", await settled(pilot))


async def test_one_lane_alone() -> None:
    app = DragstripApp(FakeSource(second=150, lanes="a"))
    async with app.run_test(size=(120, 40)) as pilot:
        compare("one-lane", await settled(pilot))


async def test_a_lane_that_is_down_shows_a_gap_and_since_when() -> None:
    app = DragstripApp(FakeSource(second=150, change=b_down))
    async with app.run_test(size=(120, 40)) as pilot:
        text = await settled(pilot)
        compare("b-down", text)
        assert "✖ down 00:07 connection refused" in text


async def test_ascii_only_has_no_other_character() -> None:
    app = DragstripApp(FakeSource(second=150), ascii_only=True)
    async with app.run_test(size=(120, 40)) as pilot:
        text = await settled(pilot)
        compare("ascii", text)
        assert text.isascii()


async def test_however_the_size_changes_the_screen_is_that_of_its_size() -> None:
    app = DragstripApp(FakeSource(second=150, change=swept()))
    async with app.run_test(size=(80, 24)) as pilot:
        for width, height in ((200, 50), (20, 5), (120, 40), (200, 50), (60, 20), (80, 24)):
            await pilot.resize_terminal(width, height)
            text = await settled(pilot)
            assert text == (FOLDER / f"{width}x{height}.txt").read_text(encoding="utf-8")


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
