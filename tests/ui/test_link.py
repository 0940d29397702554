"""On a slow link every second second is drawn, in slices, the screen says so, and a key is answered at once."""

import re

from tests.ui.fake_source import FakeSource
from tests.ui.pilots import SIZE, live, screen_text, settled
from tests.ui.slow_terminal import SlowTerminal
from tui.ui.app import DragstripApp
from tui.ui.link import ASK_EVERY_S, SILENT_S, SLICE_S, Link
from tui.ui.widgets.header import SLOW_LINK

BYTES_PER_S, DELAY_S = 9_600, 0.3
ANSWER_S = 0.5  # from the key until its answer is there
FRAME = 5_000  # bytes that a second is drawn with


class Wire:
    """A link in made-up time: it carries so many bytes a second, and the answer to a question takes `delay_s`."""

    def __init__(self, bytes_per_s: float, delay_s: float, *, answers: bool = True) -> None:
        self.now_s = 100.0
        self.link = Link(lambda: self.now_s)
        self.bytes_per_s, self.delay_s, self.answers = bytes_per_s, delay_s, answers
        self.questions = 0
        self._arrives_s = 0.0
        self._coming: list[float] = []

    def draw(self, size: int) -> None:
        self.link.sent(size)
        self._arrives_s = max(self._arrives_s, self.now_s) + size / self.bytes_per_s
        if self.link.should_ask():
            self._ask()

    def _ask(self) -> None:
        self.link.asked()
        self.questions += 1
        if self.answers:
            self._coming.append(max(self._arrives_s, self.now_s) + self.delay_s)

    def second(self, size: int = FRAME) -> None:
        """One second with one drawing."""
        self.link.next_second()
        self.draw(size)
        end_s = self.now_s + 1
        while self._coming and self._coming[0] <= end_s:
            self.now_s = max(self.now_s, self._coming.pop(0))
            if self.link.answered():
                self._ask()
        self.now_s = end_s


def test_a_link_that_takes_half_a_second_for_a_second_is_slow_and_its_rate_is_known() -> None:
    wire = Wire(BYTES_PER_S, DELAY_S)
    for _ in range(8):
        wire.second()
    assert wire.link.slow
    assert 0.9 < wire.link.bytes_per_s / BYTES_PER_S < 1.1
    assert wire.link.room() <= 1.1 * BYTES_PER_S * SLICE_S
    wire.draw(3_000)
    assert wire.link.room() < 0
    wire.now_s += wire.link.wait_s()
    assert wire.link.room() > 0


def test_a_link_is_slow_no_longer_when_less_is_drawn() -> None:
    wire = Wire(BYTES_PER_S, DELAY_S)
    for _ in range(8):
        wire.second()
    for _ in range(20):
        wire.second(800)
    assert not wire.link.slow


def test_a_long_way_alone_is_not_slow_and_few_questions_are_asked_on_a_quick_link() -> None:
    wire = Wire(10_000_000, 0.6)
    for _ in range(60):
        wire.second()
    assert not wire.link.slow
    assert wire.link.room() == float("inf")
    assert wire.questions <= 60 / ASK_EVERY_S + 6


def test_a_terminal_that_never_answers_is_asked_no_more_and_slow_only_while_it_takes_nothing() -> None:
    wire = Wire(BYTES_PER_S, DELAY_S, answers=False)
    for _ in range(30):
        wire.second()
    assert wire.questions <= SILENT_S + 2
    assert not wire.link.slow
    wire.link.is_blocked = lambda: True
    wire.second()
    seen = [(wire.link.is_behind, wire.link.slow)]
    wire.link.is_blocked = lambda: False
    for _ in range(11):
        wire.second()
    seen.append((wire.link.is_behind, wire.link.slow))
    assert seen == [(True, True), (False, False)]


async def test_every_second_second_is_drawn_in_slices_and_the_screen_says_so() -> None:
    source = FakeSource(second=150)
    app = DragstripApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        screen = live(app)
        screen.link.next_second = lambda: setattr(screen.link, "slow", True)  # type: ignore[method-assign]
        shown = []
        for _ in range(6):
            source.advance()
            await settled(pilot)
            shown.append(re.findall(r"LIVE 00:(\d\d:\d\d)", screen_text(app))[0])
        assert shown == ["02:30", "02:32", "02:32", "02:34", "02:34", "02:36"]
        assert SLOW_LINK.strip() in screen_text(app)

        sizes: list[int] = []
        screen._compositor._room = lambda: 200.0
        screen._compositor._paint_later = lambda: None
        source.advance(2)
        source.advance(2)
        await settled(pilot)
        while screen._compositor.is_waiting:
            sizes.append(len(screen._compositor._waiting))
            screen._compositor.release()
            await settled(pilot)
        assert len(sizes) > 4
        assert sizes == sorted(set(sizes), reverse=True)  # fewer rows wait each time


def test_a_key_is_answered_at_once_over_9600_bytes_a_second() -> None:
    """In bytes, not in seconds: what the link carried from the key to its answer, however busy this machine is.

    A key takes half of the delay to the program, and its answer the other half back.
    """
    terminal = SlowTerminal("--later", bytes_per_s=BYTES_PER_S, delay_s=DELAY_S)
    try:
        terminal.run_until(SLOW_LINK.strip().encode(), 90_000)
        for old, new, wait_s in ((32, 48, 0.0), (48, 64, 0.35), (64, 96, 0.7)):
            terminal.run_for(wait_s)
            terminal.press("]")
            terminal.run_until(f"{old}→{new}".encode(), round((ANSWER_S - DELAY_S / 2) * BYTES_PER_S))
    finally:
        terminal.close()
