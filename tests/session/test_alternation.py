"""Lanes that take turns: ABBA, a drain between, and only one of them loaded at any moment."""

from collections.abc import Collection
from itertools import islice
from typing import Any

from tests.session.test_live import Watched, pair, profile
from tui.model.dials import Dials
from tui.model.metrics import NS_PER_S
from tui.model.profile import LaneProfile, Profile, Step
from tui.model.rows import LANES, Lane
from tui.session.live import LiveSession
from tui.session.schedule import MIN_RAMP_S, TICKS_PER_S, LoadSchedule, Turns, abba
from tui.session.seconds import LaneCutter
from tui.simulator.process import SimulatorProcess

__all__ = ["pair"]


class Ticking:
    """Turns under ticks: what the lanes' drivers say, and whose turn it was when."""

    def __init__(self, **limits: Any) -> None:
        self.turns = Turns(**limits)
        self.cutters = {lane: LaneCutter(lane) for lane in LANES}
        self.now_s = 0.0
        self.given: list[tuple[Lane | None, float]] = []

    def run(self, seconds: float, *, slow_ms: float = 0.0, enough: Collection[Lane] = ()) -> None:
        for _ in range(round(seconds * TICKS_PER_S)):
            self.now_s = round(self.now_s + 1 / TICKS_PER_S, 3)
            turn = self.turns.tick(self.now_s, self.cutters, slow_ms, enough)
            if turn is not None:
                self.given.append((turn.lane, self.now_s))

    @property
    def lanes(self) -> list[Lane | None]:
        return [lane for lane, _ in self.given]


def test_the_order_is_abba() -> None:
    assert list(islice(abba(), 8)) == ["a", "b", "b", "a", "a", "b", "b", "a"]
    ticking = Ticking(block_s=10.0, min_ramp_s=1.0)
    ticking.run(50)
    assert ticking.lanes == [None, "a", None, "b", None, "a"]
    starts = [at_s for lane, at_s in ticking.given if lane]
    assert 11 <= starts[1] - starts[0] < 12
    assert 21 <= starts[2] - starts[1] < 22  # two turns on end, with one ramp


def test_a_turn_begins_when_the_other_lane_has_drained() -> None:
    ticking = Ticking(block_s=1.0, min_ramp_s=0.0)
    ticking.cutters["a"].streams = 2
    ticking.run(10)
    assert ticking.lanes == [None, "a", None]  # the other one waits
    ticking.cutters["a"].streams = 0
    ticking.run(0.1)
    assert ticking.lanes == [None, "a", None, "b"]


def test_a_stream_that_never_ends_does_not_hold_the_other_lane_for_ever() -> None:
    ticking = Ticking(block_s=1.0, min_ramp_s=0.0, max_drain_s=5.0)
    ticking.cutters["a"].streams = 1
    ticking.run(8)
    assert ticking.lanes == [None, "a", None, "b"]


def test_a_plans_steps_are_turns_of_a_b_then_b_a() -> None:
    ticking = Ticking(block_s=10.0)
    held: dict[Lane, int] = {"a": 0, "b": 0}
    steps = 0
    while steps < 3:
        ticking.run(1, enough=[lane for lane in LANES if held[lane] >= 3])
        if active := ticking.turns.active:
            held[active] += 1  # three seconds are a step's share
        if min(held.values()) >= 3:
            held, steps = {"a": 0, "b": 0}, steps + 1
    assert [lane for lane in ticking.lanes if lane] == ["a", "b", "a", "b"]  # A B, B A, A B: a turn spans two steps


def test_a_turn_counts_once_its_first_streams_are_over_and_begins_again_with_a_move_of_the_dials() -> None:
    ticking = Ticking()
    ticking.run(MIN_RAMP_S)
    assert not ticking.turns.counts
    ticking.run(1, slow_ms=60_000.0)
    assert not ticking.turns.counts
    ticking.run(1)
    assert (ticking.turns.active, ticking.turns.counts) == ("a", True)
    ticking.turns.restart(ticking.now_s)
    ticking.run(MIN_RAMP_S - 0.1)
    assert not ticking.turns.counts


def test_a_turn_counts_once_its_streams_are_spread() -> None:
    ticking = Ticking(min_ramp_s=0.0)
    ticking.cutters["a"].ramping = True
    ticking.run(5)
    assert not ticking.turns.counts
    ticking.cutters["a"].ramping = False
    ticking.run(0.1)
    assert ticking.turns.counts


def test_a_turn_lasts_until_so_much_of_it_counted_but_not_for_ever() -> None:
    ticking = Ticking(block_s=1.0, min_ramp_s=0.0, max_ramp_s=20.0)
    ticking.cutters["a"].ramping = ticking.cutters["b"].ramping = True
    ticking.run(10)
    assert ticking.lanes == [None, "a"]
    ticking.cutters["a"].ramping = False
    ticking.run(1.2)
    assert ticking.lanes == [None, "a", None, "b"]
    ticking.run(41)  # lane B's streams are never under way; its two turns are over all the same
    assert ticking.lanes == [None, "a", None, "b", None, "a"]


def schedule_for(**changes: Any) -> LoadSchedule:
    profile = Profile(a=LaneProfile(url="http://a"), b=LaneProfile(url="http://b"), **changes)
    return LoadSchedule(profile, {lane: Dials() for lane in LANES})


def test_streams_are_spread_at_first_in_turns_and_sweeps_and_not_where_an_operator_waits_or_requests_count() -> None:
    timed, counted = Step(dials={"concurrency": 8}, for_s=10), Step(dials={"concurrency": 8}, requests=100)
    moved = schedule_for()
    assert moved.settings(load_on=True)["a"].ramp
    moved.set_dials(dict(moved.dials), 0)
    assert not moved.settings(load_on=True)["a"].ramp
    assert schedule_for(mode="alternate").settings(load_on=True)["a"].ramp
    for mode, step, sweeps, spread in (
        ("together", timed, False, False),
        ("together", timed, True, True),
        ("alternate", timed, False, True),
        ("alternate", counted, False, False),
    ):
        schedule = schedule_for(mode=mode)
        schedule.set_dials(dict(schedule.dials), 0)
        schedule.start_plan([step], dict(schedule.dials), lambda _: (), 0, "settled" if sweeps else "time")
        assert schedule.settings(load_on=True)["a"].ramp == spread


def test_a_turn_that_begins_with_spread_streams_does_not_wait_for_those_of_before() -> None:
    schedule, cutters = schedule_for(mode="alternate"), {lane: LaneCutter(lane) for lane in LANES}
    minute_ms = 60_000.0  # that streams take

    def run(from_s: int, until_s: int) -> None:
        for tick in range(from_s * TICKS_PER_S, until_s * TICKS_PER_S):
            schedule.tick(tick * NS_PER_S // TICKS_PER_S, cutters, minute_ms)

    run(0, 5)
    assert not schedule.rests("a")
    # Requests with prompts of before run on for a minute.
    schedule.set_dials({lane: Dials(prompt_tokens=99) for lane in LANES}, 5 * NS_PER_S)
    run(5, 30)
    assert schedule.rests("a")


async def test_only_the_lane_whose_turn_it_is_has_load(pair: list[SimulatorProcess]) -> None:
    watched = Watched(LiveSession(profile(pair, mode="alternate")))
    watched.session.schedule.turns = Turns(block_s=1.0, min_ramp_s=0.0)
    await watched.start()
    view = await watched.view_when(lambda view: min(lane.done for lane in view.lanes.values()) > 3)
    await watched.session.stop("done")
    assert view.mode == "alternate"
    rows = [row for batch in watched.batches for row in batch.requests if row.outcome == "ok"]
    spans = {lane: [(r.t_send_ns or 0, r.t_end_ns) for r in rows if r.lane == lane] for lane in ("a", "b")}
    overlaps = [(a, b) for a in spans["a"] for b in spans["b"] if a[0] < b[1] and b[0] < a[1]]
    assert not overlaps
    seconds = [row for batch in watched.batches for row in batch.seconds]
    assert {row.resting for row in seconds} == {True, False}
