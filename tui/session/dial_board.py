"""The dials under the operator's hands: what is shown turns at once, what is in force follows when the hand rests."""

from __future__ import annotations

import asyncio
import bisect
from collections.abc import Callable, Mapping

import msgspec

from tui.model.dials import (
    DIAL,
    DIALS,
    SYNTHETIC,
    DialName,
    Dials,
    DialValue,
    TrafficKind,
    check,
    dial_text,
)
from tui.model.rows import LANES, EventRow, Lane
from tui.session.clock import Clock
from tui.session.messages import DialsSet, Messages
from tui.session.source import Lanes

REST_S = 0.3  # a held key is one change, not forty
MAX_WAIT_S = 0.8  # and yet a turn is in force within a second
STOPPED = {"concurrency": 0, "arrival": "closed", "request_rate": 0.0}


class DialBoard:
    """Dials of both lanes, linked or not. Posts `DialsSet` once for each rest of the hand."""

    read_only = False

    def __init__(
        self, dials: dict[Lane, Dials], messages: Messages, clock: Clock, traffic: TrafficKind = SYNTHETIC
    ) -> None:
        self.traffic = traffic
        self._shown = dict(dials)
        self._in_force = dict(dials)
        self._messages, self._clock = messages, clock
        self._undo: list[dict[Lane, Dials]] = []
        self._waiting: asyncio.Task[None] | None = None  # until the hand rests
        self._first_turn_s: float | None = None
        self.linked = len(set(dials.values())) == 1
        self.load_on = True
        self.max_streams: int | None = None  # above it the concurrency is not turned
        self.first_rate: float | None = None

    def shown(self, lane: Lane) -> Dials:
        """The dials as turned, in force or not yet."""
        return self._shown.get(lane, self._shown["a"])

    def in_force(self, lane: Lane) -> Dials:
        """The dials that the drivers follow while the load is on."""
        return self._in_force.get(lane, self._in_force["a"])

    def asked(self, lane: Lane) -> Dials:
        """What the lane's driver is asked for: the dials in force, or nothing while the load is stopped."""
        dials = self.in_force(lane)
        return dials if self.load_on else stopped(dials)

    def step(self, name: DialName, notches: int, lanes: Lanes = "both") -> bool:
        """Turn by notches; False when every lane was at the stop already."""
        spec = DIAL[name]

        def turned(value: DialValue) -> DialValue:
            if isinstance(value, str):
                arrivals = self.traffic.arrivals
                return arrivals[(arrivals.index(value) + notches) % len(arrivals)] if value in arrivals else "closed"
            if name == "request_rate" and not value and notches > 0 and self.first_rate:
                return self.first_rate
            scale = [v for v in self.traffic.notches(spec) if v >= self._lowest(name, value)]
            if notches > 0:
                place = bisect.bisect_right(scale, value) + notches - 1
            else:
                place = bisect.bisect_left(scale, value) + notches
            return scale[min(max(place, 0), len(scale) - 1)]

        return self._turn(name, turned, lanes)

    def scale(self, name: DialName, factor: float, lanes: Lanes = "both") -> bool:
        """Halve or double, from 0 to the first notch; False at the stop."""
        spec = DIAL[name]

        def turned(value: DialValue) -> DialValue:
            if isinstance(value, str):
                return value
            if value in spec.special and factor < 1:
                return value
            if not value and factor > 1:
                if name == "request_rate" and self.first_rate:
                    return self.first_rate
                return min(notch for notch in spec.notches if not isinstance(notch, str) and notch > 0)
            low = 1 if name == "concurrency" and value else spec.low
            wanted = min(max(value * factor, low), spec.high)
            return round(wanted) if isinstance(value, int) else wanted

        return self._turn(name, turned, lanes)

    def set(self, name: DialName, value: DialValue, lanes: Lanes = "both") -> str:
        """Set a typed value; returns one sentence when it is refused, else an empty string."""
        spec = DIAL[name]
        if name == "arrival":
            if value not in self.traffic.arrivals:
                return f"arrival is one of {', '.join(self.traffic.arrivals)}"
        elif isinstance(value, str):
            return f"{spec.label} needs a number, not {value!r}"
        elif not self.traffic.takes(spec, value):
            return f"{spec.label} must lie between {spec.low:g} and {spec.high:g}"
        elif isinstance(getattr(self._shown["a"], name), int):
            value = int(value)
        self._turn(name, lambda _: value, lanes)
        return ""

    def undo(self) -> bool:
        """Take the last turn back, the moves of one held key as one."""
        if self._waiting is None and not self._undo:
            return False
        self._shown = self._in_force.copy() if self._waiting is not None else self._undo.pop()
        if "b" in self._shown and self._shown["a"] != self._shown["b"]:
            self.linked = False  # dials that differ are shown unlinked
        self._wait_no_longer()
        self._put_in_force(remember=False)
        return True

    def toggle_load(self) -> bool:
        """Stop all load at once, or bring it back; returns whether load is on now."""
        self.load_on = not self.load_on
        self._post()
        return self.load_on

    def toggle_link(self) -> bool:
        """Link the dials of both lanes, or unlink them; linking takes A's dials for both."""
        self.linked = not self.linked
        if self.linked and "b" in self._shown and self._shown["a"] != self._shown["b"]:
            self._shown["b"] = self._shown["a"]
            self._rest()
        return self.linked

    def jump(self, dials: dict[Lane, Dials]) -> None:
        """Put whole settings in force at once: a plan's step, a setting of the ledger."""
        self._shown = dict(dials)
        self.linked = self.linked and len(set(dials.values())) == 1
        self._wait_no_longer()
        self._put_in_force(remember=True)

    def _turn(self, name: DialName, turned: Callable[[DialValue], DialValue], lanes: Lanes) -> bool:
        moved = False
        for lane in LANES:
            if lane not in self._shown or (not self.linked and lanes not in ("both", lane)):
                continue
            old: DialValue = getattr(self._shown[lane], name)
            new = turned(old)
            if name == "concurrency" and self.max_streams is not None:
                new = min(int(new), self.max_streams)
            if new != old:
                self._shown[lane] = self._with(self._shown[lane], name, new)
                moved = True
        if moved:
            self._rest()
        return moved

    def _rest(self) -> None:
        """Wait until the hand rests, but never so long that a turn takes a second to be in force."""
        now_s = self._clock.now_s()
        first_s = now_s if self._first_turn_s is None else self._first_turn_s
        self._wait_no_longer()
        self._first_turn_s = first_s
        self._waiting = asyncio.create_task(self._wait(min(REST_S, max(0.0, first_s + MAX_WAIT_S - now_s))))

    async def _wait(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._waiting = self._first_turn_s = None
        self._put_in_force(remember=True)

    def _wait_no_longer(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = self._first_turn_s = None

    def _put_in_force(self, *, remember: bool) -> None:
        if self._shown == self._in_force:
            return
        if remember:
            self._undo.append(self._in_force)
        self._in_force = self._shown.copy()
        self._post()

    def _post(self) -> None:
        self._messages.put_nowait(DialsSet({lane: self.asked(lane) for lane in self._in_force}))

    def _lowest(self, name: DialName, value: DialValue) -> float:
        """Where turning ends: a concurrency above 0 ends at 1, because stopping the load is a key of its own."""
        return 1 if name == "concurrency" and value else self.traffic.notches(DIAL[name])[0]

    def _with(self, dials: Dials, name: DialName, value: DialValue) -> Dials:
        """The dials with one turned, and those that depend on it: a rate needs an arrival, an arrival a rate."""
        turned = msgspec.structs.replace(dials, **{name: value})
        if check(turned, self.traffic):  # an arrival without a rate, or a rate turned down to nothing
            if name == "arrival":
                turned = msgspec.structs.replace(turned, request_rate=self.first_rate or 1.0)
            elif name == "request_rate":
                turned = msgspec.structs.replace(turned, arrival="closed")
        elif name == "request_rate" and turned.arrival == "closed" and turned.request_rate > 0:
            turned = msgspec.structs.replace(turned, arrival="poisson")
        return turned


def stopped(dials: Dials) -> Dials:
    """The same dials without load."""
    return msgspec.structs.replace(dials, **STOPPED)


def dial_events(old: Mapping[Lane, Dials], new: Mapping[Lane, Dials], t_ns: int) -> list[EventRow]:
    """An event for each dial that moved; one for both lanes where both moved by the same step."""
    events: list[EventRow] = []
    for spec in DIALS:
        moves = {
            lane: (dial_text(spec, getattr(old[lane], spec.name)), dial_text(spec, getattr(new[lane], spec.name)))
            for lane in new
            if getattr(old[lane], spec.name) != getattr(new[lane], spec.name)
        }
        if len(moves) == len(new) > 1 and len(set(moves.values())) == 1:
            events.append(EventRow("", t_ns, "dial", spec.name, *moves["a"]))
        else:
            events += [EventRow(lane, t_ns, "dial", spec.name, *moved) for lane, moved in moves.items()]
    return events
