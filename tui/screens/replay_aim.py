"""Where keys and mouse have gone, ahead of the picture.

A key that is pressed once moves the picture at once. While it is held, or the mouse drags, only the timeline moves,
and the picture follows when they have rested: a picture for every repeat would queue up behind the hand.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from textual.screen import Screen
from textual.timer import Timer

REST_S: Final = 0.15
REPEATS_A_STRIDE: Final = 10  # at 30 repeats a second, a third of a second
LONGEST_STRIDE: Final = 8


class Aim:
    """Sends the picture of `screen` to where it is aimed at, by `seek`."""

    def __init__(self, screen: Screen[None], seek: Callable[[float], Awaitable[None]]) -> None:
        self._screen, self._seek = screen, seek
        self._rest: Timer | None = None
        self._repeats = 0
        self._sought_s: float | None = None  # where the picture was sent last
        self.at_s: float | None = None  # None: the picture is where it should be

    @property
    def stride(self) -> int:
        """How many steps the next repeat is worth."""
        return min(1 + self._repeats // REPEATS_A_STRIDE, LONGEST_STRIDE)

    def go(self, t_s: float) -> None:
        """Aim there. The first time the picture goes, too; soon after that it waits until this rests."""
        self.at_s = t_s
        if self._rest is None:
            self._send()
            self._rest = self._screen.set_timer(REST_S, self.land)
        else:
            self._repeats += 1
            self._rest.reset()

    def land(self) -> None:
        """Bring the picture to where it is aimed at."""
        if self._rest is not None:
            self._rest.stop()
        self._rest, self._repeats = None, 0
        if self.at_s is not None and self.at_s != self._sought_s:
            self._send()

    def _send(self) -> None:
        assert self.at_s is not None
        self._sought_s = self.at_s
        self._screen.run_worker(self._go(self.at_s), group="seek")

    async def _go(self, t_s: float) -> None:
        await self._seek(t_s)
        if self.at_s == t_s:
            self.at_s = self._sought_s = None
