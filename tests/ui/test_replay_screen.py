"""Every key of a replay: where it leads, what it says, the window, marks and notes, the export."""

import math
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.widgets import Input, Static

from tests.ui.fake_replay import DURATION_S, FakeReplay
from tests.ui.fake_source import DIALS
from tests.ui.pilots import SIZE, hints, opened, replay, rested, settled, shows
from tui.model.text import UserError
from tui.session.source import SPEEDS
from tui.ui.app import DragstripApp
from tui.ui.dialogs import TextDialog
from tui.ui.help import HelpDialog
from tui.ui.replay_screen import MAX_STRIDE, REPEATS_PER_STRIDE, Seeker
from tui.ui.widgets.timeline import Timeline


@pytest.mark.parametrize(
    ("key", "to_s"),
    [
        ("comma", 149), ("full_stop", 151), ("left", 145), ("right", 155), ("down", 90), ("up", 210),
        ("home", 0), ("end", DURATION_S),
    ],
)  # fmt: skip
async def test_a_key_moves_the_replay(key: str, to_s: float) -> None:
    source = FakeReplay()
    app = DragstripApp(source)
    async with opened(app) as pilot:
        await pilot.press(key)
        text = await rested(pilot)
        assert source.position_s == to_s
        assert source.seeks == [to_s]
        assert f"{int(to_s) // 60:02d}:{int(to_s) % 60:02d} / 09:48" in text
        assert f"REPLAY 00:{int(to_s) // 60:02d}:{int(to_s) % 60:02d}" in text


async def test_the_ends_hold() -> None:
    source = FakeReplay(second=3)
    app = DragstripApp(source)
    async with opened(app) as pilot:
        await pilot.press("left")
        await rested(pilot)
        assert source.position_s == 0
        await pilot.press("end")
        await rested(pilot)
        await pilot.press("up")
        await rested(pilot)
        assert source.position_s == DURATION_S


async def test_space_plays_and_pauses_and_a_step_pauses() -> None:
    source = FakeReplay()
    app = DragstripApp(source)
    async with opened(app) as pilot:
        assert "‖ paused ×1" in await settled(pilot)
        await pilot.press("space")
        assert "▶ playing ×1" in await settled(pilot)
        await pilot.press("full_stop")
        assert "‖ paused ×1" in await rested(pilot)
        await pilot.press("comma")
        assert "‖ paused ×1" in await rested(pilot)
        assert not source.playing


async def test_speeds_have_limits_and_backspace_is_normal_speed() -> None:
    source = FakeReplay()
    app = DragstripApp(source)
    async with opened(app, (200, 50)) as pilot:
        await pilot.press("right_square_bracket")
        assert source.speed == 2.0
        assert "0.5 1 [2] 4" in await settled(pilot)
        await pilot.press(*["right_square_bracket"] * len(SPEEDS))
        assert math.isinf(source.speed)
        assert "×max is as fast as it goes" in await settled(pilot)
        await pilot.press("backspace")
        assert source.speed == 1.0
        assert "as fast as it goes" not in await settled(pilot)
        await pilot.press(*["left_square_bracket"] * 3)
        assert source.speed == 0.25
        assert "×0.25 is as slow as it goes" in await settled(pilot)


async def test_n_goes_through_all_events_and_says_what_they_are() -> None:
    source = FakeReplay(second=0)
    app = DragstripApp(source)
    seen = []
    async with opened(app) as pilot:
        for _ in range(8):
            await pilot.press("n")
            text = await rested(pilot)
            seen.append((source.position_s, text.splitlines()[1].split("UTC")[1].strip().split("   ")[0]))
        assert seen[:3] == [(40, "conc 8→16"), (75, "conc 16→32"), (91, "B fault read timeout ×3")]
        assert [at for at, _ in seen[3:]] == [102, 240, 261, 421, 588]
        await pilot.press("n")
        assert "nothing is marked after this" in await rested(pilot)
        await pilot.press("N")
        await rested(pilot)
        assert source.position_s == 421
        await pilot.press("home")
        await rested(pilot)
        await pilot.press("N")
        assert "nothing is marked before this" in await rested(pilot)


async def test_a_held_key_moves_only_the_timeline_until_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tui.ui.replay_screen.SEEK_REST_S", 60.0
    )  # the repeats come sooner, however slow this machine is
    source = FakeReplay()
    app = DragstripApp(source)
    async with opened(app) as pilot:
        screen = replay(app)
        await pilot.press("right")
        await app.workers.wait_for_complete()
        await settled(pilot)
        assert screen.view is not None
        assert screen.view.second == 155
        for _ in range(4):
            screen.action_skip(5)
        text = await settled(pilot)
        assert source.seeks == [155]
        assert "02:55 / 09:48" in text
        assert "REPLAY 00:02:35" in text
        source.advance()  # time runs on below the hand
        assert "02:55 / 09:48" in await settled(pilot)
        await rested(pilot)
        assert source.seeks == [155, 175]
        assert screen.view.second == 175


async def test_a_key_is_let_go_by_itself() -> None:
    source = FakeReplay()
    app = DragstripApp(source)
    async with opened(app) as pilot:
        screen = replay(app)
        screen.action_skip(5)
        screen.action_skip(5)
        while source.position_s != 160:
            await pilot.pause(0.01)
        assert "REPLAY 00:02:40" in await settled(pilot)


async def test_held_on_a_key_goes_faster() -> None:
    source = FakeReplay(second=0, duration_s=36_000.0)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE):
        aim = replay(app).seeker
        strides = []
        for at in range(REPEATS_PER_STRIDE * (MAX_STRIDE + 1)):
            strides.append(aim.stride)
            aim.go(float(at))
        assert strides[:2] == [1, 1]
        assert sorted(strides) == strides
        assert strides[-1] == MAX_STRIDE
        aim.land()
        assert aim.stride == 1


async def test_a_slow_seek_never_moves_the_replay_back() -> None:
    source = FakeReplay()
    source.hold.clear()
    app = DragstripApp(source)
    async with opened(app) as pilot:
        screen = replay(app)
        seeker: Seeker = screen.seeker
        await pilot.press("right")
        seeker.land()
        await pilot.press("right")
        assert "02:40 / 09:48" in await settled(pilot)
        source.hold.set()
        assert "02:40 / 09:48" in await rested(pilot)
        assert screen.view is not None
        assert screen.view.second == 160


@pytest.mark.parametrize(
    ("typed", "to_s"), [("1:30", 90), ("50%", 294), ("45", 45), ("14:04:07", 60), ("0:01:05", 65), ("9:48", 588)]
)
async def test_g_goes_to_what_is_typed(typed: str, to_s: float) -> None:
    source = FakeReplay()
    app = DragstripApp(source)
    async with opened(app) as pilot:
        await pilot.press("g")
        await settled(pilot)
        app.screen.query_one(Input).value = typed
        await pilot.press("enter")
        await rested(pilot)
        assert source.position_s == to_s


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("soon", "soon is not a time: type one like 1:30"),
        ("1:75", "minutes and seconds end at 59"),
        ("20:00", "20:00 is after the end: the recording is 09:48 long"),
        ("120%", "after the end"),
        ("13:00:00", "which runs from 14:03:07 to 14:12:55 UTC"),
        ("", "an empty text is not a time"),
    ],
)
async def test_what_g_cannot_take_it_says_and_keeps(typed: str, said: str) -> None:
    source = FakeReplay()
    app = DragstripApp(source)
    async with opened(app, (80, 24)) as pilot:
        await pilot.press("g")
        await settled(pilot)
        app.screen.query_one(Input).value = typed
        await pilot.press("enter")
        await settled(pilot)
        assert said in str(app.screen.query_one(".problem", Static).content)
        assert isinstance(app.screen, TextDialog)
        assert app.screen.query_one(Input).value == typed
        await pilot.press("escape")
        await settled(pilot)
        assert source.seeks == []


async def test_the_mouse_jumps_drags_and_plays() -> None:
    source = FakeReplay()
    app = DragstripApp(source)
    async with opened(app) as pilot:
        bar = app.screen.query_one("#timeline-bar")
        assert bar.size.width == 120
        await pilot.click(bar, offset=(119, 0))
        await rested(pilot)
        assert source.position_s == DURATION_S
        source.seeks.clear()
        await pilot.mouse_down(bar, offset=(10, 0))
        for x in (20, 30, 40):
            await pilot.hover(bar, offset=(x, 0))
        await pilot.hover("#events", offset=(61, 0))  # off the bar the drag goes on
        text = await settled(pilot)
        assert "05:01 / 09:48" in text
        await pilot.mouse_up("#events", offset=(61, 0))
        await rested(pilot)
        assert source.position_s == 301
        assert source.seeks[0] == 49
        await pilot.hover(bar, offset=(5, 0))
        await rested(pilot)
        assert source.position_s == 301
        await pilot.click("#timeline-text", offset=(3, 0))
        assert source.playing


async def test_the_keys_of_the_view_work_as_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = DragstripApp(FakeReplay())
    async with opened(app) as pilot:
        await pilot.press("w")
        assert "over 60 s" in await settled(pilot)
        await pilot.press("v")
        assert "measuring TTFT p95: B SGLang" in await settled(pilot)
        await pilot.press("2")
        assert "A vLLM" not in await settled(pilot)
        await pilot.press("escape", "o")
        assert "A thin" in await settled(pilot)
        await pilot.press("o", "b")
        assert replay(app).glyphs.kind == "braille"
        before = app.theme
        await pilot.press("c")
        assert app.theme != before
        await pilot.press("S")
        assert "screenshot: 2026-11-23_140207_vllm-vs-sglang-000150.svg" in await settled(pilot)
        assert (tmp_path / "2026-11-23_140207_vllm-vs-sglang-000150.svg").is_file()
        await pilot.press("k")
        assert replay(app).middle == "curve"


async def test_dials_are_as_recorded_and_out_of_the_way() -> None:
    source = FakeReplay()
    app = DragstripApp(source)
    async with opened(app) as pilot:
        text = await settled(pilot)
        assert "as recorded, read-only" in text
        assert "◀" not in text
        await pilot.press("tab", "shift+tab", "x", "l", "u", "right_curly_bracket", "P")
        await settled(pilot)
        assert app.focused is None
        assert source.board.shown("b") == DIALS
        dial = app.screen.query_one("#dial-both-concurrency")
        await pilot.click(dial, offset=(dial.size.width - 1, 0))
        assert "the dials are as recorded" in await settled(pilot)


async def test_quit_asks_nothing() -> None:
    source = FakeReplay()
    app = DragstripApp(source)
    async with opened(app) as pilot:
        await pilot.press("q")
        await settled(pilot)
    assert source.stopped == ["quit"]


async def test_footer_help_and_palette_name_the_keys_of_a_replay() -> None:
    source = FakeReplay()
    app = DragstripApp(source)
    async with opened(app, (200, 50)) as pilot:
        footer = (await settled(pilot)).splitlines()[-1]
        assert all(hint in footer for hint in hints(app))
        assert "concurrency" not in footer
        await pilot.press("question_mark")
        text = await settled(pilot)
        assert isinstance(app.screen, HelpDialog)
        assert "play or pause" in text
        assert "on the bar: go there" in text
        assert "notch" not in text
        await pilot.press("escape", "ctrl+p")
        await pilot.press(*"a minute on")
        await shows(pilot, "Go a minute on  (↑)")
        await pilot.press("enter", "enter")
        await rested(pilot)
        assert source.position_s == 210


async def test_followed_it_says_live_and_how_old(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.ui import fake_replay

    end_wall_s = fake_replay.WALL_NS / 1e9 + 150
    monkeypatch.setattr("tui.ui.replay_screen.time.time", lambda: end_wall_s + 2.2)
    source = FakeReplay(second=150, duration_s=150.0, follow=True)
    source.playing = True
    app = DragstripApp(source)
    async with opened(app) as pilot:
        assert "▶ LIVE following, 2 s old" in await settled(pilot)
        monkeypatch.setattr("tui.ui.replay_screen.time.time", lambda: end_wall_s + 9.0)
        replay(app)._grow_older()
        assert "LIVE following, 9 s old" in await settled(pilot)
        await pilot.resize_terminal(80, 24)
        assert "▶ LIVE 9 s old 02:30" in await settled(pilot)
        source.following = source.playing = False
        replay(app).show_time()
        assert "LIVE" not in app.screen.query_one(Timeline).plain


async def test_before_the_recording_is_open_nothing_is_shown_of_it() -> None:
    source = FakeReplay(second=0, duration_s=0.0, follow=True, change=lambda view: replace(view, wall_ns=0))
    app = DragstripApp(source)
    async with opened(app) as pilot:
        assert "opening the recording" in await settled(pilot)
        await pilot.press("right", "n", "z", "space")
        assert "opening the recording" in await settled(pilot)


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
        assert "▲ A vLLM gives 1.14× B SGLang's tokens/s (95 %: 1.10 to 1.19) · this window of 60 s" in text
        assert "▲ B ahead" in text
        assert "3 s settling left out" in text
        assert "A 600 done, 0 failed   B 540 done, 3 failed" in text
        await pilot.press("v")
        assert "▲ B SGLang's TTFT p95 is 18 % shorter than A vLLM's (95 %: 9.1 to 25 %)" in await settled(pilot)
        await pilot.press("t")
        assert "Window 01:30" not in await settled(pilot)
        await pilot.press("Z")
        assert "Window 01:30 to 02:30   60 s" in await settled(pilot)
        await pilot.press("escape")
        text = await settled(pilot)
        assert "Window" not in text
        assert "A vLLM" in text
        assert "over 30 s" in text
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


async def test_marks_and_notes_are_kept_next_to_the_recording_and_shown_on_the_timeline() -> None:
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
        assert bar == before  # the position hides it
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
