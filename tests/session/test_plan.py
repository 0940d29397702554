"""A plan step by step: by time, by requests, paused by a hand on a dial; and the sweep that makes its own steps."""

from collections.abc import Collection, Sequence

import msgspec
import pytest
from msgspec.structs import replace

from tests.session.made_seconds import Run
from tui.cli.run import SweepPasses
from tui.judge.sweep import sweep_plan
from tui.model.dials import Dials
from tui.model.metrics import NS_PER_S
from tui.model.profile import Step
from tui.model.rows import LANES, Batch, Lane, RequestRow
from tui.model.text import UserError
from tui.session.messages import PlanMoved
from tui.session.plan import PlanRun, StepEnd, checked
from tui.stats.verdict import MIN_SETTLED_S, State

ROW = Run()._row("a", 0, 0)
BASE: dict[Lane, Dials] = {lane: Dials(concurrency=4) for lane in LANES}


class Hands:
    """A plan, and the dials that it or a hand puts in force."""

    def __init__(self, *steps: Step, repeat: int = 1, step_end: StepEnd = "time") -> None:
        self.dials = dict(BASE)
        self.history: list[int] = []
        self.moves: list[PlanMoved] = []
        self.plan = PlanRun(checked(steps, BASE), BASE, repeat=repeat, step_end=step_end)
        self.follow(self.plan.begin(0.0))

    def follow(self, move: PlanMoved) -> None:
        self.moves.append(move)
        if move.dials is not None:
            self.dials = dict(move.dials)
            self.history.append(move.dials["a"].concurrency)

    def second(
        self,
        end_s: int,
        requests: Sequence[RequestRow] = (),
        *,
        segment: int = 0,
        resting: Collection[Lane] = (),
        down: Collection[Lane] = (),
        settling: bool = False,
        state: State | None = None,
    ) -> None:
        """A second ends, in which these requests ended."""
        rows = [replace(ROW, lane=lane, resting=lane in resting, up=lane not in down) for lane in LANES]
        batch = Batch(end_s * NS_PER_S, requests=list(requests), seconds=rows)
        for move in self.plan.second(batch, segment, self.dials, settling=settling, state=state):
            self.follow(move)


def ended(lane: Lane, count: int) -> list[RequestRow]:
    run = Run()
    return [run._request(lane, 10**12, place) for place in range(count)]


def test_steps_are_held_for_their_time_and_keep_what_they_do_not_turn() -> None:
    hands = Hands(Step(dials={"concurrency": 8}, for_s=3), Step(dials={"output_tokens": 64}, for_s=2))
    plan = hands.plan
    for second in range(1, 3):
        hands.second(second)
    assert plan.text() == "plan 1/2  conc 8  0:03 left"
    hands.second(3)
    assert hands.dials["b"] == Dials(concurrency=8, output_tokens=64)
    hands.second(5)
    assert plan.over
    assert plan.text() == ""


def test_of_lanes_that_take_turns_each_gets_the_whole_time_of_a_step() -> None:
    hands = Hands(Step(dials={"concurrency": 8}, for_s=2))
    plan = hands.plan
    for second in range(1, 4):
        hands.second(second, resting={"b"})
    assert [plan.enough(lane) for lane in LANES] == [True, False]
    hands.second(4, resting={"a", "b"})
    hands.second(5, resting={"a"})
    assert plan.text() == "plan 1/1  conc 8  0:01 left"
    hands.second(6, resting={"a"})
    assert plan.over


def test_a_step_of_requests_waits_for_the_slower_lane_and_counts_no_others() -> None:
    hands = Hands(Step(dials={"concurrency": 8}, requests=5))
    plan = hands.plan
    hands.second(1, ended("a", 5) + ended("b", 5), segment=1)  # of segment 0: sent before the step
    assert not plan.over
    hands.second(2, ended("a", 9) + ended("b", 3))
    assert plan.text() == "plan 1/1  conc 8  3/5 requests"
    hands.second(3, ended("b", 2))
    assert plan.over


def test_a_hand_on_a_dial_pauses_and_going_on_begins_the_step_again() -> None:
    hands = Hands(Step(dials={"concurrency": 8}, for_s=3))
    plan = hands.plan
    hands.dials["a"] = msgspec.structs.replace(hands.dials["a"], concurrency=9)
    for second in range(1, 10):
        hands.second(second)
    assert not plan.over
    assert "paused" in plan.text()
    hands.follow(plan.toggle(10))
    assert hands.history == [8, 8]
    hands.second(12)
    assert not plan.over
    hands.second(13)
    assert plan.over


def test_repetitions_alternate_their_order_and_each_step_puts_the_same_in_force() -> None:
    first, second = Step(dials={"concurrency": 8}, for_s=1), Step(dials={"output_tokens": 64}, for_s=1)
    hands = Hands(first, second, repeat=3)
    plan = hands.plan
    seen = [hands.dials["b"]]
    for at in range(1, 6):
        hands.second(at)
        seen.append(hands.dials["b"])
    one, other = Dials(concurrency=8), Dials(concurrency=8, output_tokens=64)
    assert seen == [one, other, other, one, one, other]
    assert plan.text() == "plan 6/6  out 64  0:01 left"
    hands.second(6)
    assert plan.over


def test_a_lane_that_stays_down_does_not_hold_a_step_of_requests_for_ever() -> None:
    hands = Hands(Step(dials={"concurrency": 8}, requests=5), Step(dials={"concurrency": 9}, requests=1))
    hands.second(1, ended("a", 5))
    for at in range(2, 40):
        hands.second(at, down={"b"})
    hands.second(40)  # it was back for a moment
    for at in range(41, 100):
        hands.second(at, down={"b"})
    assert hands.history == [8]
    hands.second(100, down={"b"})
    assert hands.history == [8, 9]
    given_up = [(move.lane, move.text) for move in hands.moves if move.name == "given up"]
    assert given_up == [("b", "down for 60 s: step 1 of 2 is over for this lane, with 0 of 5 requests")]


def test_a_step_of_requests_asks_for_so_many_and_no_more_while_it_runs() -> None:
    hands = Hands(Step(dials={"concurrency": 8}, requests=5))
    plan = hands.plan
    assert plan.max_requests("a", hands.dials["a"]) == 5
    assert plan.max_requests("a", BASE["a"]) is None  # the hand that turned a dial wants more
    hands.follow(plan.toggle(1))
    assert plan.max_requests("a", hands.dials["a"]) is None
    begun = plan.begun
    hands.follow(plan.toggle(2))
    assert plan.begun == begun + 1
    hands.second(3, ended("a", 5) + ended("b", 5))
    assert plan.over
    assert plan.max_requests("a", hands.dials["a"]) is None


def test_the_time_of_a_sweeps_step_runs_from_when_it_is_settled() -> None:
    hands = Hands(Step(dials={"concurrency": 8}, for_s=3))
    plan = hands.plan
    for at in range(1, 30):
        hands.second(at, settling=True)
    hands.second(30)  # at whose end it is settled
    assert plan.text().endswith("0:03 left")
    for at in range(31, 33):
        hands.second(at)
    assert not plan.over
    hands.second(33)
    assert plan.over


def test_a_step_until_its_verdict_ends_with_it_and_not_later_than_its_time() -> None:
    hands = Hands(*(Step(dials={"concurrency": n}, for_s=300) for n in (8, 16, 32)), step_end="verdict")
    hands.second(30, state="measuring")
    assert hands.history == [8]
    hands.second(31, state="decided")
    assert hands.history == [8, 16]
    hands.second(32, state="cannot_tell")  # as while a lane is down: it may come back
    assert hands.history == [8, 16]
    hands.second(31 + MIN_SETTLED_S, state="cannot_tell")
    assert hands.history == [8, 16, 32]
    hands.second(31 + MIN_SETTLED_S + 300, state="measuring")
    assert hands.plan.over


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([], "no \\[\\[plan\\]\\]"),
        ([Step(dials={"concurrency": 0}, requests=3)], "no stream"),
        ([Step(dials={"concurrency": 8})], "for_s or requests"),
        ([Step(dials={"concurrency": 10**6}, for_s=1)], "concurrency is"),
        ([Step(dials={"conc": 8}, for_s=1)], "conc"),
    ],
)
def test_a_plan_that_cannot_run_says_why(steps: list[Step], why: str) -> None:
    with pytest.raises(UserError, match=why):
        checked(steps, BASE)


def test_a_sweep_doubles_and_then_halves_around_the_knees() -> None:
    steps = sweep_plan("concurrency=4..32", 20)
    sweep = SweepPasses(steps)
    todo, visited = [int(step.dials["concurrency"]) for step in steps], [8]
    run = Run()
    while todo:
        setting = todo.pop(0)
        run.turn(str(visited[-1]), str(setting))
        visited.append(setting)
        useful = min(setting, 16)  # more streams than that only wait
        run.rate = {"a": 100.0 * useful, "b": 90.0 * useful}
        run.ttft_ms = dict.fromkeys(LANES, 20 + 50.0 * (setting / 16) ** 4)
        run.seconds(20)
        more = sweep.next_steps(Step(dials={"concurrency": setting}, for_s=20), run.view())
        todo += [int(step.dials["concurrency"]) for step in more]
    assert visited[1:5] == [4, 8, 16, 32]
    assert visited[5:7] == [6, 12]  # the power, throughput over latency, is largest at 8
    assert all(4 < setting < 16 for setting in visited[5:])
    assert len(set(visited[1:])) == len(visited[1:])
    assert max(run.view().ledger, key=lambda row: row.tps["a"]).settled_s > 0
