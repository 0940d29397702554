"""The course of a whole session: a thread folds every second of it once, so that any of them can be jumped to."""

import threading
from array import array
from typing import Final

import numpy as np

from tui.profile.model import Profile
from tui.records.rows import LANES, Lane
from tui.records.units import NS_PER_S
from tui.session.fold.histogram import Bucketed
from tui.session.replay.kept import KeptStandings
from tui.session.replay.playing import Playing
from tui.session.replay.spill import Spill
from tui.session.replay.tape import Tape
from tui.session.verdict.standing import Standing

WAIT_S: Final = 0.5  # for more of a session that is still recorded


class Course:
    """Where the lanes stood at each second. `tape` is for this alone: it is read in another thread."""

    def __init__(self, tape: Tape, profile: Profile) -> None:
        self.reached = -1  # the last second that is known
        self._spill = Spill()
        self._kept = KeptStandings(self._spill)
        self._itl: dict[Lane, array[int]] = {lane: array("q") for lane in LANES}  # places, two numbers a second
        self._playing = Playing(tape, profile)
        self._may_run = threading.Event()
        self._may_run.set()
        self._over = threading.Event()
        self._turns = 0

    def run(self, *, follow: bool) -> None:
        """Fold until the end of the session, or of the replay. Blocks. OSError: no room for temporary files."""
        self._keep()
        while not self._over.is_set():
            self._may_run.wait()
            if not self._playing.at_end:
                self._playing.step()
                self._keep()
            elif not follow or not (self._playing.tape.live or self._playing.tape.refresh()):
                return
            elif not self._playing.tape.refresh():
                self._over.wait(WAIT_S)

    def stop(self) -> None:
        """It is needed no longer."""
        self._over.set()
        self._may_run.set()

    def pause(self) -> None:
        """Leave the processor to something that an operator waits for."""
        self._may_run.clear()

    def go_on(self) -> None:
        """Go on."""
        self._may_run.set()

    def standing_at(self, second: int) -> Standing | None:
        """Where the lanes stood at the end of so many seconds; None where that is not known yet."""
        return self._kept.take(second) if second <= self.reached else None

    def gaps_at(self, lane: Lane, second: int) -> Bucketed | None:
        """The inter-token latencies of one second; None where they are not known yet."""
        places = self._itl[lane]
        if not 0 <= second < self.reached:
            return None
        data = self._spill.get((places[2 * second], places[2 * second + 1]))
        pairs = np.frombuffer(data, dtype=np.int64).reshape(2, -1)
        return Bucketed(pairs[0].astype(np.int16), pairs[1])

    def _keep(self) -> None:
        state = self._playing.state
        for lane in LANES if self._playing.second else ():
            details = state.lanes[lane].details
            fresh = details and details[-1].t_ns == state.t_ns - NS_PER_S
            data = (
                np.stack((details[-1].itl.place.astype(np.int64), details[-1].itl.count)).tobytes() if fresh else b""
            )
            self._itl[lane].extend(self._spill.put(data))
        ledger, turns = state.standing.ledger, len(state.dial_events)
        if turns > self._turns:  # the rows of visits that are over are made once, and kept with each moment
            ledger.rows(state.standing.segment, state.standing.delta, "")
            self._turns = turns
        self._kept.put(state.standing)
        self.reached = self._playing.second
