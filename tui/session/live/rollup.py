"""Frames and rows in, whole seconds and views out. Needs numpy: imported after the first paint."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from tui.records.frame import Batch, Frame
from tui.records.rows import EventRow, GaugeRow, Lane
from tui.session.beside import Beside, LaneNow
from tui.session.fold.cutting import LaneCutter
from tui.session.fold.state import SessionState
from tui.session.shown.whole import make_view
from tui.session.view import View


@dataclass(slots=True)
class Rollup:
    """Holds rows until the second that they belong to is complete; then they count."""

    state: SessionState
    cutters: Mapping[Lane, LaneCutter]
    _gauges: list[GaugeRow] = field(default_factory=list)
    _events: list[EventRow] = field(default_factory=list)

    @classmethod
    def of(cls, lanes: list[Lane], t0_ns: int) -> Self:
        """An empty one."""
        return cls(SessionState(t0_ns), {lane: LaneCutter(lane) for lane in lanes})

    def known(self, t_ns: int) -> Batch:
        """What is known before the load starts, for who listens from then on."""
        return Batch(t_ns, gauges=list(self._gauges), events=list(self.state.events))

    def begin(self, t0_ns: int) -> None:
        """The load starts: second 0 is from here."""
        self.state.begin(t0_ns)

    @property
    def elapsed_s(self) -> float:
        """How long the complete seconds are."""
        return (self.state.t_ns - self.state.t0_ns) / 1e9

    def view(self, beside: Beside, window_s: int) -> View:
        """What a screen shows now."""
        return make_view(self.state, beside, window_s)

    def in_flight(self, lane: Lane) -> int:
        """Streams of the lane, as its driver last said."""
        return self.cutters[lane].streams

    def ramping(self, lane: Lane) -> bool:
        """Whether the lane's streams are on their way to the number asked for, as its driver last said."""
        return self.cutters[lane].ramping

    def driver_gone(self, lane: Lane) -> None:
        """A driver ended, and its streams with it."""
        self.cutters[lane].reset_flight()

    def add_frame(self, lane: Lane, frame: Frame) -> None:
        """A driver's frame."""
        self.cutters[lane].add(frame)

    def add_gauges(self, rows: list[GaugeRow]) -> None:
        """Readings of a server or of GPUs."""
        self._gauges += rows

    def add_event(self, row: EventRow, *, at_once: bool) -> None:
        """Something happened: it counts at once, or with its second."""
        if at_once:
            self.state.take_event(row)
        else:
            self._events.append(row)

    def complete(self, lane: Lane, t_ns: int) -> bool:
        """Whether the lane's driver has told everything before `t_ns`."""
        return self.cutters[lane].seen_t_ns >= t_ns

    def cut(self, start_ns: int, end_ns: int, segment: int, lanes: Mapping[Lane, LaneNow]) -> Batch:
        """The second from `start_ns` to `end_ns`, folded into the state."""
        batch = Batch(end_ns)
        for lane, now in lanes.items():
            second = self.cutters[lane].cut(start_ns, end_ns, segment, now)
            batch.seconds.append(second.row)
            batch.requests += second.requests
            batch.chunks.append((lane, second.chunks))
        batch.gauges = [row for row in self._gauges if row.t_ns < end_ns]
        batch.events = [row for row in self._events if row.t_ns < end_ns]
        self._gauges = [row for row in self._gauges if row.t_ns >= end_ns]
        self._events = [row for row in self._events if row.t_ns >= end_ns]
        self.state.apply(batch)
        return batch
