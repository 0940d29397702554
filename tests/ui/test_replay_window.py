"""What a replay lets one mark and take away: a window and its figures, marks and notes, an export."""

from textual.widgets import Input

from tests.ui.fake_replay import FakeReplay
from tests.ui.reading import settled
from tests.ui.replaying import opened, rested
from tui.model.text import UserError
from tui.ui.app import DragstripApp


async def test_z_marks_a_window_and_shows_its_figures_until_esc() -> None:
    source = FakeReplay()
    app = DragstripApp(source)
    async with opened(app) as pilot:
        await pilot.press("z")
        assert "window from 02:30, z ends it" in await settled(pilot)
        await pilot.press("z")
        assert "move to where the window ends" in await settled(pilot)
        await pilot.press("down")
        await rested(pilot)
        await pilot.press("z")
        text = await rested(pilot)
        assert source.windows == [(90, 150)]
        assert "window 01:30 – 02:30" in text
        assert "Window 01:30 to 02:30   60 s" in text
        assert "▲ A ahead  output tok/s A/B 1.14 [1.10 … 1.19]  this window of 60 s" in text
        assert "▲ B ahead" in text
        assert "3 s settling left out" in text
        assert "A 600 done, 0 failed   B 540 done, 3 failed" in text
        await pilot.press("v")
        assert "▲ B ahead  TTFT p95 A/B 1.22 [1.10 … 1.34]" in await settled(pilot)
        await pilot.press("t")
        assert "Window 01:30" not in await settled(pilot)
        await pilot.press("Z")
        assert "Window 01:30 to 02:30   60 s" in await settled(pilot)
        await pilot.press("escape")
        text = await settled(pilot)
        assert "Window" not in text
        assert "A vLLM" in text
        assert "30 s window" in text
        await pilot.press("Z")
        assert "no window is marked: z begins one" in await settled(pilot)


async def test_a_window_that_cannot_be_read_says_why() -> None:
    class Broken(FakeReplay):
        async def window(self, start_s: float, end_s: float) -> None:  # type: ignore[override]
            raise UserError("requests is torn after 01:40")

    app = DragstripApp(Broken())
    async with opened(app) as pilot:
        await pilot.press("z", "up", "z")
        assert "requests is torn after 01:40" in await rested(pilot)


async def test_marks_and_notes_stand_beside_the_recording_and_on_the_timeline() -> None:
    source = FakeReplay(second=300)
    app = DragstripApp(source)
    async with opened(app) as pilot:
        before = (await settled(pilot)).splitlines()[2]
        await pilot.press("m")
        await settled(pilot)
        app.screen.query_one(Input).value = "look here"
        await pilot.press("enter")
        text = await settled(pilot)
        assert source.marks == ["look here"]
        bar = text.splitlines()[2]
        assert bar == before  # the picture stands on it
        assert "look here (next to the recording)" in text
        assert "00:05:00   mark look here" in text
        await pilot.press("right")
        assert (await rested(pilot)).splitlines()[2].count("◇") == before.count("◇") + 1
        await pilot.press("M")
        await settled(pilot)
        app.screen.query_one(Input).value = "fans"
        await pilot.press("enter")
        await settled(pilot)
        assert source.marks == ["look here", "note: fans"]
        await pilot.press("M", "enter")
        await settled(pilot)
        assert len(source.marks) == 2
        await pilot.press("home")
        assert "look here" not in await rested(pilot)


async def test_a_mark_that_cannot_be_kept_says_why() -> None:
    class Unwritable(FakeReplay):
        def mark(self, text: str) -> None:
            raise UserError("could not save the mark: no room")

    app = DragstripApp(Unwritable())
    async with opened(app) as pilot:
        await pilot.press("m", "enter")
        assert "could not save the mark: no room" in await settled(pilot)


async def test_e_writes_the_window_and_says_where() -> None:
    asked: list[tuple[float | None, float | None]] = []

    def export(start_s: float | None, end_s: float | None) -> str:
        asked.append((start_s, end_s))
        if len(asked) > 2:
            raise UserError("cannot export to ./x: no room")
        return "5 files written to ./x/"

    app = DragstripApp(FakeReplay(), export=export)
    async with opened(app) as pilot:
        await pilot.press("e")
        assert "5 files written to ./x/" in await rested(pilot)
        await pilot.press("z", "right")
        await rested(pilot)
        await pilot.press("z", "e")
        await rested(pilot)
        assert asked == [(None, None), (150, 155)]
        await pilot.press("e")
        assert "cannot export to ./x: no room" in await rested(pilot)


async def test_the_export_names_the_session_as_it_was_named() -> None:
    app = DragstripApp(FakeReplay(), session_argument=lambda _: "'/some/where/a session'")
    async with opened(app) as pilot:
        await pilot.press("e")
        assert "dragstrip export '/some/where/a session' --format csv" in await settled(pilot)
