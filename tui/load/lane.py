"""The load of one lane: how many streams, when they start, on which connection, and what happens when they fail."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Coroutine

from tui.load.driver import LanePlan, Setting
from tui.load.pacing import Arrivals, Ramp
from tui.load.requests import RequestBuilder, RequestSpec
from tui.load.self_check import SelfCheck, max_streams, too_many_streams
from tui.load.stream import ChunkSink, Stream, Ticket
from tui.model.rows import Cause, RequestRow
from tui.net.socket import (
    Poller,
    StampClock,
    Wire,
    WireError,
    address,
    connect,
    keep_kernel_timestamping_on,
)
from tui.traffic.playlist import Play

MAX_IDLE_S = 4.0  # vLLM and SGLang close an idle connection after 5 s
MAX_LINGER_S = 1.0  # from the end mark to the end of the message
MIN_BACK_OFF_S, MAX_BACK_OFF_S = 0.1, 2.0
PROBE_PERIOD_S = 1.0
RAMP_PERIOD_S = 0.01
MAX_STARTS_AT_ONCE, MAX_FILL_S = 16, 0.005  # after so many starts, and so long, the streams are read in between
CANNOT_CONNECT: frozenset[Cause] = frozenset({"dns", "refused", "unreachable", "connect timeout", "tls"})


class LaneLoad:
    """Keeps streams running as the dials say. Everything happens on one event loop."""

    def __init__(self, plan: LanePlan, setting: Setting) -> None:
        self.rows: list[RequestRow] = []
        self.sink = ChunkSink()
        self.down = ""  # why no connection can be made
        self.due_total = 0
        self.started_total = 0
        self.setting = setting
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        self._address = address(plan.url, verify_tls=plan.verify_tls, timeout_s=plan.connect_timeout_s)
        self._builder = RequestBuilder(plan)
        self._clock = StampClock()
        self._clock.update()
        self._poller = Poller(self._loop)
        self._timestamping = keep_kernel_timestamping_on()
        self._turns: deque[Play] = deque()  # conversations whose next request is due, in a closed loop
        self._streams: dict[Stream, None] = {}  # in order of their start; a retry keeps its place
        self._free: list[Wire] = []
        self._sent_at_a_rate = 0
        self._paused_slots = 0  # closed loop: waiting after a failure, or thinking
        self._failures = 0  # in a row
        self._max_streams = max_streams()
        self._arrivals = Arrivals(plan.seed, self._builder.gaps_s)
        self._ramp: Ramp | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.self_check = SelfCheck(self._loop)  # last: what came before is not the loop's fault
        self._start_ramp(0)
        self._follow_dials()

    @property
    def in_flight(self) -> int:
        return len(self._streams)

    @property
    def has_work(self) -> bool:
        """Whether anything runs or should: otherwise our own lateness does no harm."""
        return bool(self._streams) or self._timer is not None or self.setting.dials.concurrency > 0

    @property
    def position(self) -> int:
        """Where the list of requests goes on."""
        return self._builder.position

    @property
    def dropped_total(self) -> int:
        """Rows of the traffic file that were left out."""
        return 0 if self._builder.playlist is None else self._builder.playlist.dropped

    @property
    def through(self) -> bool:
        """Whether the traffic file was played to its end, and the last answers are in."""
        return self._builder.is_over and not (self._streams or self._paused_slots or self._turns)

    @property
    def ramping(self) -> bool:
        """Whether a closed loop is still on its way to its streams: a ramp upwards, or draining downwards."""
        draining = self.setting.dials.arrival == "closed" and len(self._streams) > self._slots(self.setting)
        return self._ramp is not None or draining

    def set(self, setting: Setting) -> None:
        """Follow new dials. Raised concurrency starts streams at once, or in a ramp if the setting says so; lowered,
        running ones finish unless the setting cancels them.
        """
        if setting.plan_step_id != self.setting.plan_step_id:
            self._sent_at_a_rate = 0
        before, self.setting = self._slots(self.setting), setting
        self._start_ramp(before)
        if setting.cancel and setting.dials.arrival == "closed":
            for stream in list(self._streams)[setting.dials.concurrency :]:
                stream.cancel()
        self._follow_dials()

    def housekeeping(self) -> None:
        """Once a frame: update the clock's offset, end silent streams, close idle connections."""
        self._clock.update()
        now_ns = time.monotonic_ns()
        silent_ns, lingering_ns = now_ns - int(self._plan.read_timeout_s * 1e9), now_ns - int(MAX_LINGER_S * 1e9)
        for stream in [s for s in self._streams if s.wire is not None]:
            if stream.saw_done and stream.heard_ns < lingering_ns:
                stream.finish_early()
            elif stream.heard_ns < silent_ns:
                stream.time_out(self._plan.read_timeout_s)
        if self.setting.dials.arrival == "closed" and (why := too_many_streams(self.setting.dials.concurrency)):
            self.self_check.limited(why)
        now_s = self._loop.time()
        while self._free and (not self._free[0].is_open or now_s - self._free[0].idle_since_s > MAX_IDLE_S):
            self._free.pop(0).close()

    def close(self) -> None:
        """Cancel what runs and close every connection."""
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
        self._timestamping.close()

    # When streams start.

    def _slots(self, setting: Setting) -> int:
        """Streams that a closed loop keeps running; 0 at a rate, where there is no such number."""
        return min(setting.dials.concurrency, self._max_streams) if setting.dials.arrival == "closed" else 0

    def _start_ramp(self, before: int) -> None:
        """With more slots than before, begin a ramp if the setting asks for one."""
        slots = self._slots(self.setting)
        if slots > before and self.setting.ramp:
            self._ramp = Ramp(min(before, len(self._streams) + self._paused_slots))
            self._loop.call_soon(self._advance_ramp, self._ramp)
        elif slots < before or not self.setting.ramp:
            self._ramp = None

    def _advance_ramp(self, ramp: Ramp) -> None:
        if ramp is self._ramp:
            self._fill()
            self._loop.call_later(RAMP_PERIOD_S, self._advance_ramp, ramp)

    def _follow_dials(self) -> None:
        """Keep slots full, or let requests come due."""
        was_idle = self._timer is None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        dials, arrivals = self.setting.dials, self._arrivals
        rate = dials.speed if dials.arrival == "trace" else dials.request_rate
        arrivals.follow(dials.arrival, rate, self._loop.time())
        if arrivals.is_open_loop and not self._all_sent:
            if was_idle:  # what came due meanwhile was not asked for
                arrivals.next_due_s = max(arrivals.next_due_s, self._loop.time())
            self._wait_for_due()
        else:
            self._fill()

    def _wait_for_due(self) -> None:
        """Until the next request is due; behind the end of a trace none is."""
        due_s = self._arrivals.next_due_s
        self._timer = None if math.isinf(due_s) else self._loop.call_at(due_s, self._send_due)

    def _fill(self) -> None:
        """Closed loop: start a request in every free slot; of many, the rest after the streams were read."""
        if self.down or self.setting.dials.arrival != "closed":
            return
        begun_s, started, slots = self._loop.time(), 0, self._slots(self.setting)
        if self._ramp is not None and self._ramp.is_over:
            self._ramp = None
        if (ramp := self._ramp) is not None:
            slots = ramp.slots(slots)
        while len(self._streams) + self._paused_slots < slots and not self.down:
            if started >= MAX_STARTS_AT_ONCE and self._loop.time() - begun_s > MAX_FILL_S:
                self._loop.call_soon(self._fill)
                return
            stream = self._start(time.monotonic_ns(), self._turns.popleft() if self._turns else None)
            if stream is None:  # the traffic file is through
                return
            self.due_total += 1
            started += 1
            if ramp is not None and ramp.lead_stream is None:
                ramp.lead_stream = stream

    @property
    def _all_sent(self) -> bool:
        limit = self.setting.requests
        return limit is not None and self._sent_at_a_rate >= limit

    def _send_due(self) -> None:
        """Open loop: start all that is due by now, whatever has become of the requests before."""
        arrivals, now_s = self._arrivals, self._loop.time()
        while arrivals.next_due_s <= now_s and not self._all_sent:
            self.due_total += 1
            self.self_check.sent_late(now_s - arrivals.next_due_s)
            if len(self._streams) >= self._max_streams:
                self.self_check.limited(
                    f"{len(self._streams)} requests are in flight, and no more can be: some are not sent"
                )
                self._builder.leave_out()
            elif self.down:
                self._builder.leave_out()
            elif self._start(round(arrivals.next_due_s * 1e9)):  # the loop's clock is the monotonic
                self._sent_at_a_rate += 1
            arrivals.advance()
        if not self._all_sent:
            self._wait_for_due()

    def _start(self, t_sched_ns: int, play: Play | None = None) -> Stream | None:
        """Start the next request of the list, or the next one of a conversation.

        None where there is none: the traffic file is through, or a row of it that came due is too long.
        """
        builder, setting = self._builder, self.setting
        if play is not None:
            spec: RequestSpec | None = builder.played(play, setting.dials)
        else:
            spec = builder.next(setting.dials, setting.context, pass_over=setting.dials.arrival == "closed")
        return None if spec is None else self._begin(spec, t_sched_ns)

    def _begin(self, spec: RequestSpec, t_sched_ns: int) -> Stream:
        plan, builder, dials = self._plan, self._builder, self.setting.dials
        segment = self.setting.segment
        ticket = Ticket(
            *(plan.lane, spec, segment, t_sched_ns, plan.endpoint, builder.count_empty_chunks, builder.finish_reasons)
        )
        stream = Stream(ticket, builder.http_request(spec, dials), self.sink, self._ended)
        self._streams[stream] = None
        self.started_total += 1
        self._send(stream)
        return stream

    # On which connection.

    def _send(self, stream: Stream) -> None:
        """On the connection used last, or on a new one."""
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
            if error.cause in CANNOT_CONNECT and not self.down:
                self.down = f"{error.cause}: {error.detail}"
                self._spawn(self._probe())
            stream.fail(error.cause, error.detail)
            return
        if stream in self._streams:
            stream.begin(wire, (time.monotonic_ns() - begun_ns) / 1e6)
        else:
            wire.close()  # cancelled meanwhile

    def _ended(self, stream: Stream, row: RequestRow, wire: Wire | None) -> None:
        """Free the stream's connection and slot; after a failure the slot pauses."""
        if row.cause == "reset" and stream.may_be_retried:
            self._retry(stream)
            return
        del self._streams[stream]
        self.rows.append(row)
        if wire is not None:
            self._keep(wire)
        if row.outcome == "ok":
            self._failures = 0
            self._builder.learn(stream.ticket.spec, row)
        if row.outcome != "cancelled":
            self._go_on(stream.ticket.spec.play, failed=row.outcome != "ok")
        self._fill()

    def _go_on(self, play: Play | None, *, failed: bool) -> None:
        """What follows an answer: the conversation's next request, a pause of the slot, or longer after a failure."""
        dials = self.setting.dials
        following = None if play is None else play.following()
        wait_s = (self._plan.think_s if following is None else following.turn.delay_s) * dials.think
        if failed and not self.down:
            wait_s = max(wait_s, self._back_off_s())
        if dials.arrival == "closed":
            self._pause_slot(wait_s, following)
        elif following is not None:
            self._loop.call_later(wait_s, self._start_turn, following)

    def _start_turn(self, play: Play) -> None:
        """A conversation goes on whatever the arrivals of others."""
        if not self.down and self.setting.dials.arrival != "closed":
            self.due_total += 1
            self._start(time.monotonic_ns(), play)
        elif not self.down:
            self._turns.append(play)
            self._fill()

    def _retry(self, stream: Stream) -> None:
        """Send once more on a new connection: the server closed the kept-alive one before the request reached it."""
        del self._streams[stream]
        again = Stream(stream.ticket, stream.request_bytes, self.sink, self._ended, retry_of=stream)
        self._streams[again] = None
        self._spawn(self._connect_and_send(again))

    def _keep(self, wire: Wire) -> None:
        wire.idle_since_s = self._loop.time()
        self._free.append(wire)

    # When the server fails.

    def _back_off_s(self) -> float:
        """How long a slot pauses after a failure, longer each time in a row: a failing server is not hammered."""
        self._failures += 1
        return min(MIN_BACK_OFF_S * 2.0 ** min(self._failures - 1, 10), MAX_BACK_OFF_S)

    def _pause_slot(self, wait_s: float, following: Play | None = None) -> None:
        """Keep a slot of the closed loop free so long; then its conversation goes on, if there is one."""
        if wait_s > 0:
            self._paused_slots += 1
            self._loop.call_later(wait_s, self._resume_slot, following)
        elif following is not None:
            self._turns.append(following)

    def _resume_slot(self, following: Play | None = None) -> None:
        self._paused_slots -= 1
        if following is not None:
            self._turns.append(following)
        self._fill()

    async def _probe(self) -> None:
        """Try one connection a second instead of requests, until one succeeds."""
        while True:
            await asyncio.sleep(PROBE_PERIOD_S)
            try:
                wire = await connect(self._address, self._clock, self._poller)
            except WireError as error:
                self.down = f"{error.cause}: {error.detail}"
                continue
            self._keep(wire)
            self.down = ""
            self._failures = 0
            self._fill()
            return

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
