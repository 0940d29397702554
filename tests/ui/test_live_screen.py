"""Keys of a running session: dials, load, freezing, the plan, quitting."""

import pytest
from msgspec.structs import replace

from tests.session.made_seconds import Run
from tests.ui.fake_source import FakeSource
from tests.ui.pilots import SIZE, live, rest_hand, settled
from tui.model.dials import DialName, Dials
from tui.model.metrics import NS_PER_S
from tui.model.profile import Step
from tui.model.rows import LANES, Batch, Lane
from tui.session.messages import PlanMoved
from tui.session.plan import PlanRun, checked
from tui.session.view import View
from tui.ui.app import DragstripApp
from tui.ui.dialogs import QuitDialog

STEPS = [Step(dials={"concurrency": 8}, for_s=30), Step(dials={"concurrency": 16}, for_s=30)]


@pytest.mark.parametrize(
    ("key", "name", "before", "after"),
    [
        ("left_square_bracket", "concurrency", 32, 24),
        ("right_square_bracket", "concurrency", 32, 48),
        ("left_curly_bracket", "concurrency", 32, 16),
        ("right_curly_bracket", "concurrency", 32, 64),
        ("comma", "prompt_tokens", 512, 384),
        ("full_stop", "prompt_tokens", 512, 768),
        ("less_than_sign", "prompt_tokens", 512, 256),
        ("greater_than_sign", "prompt_tokens", 512, 1024),
        ("semicolon", "output_tokens", 128, 96),
        ("apostrophe", "output_tokens", 128, 192),
        ("colon", "output_tokens", 128, 64),
        ("quotation_mark", "output_tokens", 128, 256),
    ],
)
async def test_a_dial_key_turns_both_lanes(key: str, name: DialName, before: int, after: int) -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(key)
        text = await settled(pilot)
        assert [getattr(source.board.shown(lane), name) for lane in ("a", "b")] == [after, after]
        assert f"{before}→{after}…" in text or f"→{after}…" in text
        await rest_hand(source)
        assert "…▶" not in (await settled(pilot)).replace(" ", "")


async def test_at_its_limit_a_dial_says_so() -> None:
    source = FakeSource(second=150)
    source.board.set("concurrency", 4096)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("right_square_bracket")
        assert "conc is at its limit" in await settled(pilot)


async def test_undo_takes_a_turn_back_and_says_when_there_is_none() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("right_square_bracket", "u")
        await settled(pilot)
        assert source.board.shown("a").concurrency == 32
        await pilot.press("u")
        assert "nothing to undo" in await settled(pilot)


async def test_x_stops_the_load_and_brings_it_back() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("x")
        assert "LOAD STOPPED" in await settled(pilot)
        assert not source.dial_board.load_on
        await pilot.press("x")
        assert "LOAD STOPPED" not in await settled(pilot)


async def test_a_frozen_screen_rests_and_says_how_far_it_is_behind() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        before = (await settled(pilot)).split("\n")[4:-2]
        await pilot.press("space")
        source.advance(9)
        text = await settled(pilot)
        assert "FROZEN 00:09 behind" in text
        assert text.split("\n")[4:-2] == before
        await pilot.press("space")
        text = await settled(pilot)
        assert "LIVE 00:02:39" in text
        assert text.split("\n")[4:-2] != before


async def test_on_a_frozen_screen_a_key_shows_what_it_does_and_nothing_else_moves() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("space")
        source.advance(7)
        held = await settled(pilot)
        assert "00:07 behind" in held
        await pilot.press("w")
        text = await settled(pilot)
        assert "window 60 s, once the screen is no longer frozen" in text
        assert "FROZEN 00:07 behind" in text
        assert "over 30 s" in text
        await pilot.press("v")
        assert "measuring TTFT p95: B SGLang" in await settled(pilot)
        await pilot.press("x")
        assert "LOAD STOPPED" in await settled(pilot)
        await pilot.press("space")
        assert "over 60 s" in await settled(pilot)


async def test_quit_asks_once_while_load_runs() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("q")
        await settled(pilot)
        assert isinstance(app.screen, QuitDialog)
        await pilot.press("escape")
        await settled(pilot)
        assert source.stopped == []
        await pilot.press("ctrl+c")
        await settled(pilot)
        await pilot.press("q")
        await settled(pilot)
    assert source.stopped == ["quit"]
    assert app.return_value == 0
    assert 1 < len(app.summary) <= 6
    name = "2026-11-23_140207_vllm-vs-sglang"
    assert app.summary[-2:] == [f"recorded: {name}", f"next: dragstrip report {name}; dragstrip replay {name}"]


async def test_two_quick_keys_ask_once_and_quit() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        live(app).action_leave()
        live(app).action_leave()
        await settled(pilot)
        assert sum(isinstance(screen, QuitDialog) for screen in app.screen_stack) <= 1
        assert source.stopped == ["quit"]


async def test_suspended_the_load_stops_and_a_message_says_so_afterwards() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        live(app).before_suspend()
        assert not source.dial_board.load_on
        app.app_resume_signal.publish(app)
        assert "load stopped on ctrl+z: x resumes" in await settled(pilot)
        await pilot.press("u")
        live(app).before_suspend()  # it is stopped already: nothing to tell
        app.app_resume_signal.publish(app)
        assert "ctrl+z" not in await settled(pilot)
        assert not source.dial_board.load_on


class Planned(FakeSource):
    """A source whose profile has a plan, run by the real thing."""

    def __init__(self) -> None:
        super().__init__(second=150, change=self._with_plan)
        self.dials: dict[Lane, Dials] = {lane: self.board.in_force(lane) for lane in LANES}
        self.plan: PlanRun | None = None

    def toggle_plan(self) -> str:
        if self.plan is None:
            self.plan = PlanRun(checked(STEPS, self.dials), self.dials)
            self._follow(self.plan.begin(float(self.second)))
        else:
            self._follow(self.plan.toggle(float(self.second)))
        return ""

    def advance(self, seconds: int = 1) -> None:
        if self.plan is not None:
            row = Run()._row("a", 0, 0)
            rows = [replace(row, lane=lane, resting=False) for lane in LANES]
            batch = Batch((self.second + seconds) * NS_PER_S, seconds=rows)
            for move in self.plan.second(batch, 0, self.dials):
                self._follow(move)
        super().advance(seconds)

    def _follow(self, move: PlanMoved) -> None:
        self.dials = dict(move.dials or self.dials)

    def _with_plan(self, view: View) -> View:
        return replace(view, plan="" if self.plan is None else self.plan.text())


async def test_the_key_begins_the_plan_pauses_it_and_goes_on() -> None:
    source = Planned()
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("P")
        source.advance(10)
        assert "plan 1/2  conc 8  0:50 left" in await settled(pilot)
        await pilot.press("P")
        source.advance(10)
        assert "paused: P goes on" in await settled(pilot)
        await pilot.press("P")
        source.advance(30)
        assert "plan 2/2  conc 16  0:30 left" in await settled(pilot)
        assert source.dials["b"].concurrency == 16
        source.advance(30)
        assert "plan 2/2" not in await settled(pilot)


async def test_without_a_plan_the_key_says_so() -> None:
    app = DragstripApp(FakeSource(second=150))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("P")
        assert "the profile has no [[plan]]" in await settled(pilot)


async def test_an_arrival_rate_begins_at_what_both_lanes_finish_now() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("tab", "tab", "tab", "tab", "up")
        await settled(pilot)
        dials = source.board.shown("a")
        assert dials.arrival == "poisson"
        rates = [lane.request_rate for lane in source.view(30).lanes.values()]
        assert dials.request_rate == pytest.approx(min(rate for rate in rates if rate), rel=0.05)


async def test_halving_ends_at_one_and_says_which_key_stops_the_load() -> None:
    source = FakeSource(second=150)
    source.board.set("concurrency", 2)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("left_curly_bracket", "left_curly_bracket")
        assert "conc ends at 1: x stops the load" in await settled(pilot)
        assert source.board.shown("a").concurrency == 1
