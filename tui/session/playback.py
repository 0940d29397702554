"""A recording's seconds folded one after the other, by the same code that a live session folds them with."""

from copy import copy
from typing import Final, Protocol

from msgspec.structs import replace

from tui.profile.model import Profile
from tui.records.frame import Batch
from tui.records.rows import LANES, EventRow, Lane
from tui.records.session import LaneInfo
from tui.records.units import NS_PER_S
from tui.session.beside import Beside
from tui.session.fold.histogram import Bucketed
from tui.session.fold.state import SLOW_OVER_S, SessionState
from tui.session.replay.profile import dials_after, first_dials
from tui.session.replay.restore import add_details, open_streams, restored
from tui.session.replay.tape import Tape
from tui.session.shown.lane import counted_seconds
from tui.session.shown.whole import make_view
from tui.session.verdict.standing import Standing
from tui.session.view import VerdictView, View

READING: Final = "reading the recording up to here"


class Known(Protocol):
    """What is known of every second up to some moment, because someone has folded them all."""

    def standing_at(self, second: int) -> Standing | None:
        """Where the lanes stood at the end of so many seconds; None where that is not known yet."""
        ...

    def gaps_at(self, lane: Lane, second: int) -> Bucketed | None:
        """The inter-token latencies of one second; None where they are not known yet."""
        ...


class Playing:
    """A state that stands at a whole second of a tape: from the beginning, or put there by `standing_at`."""

    def __init__(self, tape: Tape, profile: Profile) -> None:
        self.tape = tape
        self.profile = profile
        self.first_dials = first_dials(profile)
        self.before = tape.between(0, tape.t0_ns)
        self.exact = True  # whether the verdicts are known, too
        self.state = beginning(tape, profile, self.before)
        self._streams_open = True  # whether the state knows the last chunks of the streams that are open
        self._details_from_ns = tape.t0_ns  # of the seconds before it the rows alone are known

    def standing_at(self, second: int, course: Known | None, window_s: int) -> "Playing":
        """The same tape at another second, ready for views over `window_s`."""
        found = copy(self)
        t_ns = self.tape.t0_ns + second * NS_PER_S
        known = course.standing_at(second) if course is not None else None
        found.exact = known is not None or not second
        found.state = restored(self.tape, self.before, known or Standing.under(self.profile), t_ns)
        found._details_from_ns, found._streams_open = t_ns, False
        found.see(window_s, course)
        return found

    def see(self, window_s: int, course: Known | None = None) -> None:
        """Read what a longer window needs."""
        wanted_ns = max(self.tape.t0_ns, self._oldest_shown_ns(window_s))
        if wanted_ns < self._details_from_ns:
            known = course.gaps_at if course is not None else nothing_known
            add_details(self.state, self.tape, (wanted_ns, self._details_from_ns), known)
            self._details_from_ns = wanted_ns

    def _oldest_shown_ns(self, window_s: int) -> int:
        """The beginning of the oldest second of which a view shows the values behind it."""
        now_ns = self.state.t_ns
        oldest_ns = now_ns - max(window_s, SLOW_OVER_S) * NS_PER_S
        if self.profile.mode != "alternate":
            return oldest_ns
        turns = [counted_seconds(lane, now_ns, window_s, in_turns=True) for lane in self.state.lanes.values()]
        return min([oldest_ns, *(rows[0].t_ns for rows in turns if rows)])

    @property
    def second(self) -> int:
        """Where it stands."""
        return (self.state.t_ns - self.tape.t0_ns) // NS_PER_S

    @property
    def at_end(self) -> bool:
        """Whether there is no further whole second yet."""
        return self.state.t_ns >= self.tape.t_end_ns

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
        self.see(window_s)
        dials = dials_after(self.first_dials, self.state.dial_events)
        beside = Beside(self.profile, self._infos(), dials, self.tape.info.wall_ns)
        view = replace(make_view(self.state, beside, window_s), recording=self.tape.info.name)
        return view if self.exact else _without_verdicts(view)

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


def nothing_known(lane: Lane, second: int) -> None:
    """No second's gaps are known without reading its chunks."""


def beginning(tape: Tape, profile: Profile, before: Batch) -> SessionState:
    """The state when the load began."""
    state = SessionState(tape.t0_ns)
    state.standing = Standing.under(profile)
    state.apply(before)
    state.begin(tape.t0_ns)
    return state


def _without_verdicts(view: View) -> View:
    """What stands in for verdicts that are still being worked out: no word is said of what is not known."""
    barred = len(view.lanes) < len(LANES) or view.incomparable
    verdicts = view.verdicts if barred else {"output_tps": VerdictView("undecided", reason=READING)}
    lanes = {lane: replace(shown, limits_met="") for lane, shown in view.lanes.items()}
    return replace(
        view, lanes=lanes, verdicts=verdicts, ledger=(), ledger_now=-1, crossover="", segment_tps={}, settling_s=0.0
    )
