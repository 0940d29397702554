"""The dials: shown at once, in force when the hand rests, linked or not."""

import asyncio
from typing import Literal

import pytest

from tests.session.virtual_clock import VirtualClock
from tui.model.dials import Dials
from tui.model.rows import Lane
from tui.session.dial_board import MAX_WAIT_S, REST_S, DialBoard
from tui.session.messages import DialsSet, Messages


class Hand:
    """A board of real dials, a clock to move, and what was put in force."""

    def __init__(self, dials: dict[Lane, Dials]) -> None:
        self.clock = VirtualClock()
        self.messages: Messages = asyncio.Queue()
        self.board = DialBoard(dials, self.messages, self.clock)
        self._settings: list[dict[Lane, Dials]] = []

    async def rests(self) -> None:
        await self.clock.advance(REST_S)

    @property
    def settings(self) -> list[dict[Lane, Dials]]:
        """All that was put in force, oldest first."""
        while not self.messages.empty():
            message = self.messages.get_nowait()
            assert isinstance(message, DialsSet)
            self._settings.append(message.dials)
        return self._settings


def both(dials: Dials) -> dict[Lane, Dials]:
    return {"a": dials, "b": dials}


async def test_a_held_key_is_one_change() -> None:
    hand = Hand(both(Dials(concurrency=8)))
    board = hand.board
    for _ in range(5):
        assert board.step("concurrency", 1)
    assert board.shown("a").concurrency == 48
    assert board.in_force("a").concurrency == 8
    assert hand.settings == []
    await hand.clock.advance(REST_S - 0.01)
    assert hand.settings == []
    await hand.clock.advance(0.01)
    assert [s["b"].concurrency for s in hand.settings] == [48]
    assert board.in_force("b").concurrency == 48


async def test_a_key_held_for_long_is_in_force_within_a_second() -> None:
    hand = Hand(both(Dials(concurrency=8)))
    for _ in range(5):
        hand.board.step("concurrency", 1)
        await hand.clock.advance(REST_S / 2)
    assert not hand.settings
    await hand.clock.advance(MAX_WAIT_S - 5 * REST_S / 2)
    assert len(hand.settings) == 1


async def test_a_step_from_between_two_notches_goes_to_the_next_one() -> None:
    hand = Hand(both(Dials(concurrency=10)))
    board = hand.board
    board.step("concurrency", 1)
    assert board.shown("a").concurrency == 12
    board.step("concurrency", -1)
    assert board.shown("a").concurrency == 8


async def test_doubling_nothing_begins_at_the_first_notch() -> None:
    hand = Hand(both(Dials(concurrency=8)))
    board = hand.board
    assert not board.scale("shared_prefix", 0.5)
    assert board.scale("shared_prefix", 2)
    assert board.scale("request_rate", 2)
    assert (board.shown("b").shared_prefix, board.shown("b").request_rate) == (0.1, 0.25)
    assert board.scale("shared_prefix", 2)
    assert board.shown("a").shared_prefix == 0.2


async def test_at_the_stop_nothing_turns() -> None:
    hand = Hand(both(Dials(concurrency=4096)))
    board = hand.board
    assert not board.step("concurrency", 1)
    assert not board.scale("concurrency", 2)
    assert board.scale("concurrency", 0.5)
    assert board.shown("a").concurrency == 2048


async def test_apart_one_lane_turns_and_linking_takes_a() -> None:
    hand = Hand(both(Dials()))
    board = hand.board
    assert board.toggle_link() is False
    board.step("prompt_tokens", 1, "b")
    assert board.shown("a").prompt_tokens == 512
    assert board.shown("b").prompt_tokens == 768
    assert board.toggle_link() is True
    assert board.shown("b").prompt_tokens == 512


async def test_typed_values_are_checked() -> None:
    hand = Hand(both(Dials()))
    board = hand.board
    assert "between 0 and 4096" in board.set("concurrency", 5000)
    assert "needs a number" in board.set("concurrency", "many")
    assert "one of closed" in board.set("arrival", "sometimes")
    assert board.set("concurrency", 33) == ""
    assert board.shown("b").concurrency == 33
    assert isinstance(board.shown("b").concurrency, int)


async def test_undo_takes_back_a_change_in_force_and_one_still_turning() -> None:
    hand = Hand(both(Dials(concurrency=8)))
    board = hand.board
    assert not board.undo()
    board.step("concurrency", 1)
    await hand.rests()
    board.step("concurrency", 1)
    assert board.undo()
    assert board.shown("a").concurrency == 12
    assert board.undo()
    assert board.in_force("a").concurrency == 8
    assert hand.settings[-1]["a"].concurrency == 8


async def test_an_undo_after_which_the_lanes_differ_unlinks_them() -> None:
    hand = Hand({"a": Dials(concurrency=8), "b": Dials(concurrency=24)})
    board = hand.board
    board.linked = False
    assert board.toggle_link()
    await hand.rests()
    assert board.in_force("b").concurrency == 8
    assert board.undo()
    assert (board.in_force("b").concurrency, board.linked) == (24, False)


async def test_the_load_stops_at_once_and_comes_back() -> None:
    hand = Hand(both(Dials(concurrency=8, arrival="poisson", request_rate=3)))
    board = hand.board
    assert board.toggle_load() is False
    assert (hand.settings[-1]["a"].concurrency, hand.settings[-1]["a"].arrival) == (0, "closed")
    assert board.toggle_load() is True
    assert hand.settings[-1]["a"].request_rate == 3


async def test_a_rate_and_an_arrival_bring_each_other() -> None:
    hand = Hand(both(Dials()))
    board = hand.board
    board.set("request_rate", 4.0)
    assert board.shown("a").arrival == "poisson"
    board.set("request_rate", 0.0)
    assert board.shown("a").arrival == "closed"
    board.step("arrival", 1)
    assert board.shown("a").request_rate == 1.0


async def test_one_lane_alone() -> None:
    hand = Hand({"a": Dials(concurrency=1)})
    board = hand.board
    board.step("concurrency", 1)
    await hand.rests()
    assert hand.settings == [{"a": Dials(concurrency=2)}]


@pytest.mark.parametrize("turn", ["step", "scale"])
async def test_concurrency_turned_down_ends_at_one(turn: str) -> None:
    """Nothing in flight is what another key is for."""
    board = Hand(both(Dials(concurrency=2))).board

    def down() -> bool:
        return board.step("concurrency", -1) if turn == "step" else board.scale("concurrency", 0.5)

    assert down()
    assert board.shown("a").concurrency == 1
    assert not down()
    assert board.set("concurrency", 0) == ""
    assert board.shown("a").concurrency == 0
    assert board.step("concurrency", 1)


@pytest.mark.parametrize(("dial", "turn"), [("arrival", "step"), ("request_rate", "step"), ("request_rate", "scale")])
async def test_a_rate_begins_at_what_was_measured(dial: Literal["arrival", "request_rate"], turn: str) -> None:
    board = Hand(both(Dials(concurrency=8))).board
    board.first_rate = 6.2
    assert board.step(dial, 1) if turn == "step" else board.scale(dial, 2)
    assert board.shown("b").request_rate == 6.2
    assert board.shown("b").arrival == "poisson"
