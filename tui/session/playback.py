"""A recording at one second: its seconds are folded one after the other, by the code that folds a live session."""

from __future__ import annotations

from copy import copy
from typing import Final, Self

from msgspec.structs import replace

from tui.model.profile import Profile
from tui.model.rows import EventRow, Lane
from tui.model.units import NS_PER_S
from tui.recording.tape import Tape
from tui.session.make_view import counted_seconds, make_view, unknown_judgement
from tui.session.recorded_state import Judgements, add_details, open_streams, recorded_context, state_at
from tui.session.state import SLOW_OVER_S, Bucketed
from tui.session.view import View

READING: Final = "reading the recording up to here"


class Playback:
    """Stands at the end of a second. What is said of the lanes there comes from `judgements`, once it is known."""

    def __init__(self, tape: Tape, profile: Profile, judgements: Judgements | None = None) -> None:
        self.tape = tape
        self.profile = profile
        self.judgements = judgements
        self._before = tape.between(0, tape.t0_ns)
        self.state = state_at(tape, self._before, tape.t0_ns)
        self._details_from_ns = tape.t0_ns  # of the seconds before it the rows alone are known
        self._streams_open = True  # whether the state knows the last chunks of the streams that are open

    def moved_to(self, second: int, window_s: int) -> Self:
        """The same recording at another second, ready for views over `window_s`. This one may be shown meanwhile."""
        moved = copy(self)
        t_ns = self.tape.t0_ns + second * NS_PER_S
        moved.state = state_at(self.tape, self._before, t_ns)
        moved._details_from_ns, moved._streams_open = t_ns, False
        moved._read_details(window_s)
        return moved

    @property
    def second(self) -> int:
        """How many seconds have been played."""
        return (self.state.t_ns - self.tape.t0_ns) // NS_PER_S

    @property
    def at_end(self) -> bool:
        """Whether there is no further whole second yet."""
        return self.state.t_ns >= self.tape.t_end_ns

    @property
    def may_step(self) -> bool:
        """Whether the next second is there, and what is said of it known, if it is known of this one."""
        known = -1 if self.judgements is None else self.judgements.reached
        return not self.at_end and self.second != known

    def step(self) -> None:
        """Fold the next second in."""
        if not self._streams_open:
            open_streams(self.state, self.tape)
            self._streams_open = True
        start_ns = self.state.t_ns
        self.state.apply(self.tape.between(start_ns, start_ns + NS_PER_S))

    def finish(self) -> None:
        """The session that was followed has ended: come to its end, and say how it was."""
        while not self.at_end:
            self.step()
        ends = [event for event in self.tape.events if event.kind == "end"]
        ended = self.tape.info.ended or "cut off: it was not closed"
        self.state.take_event(ends[-1] if ends else EventRow("", self.state.t_ns, "end", text=ended))

    def view(self, window_s: int) -> View:
        """What a screen shows here."""
        self._read_details(window_s)
        context = recorded_context(self.tape, self.profile, self.state)
        judged = self.judgements.at(self.second) if self.judgements is not None else None
        judged = judged or unknown_judgement(self.state, context, READING)
        return replace(make_view(self.state, context, window_s, judged), recording=self.tape.info.name)

    def _read_details(self, window_s: int) -> None:
        """Read what a longer window needs."""
        wanted_ns = max(self.tape.t0_ns, self._oldest_shown_ns(window_s))
        if wanted_ns < self._details_from_ns:
            add_details(self.state, self.tape, (wanted_ns, self._details_from_ns), self._known_itl)
            self._details_from_ns = wanted_ns

    def _known_itl(self, lane: Lane, second: int) -> Bucketed | None:
        return None if self.judgements is None else self.judgements.itl_at(lane, second)

    def _oldest_shown_ns(self, window_s: int) -> int:
        """Start of the oldest second whose samples a view needs."""
        state = self.state
        oldest_ns = state.t_ns - max(window_s, SLOW_OVER_S) * NS_PER_S
        if self.profile.mode != "alternate":
            return oldest_ns
        turns = [counted_seconds(lane, state.t_ns, window_s, in_turns=True) for lane in state.lanes.values()]
        return min([oldest_ns, *(rows[0].t_ns for rows in turns if rows)])
