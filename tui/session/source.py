"""Where a screen's numbers come from. Live and replay both are one of these."""

from collections.abc import Callable
from typing import Literal, Protocol

from tui.profile.model import Profile
from tui.records.dials import DialName, Dials, DialValue
from tui.records.rows import Lane
from tui.session.view import View

Lanes = Literal["a", "b", "both"]


class Board(Protocol):
    """The dials under the operator's hands. What it shows moves at once; what is in force follows within a second."""

    read_only: bool
    linked: bool

    def shown(self, lane: Lane) -> Dials:
        """The dials as turned, in force or not yet."""
        ...

    def in_force(self, lane: Lane) -> Dials:
        """The dials that the drivers were last told."""
        ...

    def step(self, name: DialName, notches: int, lanes: Lanes = "both") -> bool:
        """Turn by notches; False at the stop."""
        ...

    def scale(self, name: DialName, factor: float, lanes: Lanes = "both") -> bool:
        """Halve or double; False at the stop."""
        ...

    def set(self, name: DialName, value: DialValue, lanes: Lanes = "both") -> str:
        """Set a typed value; returns one sentence when it is refused, else an empty string."""
        ...

    def undo(self) -> bool:
        """Take the last turn back."""
        ...

    def toggle_load(self) -> bool:
        """Stop all load at once, or bring it back; returns whether load is on now."""
        ...

    def toggle_link(self) -> bool:
        """Turn both lanes' dials together or apart; returns whether they are linked now."""
        ...


class Source(Protocol):
    """A head-to-head that a screen can show."""

    replay: bool
    profile: Profile

    @property
    def board(self) -> Board:
        """The dials."""
        ...

    async def start(self, on_second: Callable[[], None]) -> None:
        """Begin. `on_second` is called on this event loop when a new second is complete. Returns at once."""
        ...

    def view(self, window_s: int) -> View:
        """The numbers now."""
        ...

    def toggle_plan(self) -> str:
        """Start the profile's plan, pause it or go on; returns one sentence where that cannot be."""
        ...

    def mark(self, text: str) -> None:
        """Put a mark at this moment."""
        ...

    async def stop(self, why: str) -> None:
        """End the load and everything started; what was recorded is complete when this returns."""
        ...
