"""The dials of a replay: as they were in force, and not to be turned."""

from collections.abc import Mapping

from tui.records.dials import DialName, Dials, DialValue
from tui.records.rows import Lane
from tui.session.source import Lanes

AS_RECORDED = "the dials are as recorded"


class ReplayBoard:
    """Implements `Board`. `dials` are those at the position."""

    read_only = True

    def __init__(self, dials: Mapping[Lane, Dials]) -> None:
        self.dials: Mapping[Lane, Dials] = {}
        self.linked = True  # both lanes were asked for the same
        self.put(dials)

    def put(self, dials: Mapping[Lane, Dials]) -> None:
        """Show the dials of another moment."""
        self.dials = dials
        self.linked = len(set(dials.values())) <= 1

    def shown(self, lane: Lane) -> Dials:
        """The dials at the position."""
        return self.dials.get(lane, self.dials["a"])

    def in_force(self, lane: Lane) -> Dials:
        """The dials at the position."""
        return self.shown(lane)

    def step(self, name: DialName, notches: int, lanes: Lanes = "both") -> bool:
        """They do not turn."""
        return False

    def scale(self, name: DialName, factor: float, lanes: Lanes = "both") -> bool:
        """They do not turn."""
        return False

    def set(self, name: DialName, value: DialValue, lanes: Lanes = "both") -> str:
        """They do not turn, and why."""
        return AS_RECORDED

    def undo(self) -> bool:
        """There is nothing to undo."""
        return False

    def toggle_load(self) -> bool:
        """Whether there was load."""
        return any(dials.concurrency > 0 or dials.arrival != "closed" for dials in self.dials.values())

    def toggle_link(self) -> bool:
        """They stay as they were."""
        return self.linked
