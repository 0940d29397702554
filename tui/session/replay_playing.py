"""A recording's seconds folded one after the other, by the same code that a live session folds them with."""

from dataclasses import replace
from typing import Final

from tui.profile.model import Profile
from tui.records.rows import Lane
from tui.records.session import LaneInfo
from tui.session.beside import Beside
from tui.session.replay_profile import dials_after, first_dials
from tui.session.replay_tape import Tape
from tui.session.state import SessionState
from tui.session.verdict import Standing
from tui.session.view import View
from tui.session.viewing import make_view

NS: Final = 1_000_000_000


class Playing:
    """A state that stands at a whole second of a tape."""

    def __init__(self, tape: Tape, profile: Profile, state: SessionState | None = None) -> None:
        self.tape = tape
        self.profile = profile
        self.state = state or beginning(tape, profile)
        self.first_dials = first_dials(profile)
        self.size_bytes = tape.size_bytes

    @property
    def second(self) -> int:
        """Where it stands."""
        return (self.state.t_ns - self.tape.t0_ns) // NS

    @property
    def at_end(self) -> bool:
        """Whether there is no further whole second yet."""
        return self.state.t_ns >= self.tape.t_end_ns

    def step(self) -> None:
        """Fold the next second in."""
        start_ns = self.state.t_ns
        self.state.apply(self.tape.between(start_ns, start_ns + NS))

    def view(self, window_s: int) -> View:
        """What a screen shows here."""
        dials = dials_after(self.first_dials, self.state.dial_events)
        beside = Beside(self.profile, self._infos(), dials, self.tape.info.wall_ns)
        return replace(
            make_view(self.state, beside, window_s), recording=self.tape.info.name, recorded_bytes=self.size_bytes
        )

    def _infos(self) -> dict[Lane, LaneInfo]:
        """The servers that were known by then; those of which no event tells are taken to have been known always."""
        told_ns: dict[str, int] = {}
        for event in self.tape.events:
            if event.kind == "start":
                told_ns.setdefault(event.lane, event.t_ns)
        infos = self.tape.info.lanes
        return {
            lane: infos[lane]
            for lane in self.first_dials
            if lane in infos and told_ns.get(lane, 0) <= self.state.t_ns
        }


def beginning(tape: Tape, profile: Profile) -> SessionState:
    """The state when the load began."""
    state = SessionState(tape.t0_ns)
    state.standing = Standing.under(profile)
    state.apply(tape.between(0, tape.t0_ns))
    state.begin(tape.t0_ns)
    return state
