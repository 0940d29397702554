"""The load of one lane: how many streams, when they start, on which wire, and what happens when they fail."""

import asyncio
import ssl
import time
from collections.abc import Coroutine
from itertools import count
from urllib.parse import urlsplit

from tui.load.body import Composer
from tui.load.pacing import Arrivals, Spread
from tui.load.pipe import LanePlan, Setting
from tui.load.self_check import SelfWatch, most_streams, too_many
from tui.load.socket import Address, Lookup, Poller, StampClock, Wire, WireError, connect, stamping
from tui.load.stream import ChunkSink, Stream, Ticket
from tui.model.rows import Cause, RequestRow

IDLE_WIRE_S = 4.0  # vLLM and SGLang close an idle connection after 5 s
LINGER_S = 1.0  # after the end mark, for the end of the message
FIRST_BACK_OFF_S = 0.1
LONGEST_BACK_OFF_S = 2.0
PROBE_S = 1.0
PACE_LOOK_S = 0.01  # between two looks at how far the stream is that others follow
FEW, FILL_S = 16, 0.005  # so many requests are begun in one go, and no more when that took so long
CANNOT_CONNECT: frozenset[Cause] = frozenset({"dns", "refused", "unreachable", "connect timeout", "tls"})


class LaneLoad:
    """Keeps streams running as the dials say. Everything happens on one event loop."""

    def __init__(self, plan: LanePlan, setting: Setting) -> None:
        self.rows: list[RequestRow] = []
        self.sink = ChunkSink()
        self.down = ""
        self.due_total = 0
        self.started_total = 0
        self.setting = setting
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        self._address = address_of(plan)
        self._composer = Composer(plan)
        self._clock = StampClock()
        self._clock.look()
        self._poller = Poller(self._loop)
        self._stamping = stamping()
        self._numbers = count(plan.first_request)
        self._streams: dict[Stream, None] = {}  # in order of their start; a retry keeps its place
        self._free: list[Wire] = []
        self._sent_at_a_rate = 0
        self._resting = 0  # slots that wait after a failure, or think
        self._failures = 0  # in a row
        self._most_streams = most_streams()
        self._arrivals = Arrivals(plan.seed)
        self._spread: Spread | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.watch = SelfWatch(self._loop)  # last: what came before is not the loop's fault
        self._add_streams(0)
        self._arrange()

    @property
    def in_flight(self) -> int:
        """Requests begun and not ended."""
        return len(self._streams)

    @property
    def has_work(self) -> bool:
        """Whether anything runs or should: else no lateness of ours does harm."""
        return bool(self._streams) or self._timer is not None or self.setting.dials.concurrency > 0

    @property
    def ramping(self) -> bool:
        """Whether a closed loop is still on its way to the streams asked for, upwards spread or downwards."""
        too_many = self.setting.dials.arrival == "closed" and len(self._streams) > self._slots(self.setting)
        return self._spread is not None or too_many

    def set(self, setting: Setting) -> None:
        """New dials. Raised concurrency starts streams at once unless they are to be spread; lowered, running ones
        finish unless cancelled.
        """
        if setting.counted_anew != self.setting.counted_anew:
            self._sent_at_a_rate = 0
        before, self.setting = self._slots(self.setting), setting
        self._add_streams(before)
        if setting.cancel and setting.dials.arrival == "closed":
            for stream in list(self._streams)[setting.dials.concurrency :]:
                stream.cancel()
        self._arrange()

    def housekeeping(self) -> None:
        """Every frame: the clock's offset, streams that nothing is heard of, wires that are idle too long."""
        self._clock.look()
        now_ns = time.monotonic_ns()
        silent_ns, lingering_ns = now_ns - int(self._plan.read_timeout_s * 1e9), now_ns - int(LINGER_S * 1e9)
        for stream in [s for s in self._streams if s.wire is not None]:
            if stream.is_said and stream.heard_ns < lingering_ns:
                stream.leave()
            elif stream.heard_ns < silent_ns:
                stream.fail("read timeout", f"nothing came for {self._plan.read_timeout_s:g} s")
        if self.setting.dials.arrival == "closed" and (why := too_many(self.setting.dials.concurrency)):
            self.watch.limited(why)
        now_s = self._loop.time()
        while self._free and (not self._free[0].is_open or now_s - self._free[0].idle_since_s > IDLE_WIRE_S):
            self._free.pop(0).close()

    def close(self) -> None:
        """Cancel what runs and let every connection go."""
        self.setting = Setting(self.setting.segment, self.setting.dials.__class__(concurrency=0))
        if self._timer is not None:
            self._timer.cancel()
        for stream in list(self._streams):
            stream.cancel()
        for task in self._tasks:
            task.cancel()
        for wire in self._free:
            wire.close()
        self._poller.close()
        self._stamping.close()

    # When streams start.

    def _slots(self, setting: Setting) -> int:
        """Streams that a closed loop asks for; at a rate there is no such number."""
        return min(setting.dials.concurrency, self._most_streams) if setting.dials.arrival == "closed" else 0

    def _add_streams(self, before: int) -> None:
        """More slots than before: those that are added may be spread."""
        wanted = self._slots(self.setting)
        if wanted > before and self.setting.spread:
            self._spread = Spread(min(before, len(self._streams) + self._resting))
            self._loop.call_soon(self._look_at_pace, self._spread)
        elif wanted < before or not self.setting.spread:
            self._spread = None

    def _look_at_pace(self, spread: Spread) -> None:
        if spread is self._spread:
            self._fill()
            self._loop.call_later(PACE_LOOK_S, self._look_at_pace, spread)

    def _arrange(self) -> None:
        """Follow the dials: keep slots full, or let requests come due."""
        all_were_sent = self._timer is None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        dials, arrivals = self.setting.dials, self._arrivals
        arrivals.ask(dials.arrival, dials.request_rate, self._loop.time())
        if arrivals.are_due and not self._all_sent:
            if all_were_sent:  # what came due meanwhile was not asked for
                arrivals.next_due_s = max(arrivals.next_due_s, self._loop.time())
            self._timer = self._loop.call_at(arrivals.next_due_s, self._due)
        else:
            self._fill()

    def _fill(self) -> None:
        """Closed loop: a request for every free slot. Of many, some go first and then what streams is read."""
        dials = self.setting.dials
        if self.down or dials.arrival != "closed":
            return
        begun_s, started, slots = self._loop.time(), 0, self._slots(self.setting)
        if self._spread is not None and self._spread.is_over:
            self._spread = None
        if (spread := self._spread) is not None:
            slots = spread.slots(slots)
        while len(self._streams) + self._resting < slots and not self.down:
            if started >= FEW and self._loop.time() - begun_s > FILL_S:
                self._loop.call_soon(self._fill)
                return
            self.due_total += 1
            stream = self._start(time.monotonic_ns())
            started += 1
            if spread is not None and spread.pace is None:
                spread.pace = stream

    @property
    def _all_sent(self) -> bool:
        most = self.setting.requests
        return most is not None and self._sent_at_a_rate >= most

    def _due(self) -> None:
        """Open loop: everything that is due by now, whatever has become of the requests before."""
        arrivals, now_s = self._arrivals, self._loop.time()
        while arrivals.next_due_s <= now_s and not self._all_sent:
            self.due_total += 1
            self.watch.sent_late(now_s - arrivals.next_due_s)
            if len(self._streams) >= self._most_streams:
                self.watch.limited(
                    f"{len(self._streams)} requests are in flight, and no more can be: some are not sent"
                )
            elif not self.down:
                self._start(round(arrivals.next_due_s * 1e9))  # the loop's clock is the monotonic one
                self._sent_at_a_rate += 1
            arrivals.step()
        if not self._all_sent:
            self._timer = self._loop.call_at(arrivals.next_due_s, self._due)

    def _start(self, t_sched_ns: int) -> Stream:
        dials = self.setting.dials
        wanted = self._composer.wanted(next(self._numbers), dials)
        ticket = Ticket(
            self._plan.lane, wanted, self.setting.segment, t_sched_ns, self._plan.endpoint, self._composer.steps
        )
        stream = Stream(ticket, self._composer.request(wanted, dials), self.sink, self._ended)
        self._streams[stream] = None
        self.started_total += 1
        self._send(stream)
        return stream

    # On which wire.

    def _send(self, stream: Stream) -> None:
        """On the wire that was used last, or on a new one."""
        while self._free:
            wire = self._free.pop()
            if wire.is_open:
                stream.begin(wire, None)
                return
        self._spawn(self._connect_and_send(stream))

    async def _connect_and_send(self, stream: Stream) -> None:
        begun_ns = time.monotonic_ns()
        try:
            wire = await connect(self._address, self._clock, self._poller)
        except WireError as error:
            if error.cause in CANNOT_CONNECT:
                self._go_down(error)
            stream.fail(error.cause, error.detail)
            return
        if stream in self._streams:
            stream.begin(wire, (time.monotonic_ns() - begun_ns) / 1e6)
        else:
            wire.close()  # cancelled meanwhile

    def _ended(self, stream: Stream, row: RequestRow, wire: Wire | None) -> None:
        """A stream is over: its wire is free, its slot too unless the failure asks for a pause."""
        if row.cause == "reset" and stream.may_be_retried:
            self._retry(stream)
            return
        del self._streams[stream]
        self.rows.append(row)
        if wire is not None:
            wire.idle_since_s = self._loop.time()
            self._free.append(wire)
        if row.outcome == "ok":
            self._failures = 0
            self._composer.learn(stream.ticket.wanted, row)
            if self.setting.dials.arrival == "closed":
                self._rest(self._plan.think_s)
        elif row.outcome == "failed" and not self.down:
            self._back_off()
        self._fill()

    def _retry(self, stream: Stream) -> None:
        """The server had closed a kept-alive connection before the request reached it: once more on a fresh one."""
        del self._streams[stream]
        again = Stream(stream.ticket, stream.request_bytes, self.sink, self._ended, retry_of=stream)
        self._streams[again] = None
        self._spawn(self._connect_and_send(again))

    # When the server fails.

    def _back_off(self) -> None:
        """A slot rests after a failure, longer from one to the next, so that a failing server is not hammered."""
        self._failures += 1
        wait_s = min(FIRST_BACK_OFF_S * 2 ** min(self._failures - 1, 10), LONGEST_BACK_OFF_S)
        self._rest(max(wait_s, self._plan.think_s))

    def _rest(self, wait_s: float) -> None:
        """A slot stays empty so long."""
        if wait_s > 0:
            self._resting += 1
            self._loop.call_later(wait_s, self._rested)

    def _rested(self) -> None:
        self._resting -= 1
        self._fill()

    def _go_down(self, error: WireError) -> None:
        if not self.down:
            self.down = f"{error.cause}: {error.detail}"
            self._spawn(self._probe())

    async def _probe(self) -> None:
        """One connection a second instead of requests, until one succeeds."""
        while True:
            await asyncio.sleep(PROBE_S)
            try:
                wire = await connect(self._address, self._clock, self._poller)
            except WireError as error:
                self.down = f"{error.cause}: {error.detail}"
                continue
            wire.idle_since_s = self._loop.time()
            self._free.append(wire)
            self.down = ""
            self._failures = 0
            self._fill()
            return

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def address_of(plan: LanePlan) -> Address:
    """Where a lane's server is, and by which rules its certificate is checked."""
    where = urlsplit(plan.url)
    context: ssl.SSLContext | None = None
    if where.scheme == "https":
        context = ssl.create_default_context()
        if not plan.verify_tls:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    port = where.port or (443 if context else 80)
    host = where.hostname or ""
    return Address(host, port, Lookup(host, port), context, plan.connect_timeout_s)
