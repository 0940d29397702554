"""The key P: the profile's plan begins, pauses and goes on, and the screen says how far it is."""

from msgspec.structs import replace

from tests.session.made_seconds import Run
from tests.ui.fake_source import FakeSource
from tests.ui.reading import settled
from tui.model.dials import Dials
from tui.model.profile import Step
from tui.model.rows import LANES, Batch, Lane
from tui.model.units import NS_PER_S
from tui.session.messages import PlanMoved
from tui.session.plan import PlanRun, checked
from tui.session.view import View
from tui.ui.app import DragstripApp

SIZE = (120, 40)
STEPS = [Step(dials={"concurrency": 8}, for_s=30), Step(dials={"concurrency": 16}, for_s=30)]


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
