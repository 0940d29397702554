"""The operator is called back once for each thing that happened, and not at all where that is turned off."""

from typing import Literal

from msgspec.structs import replace

from tests.ui.fake_source import FakeSource
from tests.ui.made_sentences import AHEAD, MEASURING
from tests.ui.pilots import SIZE, live, settled
from tui.model.rows import EventRow
from tui.profile.config import Config, UserConfig
from tui.session.view import View
from tui.stats.verdict import Verdict
from tui.ui.alerts import Alerts, title_sequence
from tui.ui.app import DragstripApp
from tui.ui.comparison import OBJECTIVES, compare


def with_verdict(verdict: Verdict) -> View:
    return replace(FakeSource(second=150).view(30), verdicts={"output_tps": verdict, "ttft_p95": verdict})


def with_b(state: Literal["up", "down"]) -> View:
    view = with_verdict(MEASURING)
    return replace(view, lanes={**view.lanes, "b": replace(view.lanes["b"], state=state)})


def calls(*views: View, objectives: tuple[int, ...] = ()) -> list[str]:
    called: list[str] = []
    alerts = Alerts(called.append)
    for at, view in enumerate(views):
        objective = OBJECTIVES[objectives[at] if objectives else 0]
        alerts.second(view, compare(view, objective, dials_differ=False))
    return called


def test_a_lane_down_and_back_calls_once_each() -> None:
    up, down = with_b("up"), with_b("down")
    assert calls(up, down, down, down, up, up) == ["✖ B down", "● B back"]


def test_a_verdict_calls_when_it_falls_and_its_title_goes_with_it() -> None:
    measuring, ahead = with_verdict(MEASURING), with_verdict(AHEAD)
    assert calls(measuring, ahead, ahead, measuring, measuring) == ["▲ B ahead 1.72×", ""]
    assert calls(measuring, ahead, ahead, objectives=(0, 0, 1)) == ["▲ B ahead 1.72×"]  # chosen by `v`


def test_the_end_of_a_plan_calls() -> None:
    view = with_verdict(MEASURING)
    over = EventRow("", view.t0_ns + 140, "plan", name="over", text="every step of the plan has been held")
    ended = replace(view, events=[*view.events, over])
    assert calls(view, ended, ended) == ["■ plan ended"]


async def test_the_screen_calls_even_when_it_is_frozen() -> None:
    state: list[Literal["up", "down"]] = ["up"]
    source = FakeSource(second=150, change=lambda view: replace(with_b(state[0]), second=view.second))
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        called: list[str] = []
        screen = live(app)
        assert screen.alerts is not None
        screen.alerts.call = called.append
        await pilot.press("space")
        await settled(pilot)
        state[0] = "down"
        source.advance()
        await settled(pilot)
        assert called == ["✖ B down"]


async def test_it_can_be_turned_off_in_the_config() -> None:
    app = DragstripApp(FakeSource(second=150), user_config=UserConfig(config=Config(bell=False)))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        assert live(app).alerts is None


def test_the_title_says_what_it_is_of() -> None:
    assert title_sequence("✖ B down") == "\x1b]2;✖ B down · dragstrip\x07"
    assert title_sequence("") == "\x1b]2;dragstrip\x07"
