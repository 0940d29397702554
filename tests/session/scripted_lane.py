"""A lane whose driver and server are arithmetic on a virtual clock: minutes of a session pass in a second."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.session.virtual_clock import VirtualClock
from tui.load.driver import Setting
from tui.model.dials import Dials
from tui.model.profile import LaneProfile, Profile
from tui.model.rows import Chunks, Frame, GaugeRow, Lane, RequestRow
from tui.model.session import LaneInfo
from tui.session.clock import Clock
from tui.session.messages import FrameReceived, GaugesRead, Messages
from tui.simulator.process import SimulatedLanes

FRAME_S = 0.1
TTFT_NS = 50_000_000
TPOT_NS = 5_000_000


class RunningClock(VirtualClock):
    """Moves by itself as soon as something sleeps."""

    _running: asyncio.Task[None] | None = None

    async def sleep(self, seconds: float) -> None:
        if self._running is None:
            self._running = asyncio.create_task(self.run())
        await super().sleep(seconds)


@pytest.fixture
def virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions run on scripted lanes, as fast as the machine goes; no simulator is started."""

    async def unchanged(_: SimulatedLanes, profile: Profile) -> Profile:
        return profile

    monkeypatch.setattr(SimulatedLanes, "start", unchanged)
    monkeypatch.setattr("tui.session.live.Clock", RunningClock)
    monkeypatch.setattr("tui.session.lane.LaneRun", ScriptedLane)


@dataclass
class ScriptedLane:
    """Stands in for `LaneRun`: a closed loop in which every request takes its time to the nanosecond."""

    lane: Lane
    profile: Profile
    server: LaneProfile
    salt: str
    messages: Messages
    clock: Clock
    go: asyncio.Event
    retry_s: float
    traffic: None = None
    through: bool = False
    data: None = None
    setting: Setting = field(default_factory=lambda: Setting(0, Dials(concurrency=0)))
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    up: bool = False
    detected: None = None
    _streams: list[RequestRow] = field(default_factory=list)  # as each will end
    _number: int = 0
    _sent_in_step: int = 0

    @property
    def info(self) -> LaneInfo:
        url = self.server.url or "http://scripted"
        return LaneInfo(url=url, engine="vllm", title="vLLM", version="0", model="m", simulated=True)

    async def first_look(self) -> LaneInfo:
        return self.info

    def apply(self, setting: Setting) -> None:
        if setting.plan_step_id != self.setting.plan_step_id:
            self._sent_in_step = 0
        self.setting = setting

    async def run(self) -> None:
        self.up = True
        self.ready.set()
        await self.go.wait()
        begin_ns = self.clock.now_ns()
        while True:
            await self.clock.sleep(FRAME_S)
            end_ns = self.clock.now_ns()
            self.messages.put_nowait(FrameReceived(self.lane, self._frame(begin_ns, end_ns)))
            self.messages.put_nowait(GaugesRead(self._gauges(end_ns - 1)))
            begin_ns = end_ns

    async def stop(self) -> None:
        self.up = False

    def _frame(self, begin_ns: int, end_ns: int) -> Frame:
        sent = list(self._send(begin_ns))
        chunks = _chunks(self._streams, begin_ns, end_ns)
        ended = [row for row in self._streams if row.t_end_ns < end_ns]
        self._streams = [row for row in self._streams if row.t_end_ns >= end_ns]
        return Frame(
            t_ns=end_ns, segment=self.setting.segment, concurrency=self.setting.dials.concurrency,
            in_flight=len(self._streams), requests=ended, chunks=chunks,
            sent_t_ns=_packed(row.t_send_ns for row in sent), first_t_ns=_packed(row.t_first_ns for row in sent),
            first_prompt_tokens=_packed(row.prompt_tokens for row in sent), due_total=self._number,
            started_total=self._number, cpu_s_total=0.0, loop_lag_ms=0.0, merged_reads=0, rss_bytes=0, bound="",
            down="",
        )  # fmt: skip

    def _gauges(self, t_ns: int) -> list[GaugeRow]:
        streams = float(len(self._streams))
        return [
            GaugeRow(self.lane, "server", "running", t_ns, streams),
            GaugeRow(self.lane, "server", "waiting", t_ns, 0.0),
            GaugeRow(self.lane, "server", "kv_usage", t_ns, streams / 100),
            GaugeRow(self.lane, "gpu0", "power", t_ns, 100 + streams),
            GaugeRow(self.lane, "gpu0", "utilization", t_ns, 10 * streams),
        ]

    def _send(self, t_ns: int) -> Iterator[RequestRow]:
        dials, most = self.setting.dials, self.setting.requests
        while len(self._streams) < dials.concurrency and (most is None or self._sent_in_step < most):
            last_ns = t_ns + TTFT_NS + TPOT_NS * (dials.output_tokens - 1)
            row = RequestRow(
                self.lane, self._number, self.setting.segment, t_ns, t_ns, t_ns + TTFT_NS, last_ns, last_ns, None,
                dials.prompt_tokens, dials.prompt_tokens, None, dials.output_tokens, dials.output_tokens, "usage",
                dials.output_tokens, 1, "length", "ok", 200, "", "", "kernel",
            )  # fmt: skip
            self._streams.append(row)
            self._number += 1
            self._sent_in_step += 1
            yield row


def _chunks(streams: list[RequestRow], begin_ns: int, end_ns: int) -> Chunks:
    """Those that arrive in this time."""
    pairs = [
        (row.request, t_ns)
        for row in streams
        for at in range(row.chunks)
        if begin_ns <= (t_ns := (row.t_first_ns or 0) + TPOT_NS * at) < end_ns
    ]
    request, arrived = np.array(pairs, dtype="<i8").reshape(-1, 2).T
    return Chunks(request.tobytes(), arrived.tobytes(), np.ones(len(pairs), dtype="<i4").tobytes())


def _packed(values: Iterator[int | None]) -> bytes:
    return np.array([value or 0 for value in values], dtype="<i8").tobytes()
