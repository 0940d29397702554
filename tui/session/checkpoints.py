"""The course of a whole session: a thread folds every second of it once, so that any of them can be jumped to.

A file without a name: what is kept for later and need not be in memory. It is gone with the program.

Where the lanes stood at many moments, kept so that what the moments share is kept once.

A verdict depends on every look since its segment began, so it can only be folded, from the start. Columns of values
that grow, and visits and rows that stay as they are, make up nearly all of it: each value is kept once, and told by
its place. A copy of every second of an hour at 50 requests/s would take gigabytes.
"""

from __future__ import annotations

import io
import os
import pickle
import tempfile
import threading
import weakref
from array import array
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tui.judge.ledger import LedgerRow
from tui.judge.segments import Segment
from tui.model.profile import Profile
from tui.model.rows import LANES, Lane
from tui.model.units import NS_PER_S
from tui.recording.tape import Tape
from tui.session.make_view import session_circumstances
from tui.session.playback import Playing
from tui.session.state import Bucketed
from tui.session.verdicts import LiveVerdicts
from tui.stats.verdict import Verdict

Place = tuple[int, int]  # where in the file, how many bytes


class Spill:
    """Put in from one thread; any thread may read. OSError: no room for temporary files."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it lives as long as this does
        self._end = 0

    def put(self, data: bytes) -> Place:
        """Keep it; returns where it is."""
        place = (self._end, len(data))
        while data:
            data = data[self._file.write(data) :]
        self._end = place[0] + place[1]
        return place

    def get(self, place: Place) -> bytes:
        """What was put there."""
        return os.pread(self._file.fileno(), place[1], place[0])

    def close(self) -> None:
        """Give the room back."""
        self._file.close()


FIXED: Final = (LedgerRow, Verdict)  # never changed once made


@dataclass(slots=True)
class _Column:
    """What of one growing column has been kept: pieces that follow each other in it."""

    of: weakref.ref[array[float]]
    typecode: str
    first: bytes
    length: int = 0
    pieces: list[Place] = field(default_factory=list)


class KeptStandings:
    """A list of moments. Put them in from one thread; any thread may take them out."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill
        self._columns: list[_Column] = []
        self._column_of: dict[int, int] = {}  # by the identity of the array
        self._fixed: list[object] = []
        self._fixed_of: dict[int, int] = {}
        self._segments: list[Place] = []
        self._segment_of: dict[int, tuple[Segment, tuple[object, ...], int]] = {}  # as it was kept last, and where
        self._moments: list[Place] = []

    def __len__(self) -> int:
        return len(self._moments)

    def put(self, standing: LiveVerdicts) -> None:
        """Keep one more. OSError: no room for it."""
        self._moments.append(self._spill.put(self._pickled(standing)))

    def take(self, number: int) -> LiveVerdicts:
        """The one that was put in as that number, as a copy of its own."""
        found = self._unpickled(self._spill.get(self._moments[number]))
        assert isinstance(found, LiveVerdicts)
        return found

    def told(self, value: object, inside: object) -> tuple[Any, ...] | None:
        """How something within `inside` is told that is kept once; None of what is told in full."""
        if isinstance(value, array):
            return "column", *self._keep_column(value)
        if isinstance(value, FIXED):
            if id(value) not in self._fixed_of:
                self._fixed_of[id(value)] = len(self._fixed)
                self._fixed.append(value)
            return "fixed", self._fixed_of[id(value)]
        if isinstance(value, Segment) and value is not inside:
            return "segment", self._keep_segment(value)
        return None

    def found(self, told: tuple[Any, ...]) -> object:
        """What was told."""
        kind, *where = told
        if kind == "fixed":
            return self._fixed[where[0]]
        if kind == "segment":
            return self._unpickled(self._spill.get(self._segments[where[0]]))
        number, pieces = where
        column = self._columns[number]
        return array(column.typecode, b"".join(map(self._spill.get, column.pieces[:pieces])))

    def _pickled(self, value: object) -> bytes:
        buffer = io.BytesIO()
        _Saver(buffer, self, value).dump(value)
        return buffer.getvalue()

    def _unpickled(self, data: bytes) -> object:
        return _Loader(io.BytesIO(data), self).load()

    def _keep_segment(self, segment: Segment) -> int:
        counts = [(len(lane.tps), len(lane.sent_ns), lane.forgotten) for lane in segment.lanes.values()]
        content = (segment.end_ns, segment.settled_ns, len(segment.finished), *counts)
        known = self._segment_of.get(id(segment))
        if known is None or known[1] != content:
            self._segments.append(self._spill.put(self._pickled(segment)))
            known = self._segment_of[id(segment)] = (segment, content, len(self._segments) - 1)
        return known[2]

    def _keep_column(self, values: array[float]) -> tuple[int, int]:
        """Which column it is, and how many pieces of it there are by now."""
        first = values[:1].tobytes()
        number = self._column_of.get(id(values), -1)
        column = self._columns[number] if number >= 0 else None
        if column is None or column.of() is not values or len(values) < column.length or column.first != first:
            column = _Column(weakref.ref(values), values.typecode, first)  # a new one, or its oldest values have gone
            number = self._column_of[id(values)] = len(self._columns)
            self._columns.append(column)
        if len(values) > column.length:
            column.pieces.append(self._spill.put(values[column.length :].tobytes()))
            column.length = len(values)
        return number, len(column.pieces)


class _Saver(pickle.Pickler):
    def __init__(self, file: io.BytesIO, kept: KeptStandings, whole: object) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._kept, self._whole = kept, whole

    def persistent_id(self, obj: object) -> tuple[Any, ...] | None:
        return self._kept.told(obj, self._whole)


class _Loader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, kept: KeptStandings) -> None:
        super().__init__(file)
        self._kept = kept

    def persistent_load(self, pid: Any) -> object:
        return self._kept.found(pid)


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

    def standing_at(self, second: int) -> LiveVerdicts | None:
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
            session = session_circumstances(state, self._playing.context())
            ledger.rows(state.standing.segment, state.standing.delta, session)
            self._turns = turns
        self._kept.put(state.standing)
        self.reached = self._playing.second
