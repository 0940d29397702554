"""What was said of the lanes at every second of a recording.

A verdict depends on every look since its segment began, so it can only be folded, from the start. A thread does that
once, while the recording plays, and keeps what was said each second: about 5 kB, so an hour takes some 20 MB.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from tui.model.profile import Profile
from tui.model.rows import LANES, Lane
from tui.model.units import NS_PER_S
from tui.recording.tape import Tape
from tui.session.make_view import judgement
from tui.session.recorded_state import recorded_context
from tui.session.state import Bucketed, SessionState
from tui.session.verdicts import LiveVerdicts
from tui.session.view import Judgement

WAIT_S: Final = 0.5  # for more of a session that is still recorded


class Judgements:
    """Folds in a thread that calls `run`; any thread may read. `tape` is for this alone."""

    def __init__(self, tape: Tape, profile: Profile) -> None:
        self._tape = tape
        self._profile = profile
        self._state = SessionState(tape.t0_ns, live_verdicts=LiveVerdicts.under(profile))
        self._state.apply(tape.between(0, tape.t0_ns))
        self._state.begin(tape.t0_ns)
        self._said: list[Judgement] = []
        self._itl: dict[Lane, list[Bucketed | None]] = {lane: [] for lane in LANES}
        self._segment_tps = SegmentTps(profile.lanes)
        self._more = threading.Event()
        self._may_run = threading.Event()
        self._may_run.set()
        self._stopped = False
        self._keep()

    @property
    def reached(self) -> int:
        """The last second of which it is known what was said."""
        return len(self._said) - 1

    def at(self, second: int) -> Judgement | None:
        """What was said at the end of so many seconds; None where that is not known yet."""
        if second > self.reached:
            return None
        return replace(self._said[second], segment_tps=self._segment_tps.at(second))

    def itl_at(self, lane: Lane, second: int) -> Bucketed | None:
        """The inter-token latencies of one second; None where they are not known yet."""
        return self._itl[lane][second] if 0 <= second < self.reached else None

    def run(self, *, follow: bool) -> None:
        """Fold until the end of the session, or of the replay. Blocks."""
        while not self._stopped:
            self._may_run.wait()
            if self._state.t_ns < self._tape.t_end_ns:
                self._fold()
            elif not follow:
                return
            else:
                live = self._tape.live
                if not self._tape.refresh():
                    if not live:
                        return
                    self._more.wait(WAIT_S)
                self._more.clear()

    def look_for_more(self) -> None:
        """There is a new second of a session that is still recorded."""
        self._more.set()

    def pause(self) -> None:
        """Leave the processor to something that an operator waits for."""
        self._may_run.clear()

    def go_on(self) -> None:
        self._may_run.set()

    def stop(self) -> None:
        """It is needed no longer."""
        self._stopped = True
        self._more.set()
        self._may_run.set()

    def _fold(self) -> None:
        start_ns = self._state.t_ns
        self._state.apply(self._tape.between(start_ns, start_ns + NS_PER_S))
        for lane in LANES:
            details = self._state.lanes[lane].details
            self._itl[lane].append(details[-1].itl if details and details[-1].t_ns == start_ns else None)
        self._keep()

    def _keep(self) -> None:
        judged = judgement(self._state, recorded_context(self._tape, self._profile, self._state))
        self._segment_tps.add(judged.segment_tps)
        self._said.append(replace(judged, segment_tps={}))


class SegmentTps:
    """`View.segment_tps` at every second. A segment grows by its end: each value is kept once."""

    def __init__(self, lanes: Iterable[Lane]) -> None:
        self._values: dict[Lane, array[float]] = {lane: array("d") for lane in lanes}
        self._spans: list[tuple[int, int]] = []

    def add(self, tps: Mapping[Lane, Sequence[float]]) -> None:
        """One more second; the values of all lanes are of one length."""
        start, end = self._spans[-1] if self._spans else (0, 0)
        length = min(map(len, tps.values()))
        if length < end - start:  # a new segment, or its oldest values have gone
            start = end
        for lane, values in tps.items():
            self._values[lane].extend(values[end - start :])
        self._spans.append((start, start + length))

    def at(self, second: int) -> dict[Lane, list[float]]:
        start, end = self._spans[second]
        return {lane: values[start:end].tolist() for lane, values in self._values.items()}
