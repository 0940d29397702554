"""The dials: shown at once, in force when the hand rests, linked or apart."""

import asyncio

import pytest

from tui.model.dials import Dials
from tui.model.rows import Lane
from tui.session import dial_board as board_module
from tui.session.dial_board import DialBoard


class Told:
    """What the drivers were told, and an event for the next time."""

    def __init__(self) -> None:
        self.settings: list[dict[Lane, Dials]] = []
        self.again = asyncio.Event()

    def __call__(self, dials: dict[Lane, Dials]) -> None:
        self.settings.append(dials)
        self.again.set()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setattr(board_module, "REST_S", 0.01)
    return Told()


def both(dials: Dials) -> dict[Lane, Dials]:
    return {"a": dials, "b": dials}


async def test_a_held_key_is_one_change(told: Told) -> None:
    board = DialBoard(both(Dials(concurrency=8)), told)
    for _ in range(5):
        assert board.step("concurrency", 1)
    assert board.shown("a").concurrency == 48
    assert board.in_force("a").concurrency == 8
    assert told.settings == []
    await told.again.wait()
    assert [s["b"].concurrency for s in told.settings] == [48]
    assert board.in_force("b").concurrency == 48


async def test_a_step_from_between_two_notches_goes_to_the_next_one(told: Told) -> None:
    board = DialBoard(both(Dials(concurrency=10)), told)
    board.step("concurrency", 1)
    assert board.shown("a").concurrency == 12
    board.step("concurrency", -1)
    assert board.shown("a").concurrency == 8


async def test_doubling_nothing_begins_at_the_first_notch(told: Told) -> None:
    board = DialBoard(both(Dials(concurrency=8)), told)
    assert not board.scale("shared_prefix", 0.5)
    assert board.scale("shared_prefix", 2)
    assert board.scale("request_rate", 2)
    assert (board.shown("b").shared_prefix, board.shown("b").request_rate) == (0.1, 0.25)
    assert board.scale("shared_prefix", 2)
    assert board.shown("a").shared_prefix == 0.2


async def test_at_the_stop_nothing_turns(told: Told) -> None:
    board = DialBoard(both(Dials(concurrency=4096)), told)
    assert not board.step("concurrency", 1)
    assert not board.scale("concurrency", 2)
    assert board.scale("concurrency", 0.5)
    assert board.shown("a").concurrency == 2048


async def test_apart_one_lane_turns_and_linking_takes_a(told: Told) -> None:
    board = DialBoard(both(Dials()), told)
    assert board.toggle_link() is False
    board.step("prompt_tokens", 1, "b")
    assert board.shown("a").prompt_tokens == 512
    assert board.shown("b").prompt_tokens == 768
    assert board.toggle_link() is True
    assert board.shown("b").prompt_tokens == 512


async def test_typed_values_are_checked(told: Told) -> None:
    board = DialBoard(both(Dials()), told)
    assert "between 0 and 4096" in board.set("concurrency", 5000)
    assert "needs a number" in board.set("concurrency", "many")
    assert "one of closed" in board.set("arrival", "sometimes")
    assert board.set("concurrency", 33) == ""
    assert board.shown("b").concurrency == 33
    assert isinstance(board.shown("b").concurrency, int)


async def test_undo_takes_back_a_change_in_force_and_one_still_turning(told: Told) -> None:
    board = DialBoard(both(Dials(concurrency=8)), told)
    assert not board.undo()
    board.step("concurrency", 1)
    await told.again.wait()
    board.step("concurrency", 1)
    assert board.undo()
    assert board.shown("a").concurrency == 12
    assert board.undo()
    assert board.in_force("a").concurrency == 8
    assert told.settings[-1]["a"].concurrency == 8


async def test_an_undo_that_sets_the_lanes_apart_unlinks_them(told: Told) -> None:
    board = DialBoard({"a": Dials(concurrency=8), "b": Dials(concurrency=24)}, told)
    board.linked = False
    assert board.toggle_link()
    await told.again.wait()
    assert board.in_force("b").concurrency == 8
    assert board.undo()
    assert (board.in_force("b").concurrency, board.linked) == (24, False)


async def test_the_load_stops_at_once_and_comes_back(told: Told) -> None:
    board = DialBoard(both(Dials(concurrency=8, arrival="poisson", request_rate=3)), told)
    assert board.toggle_load() is False
    assert (told.settings[-1]["a"].concurrency, told.settings[-1]["a"].arrival) == (0, "closed")
    assert board.toggle_load() is True
    assert told.settings[-1]["a"].request_rate == 3


async def test_a_rate_and_an_arrival_bring_each_other(told: Told) -> None:
    board = DialBoard(both(Dials()), told)
    board.set("request_rate", 4.0)
    assert board.shown("a").arrival == "poisson"
    board.set("request_rate", 0.0)
    assert board.shown("a").arrival == "closed"
    board.step("arrival", 1)
    assert board.shown("a").request_rate == 1.0


async def test_one_lane_alone(told: Told) -> None:
    board = DialBoard({"a": Dials(concurrency=1)}, told)
    board.step("concurrency", 1)
    await told.again.wait()
    assert told.settings == [{"a": Dials(concurrency=2)}]
