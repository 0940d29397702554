"""Lanes that take turns: ABBA, a drain between, and only one of them loaded at any moment."""

import asyncio
from itertools import islice
from typing import Any

import pytest

from tests.session.test_live import Watched, pair, profile
from tui.model.dials import Dials
from tui.model.profile import LaneProfile, Profile, Step
from tui.model.rows import LANES, Lane
from tui.session import schedule as alternation
from tui.session.live import LiveSession
from tui.session.schedule import Alternation, Orders, abba
from tui.simulator.process import SimulatorProcess

__all__ = ["pair"]


def test_the_order_is_abba() -> None:
    assert list(islice(abba(), 8)) == ["a", "b", "b", "a", "a", "b", "b", "a"]


async def test_a_turn_begins_when_the_other_lane_has_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alternation, "LOOK_S", 0.001)
    monkeypatch.setattr(alternation, "RAMP_S", 0.0)
    streams: dict[Lane, int] = {"a": 0, "b": 0}
    turns: list[Lane | None] = []
    drained = asyncio.Event()

    def turn(lane: Lane | None) -> None:
        turns.append(lane)
        if turns == [None, "a", None]:
            streams["a"] = 2
            asyncio.get_running_loop().call_later(0.02, finish)

    def finish() -> None:
        assert turns[-1] is None  # the other one waits
        streams["a"] = 0
        drained.set()

    task = asyncio.create_task(Alternation(turn, lambda lane: streams[lane], block_s=0.01).run())
    await drained.wait()
    while "b" not in turns:
        await asyncio.sleep(0)
    task.cancel()
    assert turns[:4] == [None, "a", None, "b"]


async def test_a_plans_steps_are_turns_of_a_b_then_b_a(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alternation, "LOOK_S", 0.001)
    turns: list[Lane | None] = []
    held: dict[Lane, int] = {"a": 0, "b": 0}
    steps = 0

    def enough(lane: Lane) -> bool:
        """Each look is a second of the lane's turn; three are a step's share."""
        nonlocal steps
        if turns and lane == turns[-1]:
            held[lane] += 1
        if min(held.values()) >= 3:
            held.update({"a": 0, "b": 0})
            steps += 1
        return held[lane] >= 3

    task = asyncio.create_task(Alternation(turns.append, lambda _: 0, enough=enough, block_s=10.0).run())
    while steps < 3:
        await asyncio.sleep(0)
    task.cancel()
    assert [lane for lane in turns if lane] == ["a", "b", "a", "b"]  # A B, B A, A B: a turn goes on across a step


async def test_a_turn_counts_once_its_first_streams_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alternation, "RAMP_S", 0.0)
    slow_ms = 60_000.0
    begun = asyncio.Event()
    turns = Alternation(lambda lane: begun.set() if lane else None, lambda _: 0, lambda: slow_ms)
    task = asyncio.create_task(turns.run())
    await begun.wait()
    assert not turns.counts("a")
    slow_ms = 0.0
    await asyncio.sleep(0)
    assert turns.counts("a")
    assert not turns.counts("b")
    turns.restart()
    slow_ms = 60_000.0
    assert not turns.counts("a")
    task.cancel()


async def test_a_turn_lasts_until_so_much_of_it_counted_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alternation, "LOOK_S", 0.001)
    monkeypatch.setattr(alternation, "RAMP_S", 0.0)
    asked = 0

    def ramping(lane: Lane) -> bool:
        """Lane A's streams are under way after a hundred looks, lane B's never."""
        nonlocal asked
        asked += lane == "a"
        return lane == "b" or asked < 100

    turns: list[tuple[Lane | None, int]] = []
    running = Alternation(lambda lane: turns.append((lane, asked)), lambda _: 0, ramping=ramping, block_s=0.01)
    monkeypatch.setattr(alternation, "LONGEST_RAMP_S", 1.0)
    task = asyncio.create_task(running.run())
    while len(turns) < 4:
        await asyncio.sleep(0)
    assert [lane for lane, _ in turns] == [None, "a", None, "b"]
    assert 100 <= turns[2][1] <= 112
    monkeypatch.setattr(alternation, "LONGEST_RAMP_S", 0.05)
    while len(turns) < 6:
        await asyncio.sleep(0)
    assert turns[5][0] == "a"
    task.cancel()


async def test_a_turn_counts_once_its_streams_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alternation, "RAMP_S", 0.0)
    ramping = True
    begun = asyncio.Event()
    turns = Alternation(lambda lane: begun.set() if lane else None, lambda _: 0, ramping=lambda _: ramping)
    task = asyncio.create_task(turns.run())
    await begun.wait()
    await asyncio.sleep(0)
    assert not turns.counts("a")
    ramping = False
    assert turns.counts("a")
    task.cancel()


class Still:
    """Nothing is in flight, and streams take a minute."""

    def in_flight(self, _: Lane) -> int:
        return 0

    def ramping(self, _: Lane) -> bool:
        return False

    def slow_ms(self) -> float:
        return 60_000.0

    def settling(self) -> bool:
        return False


def orders_of(**changes: Any) -> Orders:
    given = Profile(a=LaneProfile(url="http://a"), b=LaneProfile(url="http://b"), **changes)
    return Orders(given, Still(), lambda _lane, _setting: None, lambda _event: None)


def test_streams_are_spread_in_turns_and_sweeps_and_not_where_an_operator_waits_or_requests_are_counted() -> None:
    timed, counted = Step(dials={"concurrency": 8}, for_s=10), Step(dials={"concurrency": 8}, requests=100)
    assert not orders_of().setting("a").ramp
    assert orders_of(mode="alternate").setting("a").ramp
    for mode, step, sweeps, spread in (
        ("together", timed, False, False),
        ("together", timed, True, True),
        ("alternate", timed, False, True),
        ("alternate", counted, False, False),
    ):
        orders = orders_of(mode=mode)
        orders.start_plan([step], lambda _: (), settled_only=sweeps)
        assert orders.setting("a").ramp == spread


async def test_a_turn_that_begins_with_spread_streams_does_not_wait_for_those_of_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alternation, "RAMP_S", 0.0)
    orders = orders_of(mode="alternate")
    assert orders.alternation is not None
    task = asyncio.create_task(orders.alternation.run())
    while orders.rests("a"):
        await asyncio.sleep(0)
    orders.board.jump(
        {lane: Dials(prompt_tokens=99) for lane in LANES}
    )  # requests with prompts of before run on for a minute
    assert orders.rests("a")
    task.cancel()


async def test_only_the_lane_whose_turn_it_is_has_load(
    pair: list[SimulatorProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alternation, "RAMP_S", 0.0)
    watched = Watched(LiveSession(profile(pair, mode="alternate")))
    assert watched.session.orders.alternation is not None
    watched.session.orders.alternation.block_s = 1.0
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
