"""What a screen needs of a session, live or replayed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from tui.model.dials import DialName, Dials, DialValue, TrafficKind
from tui.model.profile import Limits, Profile
from tui.model.rows import Lane
from tui.session.view import View
from tui.stats.verdict import Verdict

if TYPE_CHECKING:
    from tui.session.view import Percentiles
SPEEDS: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, float("inf"))  # inf: as fast as it goes

MomentKind = Literal["dial", "fault", "mark", "note", "down", "up", "end"]


@dataclass(frozen=True, slots=True)
class Moment:
    """Something on the timeline that one can jump to."""

    t_s: float  # since the load began
    kind: MomentKind
    text: str
    lane: Lane | Literal[""] = ""
    is_annotation: bool = False  # made in a replay: it is kept next to the recording, not in it


@dataclass(frozen=True, slots=True)
class WindowView:
    """What a window marked on the timeline holds: its own percentiles and verdicts.

    `latencies` is by lane, then by figure (ttft tpot itl e2e); `verdicts` by figure, as in `View`. The intervals are
    for a look at a fixed window, not for a watched one.
    """

    start_s: float
    end_s: float
    output_tps: dict[Lane, float] = field(default_factory=dict)
    requests: dict[Lane, int] = field(default_factory=dict)
    failed: dict[Lane, int] = field(default_factory=dict)
    latencies: dict[Lane, dict[str, Percentiles]] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    note: str = ""  # why there is no verdict, e.g. that dials moved inside the window


Lanes = Literal["a", "b", "both"]


class Board(Protocol):
    """The dials under the operator's hands. What it shows moves at once; what is in force follows within a second."""

    read_only: bool
    linked: bool
    traffic: TrafficKind  # which dials do anything
    first_rate: float | None  # [requests/s] where a rate that is 0 begins; None: not measured yet

    def shown(self, lane: Lane) -> Dials:
        """The dials as turned, in force or not yet."""
        ...

    def in_force(self, lane: Lane) -> Dials:
        """The dials that the drivers follow."""
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

    def jump(self, dials: dict[Lane, Dials]) -> None:
        """Put whole settings in force at once."""
        ...

    def undo(self) -> bool:
        """Take the last turn back."""
        ...

    def toggle_load(self) -> bool:
        """Stop all load at once, or bring it back; returns whether load is on now."""
        ...

    def toggle_link(self) -> bool:
        """Link the dials of both lanes, or unlink them; returns whether they are linked now."""
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

    async def ended(self) -> None:
        """Wait until it ends by itself; raises the error that ended it."""
        ...

    def view(self, window_s: int) -> View:
        """The numbers now."""
        ...

    def toggle_plan(self) -> str:
        """Start the profile's plan, pause it or go on; returns one sentence where that cannot be."""
        ...

    def set_limits(self, limits: Limits) -> str:
        """Count goodput by these limits from now on; returns one sentence where that cannot be."""
        ...

    def mark(self, text: str) -> None:
        """Put a mark at this moment."""
        ...

    async def stop(self, why: str) -> None:
        """End the load and everything started; what was recorded is complete when this returns."""
        ...
