"""The scheduler in real time: a step is slept through, then its tokens go to the requests that wait for them."""

import asyncio
import math
import time
from dataclasses import dataclass

from tui.simulator.requests import Page, ParsedRequest, ServedRequest
from tui.simulator.scheduler import PRESETS, Preset, Scheduler, Step, Stream
from tui.simulator.sglang import SglangMetrics
from tui.simulator.vllm import VllmMetrics

LATE_S = 0.25  # a process held up for longer than this goes on from now instead of catching up in a burst


class SimulatedEngine:
    """One engine. `speed` 10 makes everything ten times as fast as the study's."""

    def __init__(self, engine: str, *, seed: int = 0, speed: float = 1.0) -> None:
        self.preset = PRESETS[engine]
        self.scheduler = Scheduler(self.preset, seed)
        self.metrics = SglangMetrics(self.scheduler) if engine == "sglang" else VllmMetrics(self.scheduler)
        self.speed = speed
        self._gpu = SimulatedGpu(self.preset, time.monotonic())
        self._served: dict[Stream, ServedRequest] = {}
        self._in_front_end = 0
        self._work = asyncio.Event()

    async def submit(self, request: ParsedRequest) -> ServedRequest:
        """Queue a request once the front end is through with it."""
        t_arrived_s = time.monotonic()
        others = len(self._served) + self._in_front_end
        self._in_front_end += 1
        try:
            front_ms = self.preset.front_ms + self.preset.front_ms_per_stream * others
            await asyncio.sleep(front_ms / 1000 / self.speed)
        finally:
            self._in_front_end -= 1
        # SGLang answers a request for zero output tokens; the model runs once all the same.
        stream = Stream(request.prompt, max(1, request.output_tokens))
        served = self._served[stream] = ServedRequest(request, stream, t_arrived_s)
        self.scheduler.add(stream)
        self._work.set()
        return served

    def abort(self, served: ServedRequest) -> None:
        """The client is gone: free what its stream holds at once. Nothing when the stream has ended."""
        if self._served.pop(served.stream, None) is not None:
            self.scheduler.abort(served.stream)
            self.metrics.aborted()

    async def run(self) -> None:
        """Step while there is work, until cancelled."""
        due_s = time.monotonic()
        while True:
            if not self.scheduler.busy:
                self.metrics.idle()
                self._work.clear()
                await self._work.wait()
                due_s = time.monotonic()
                self._gpu.advance(due_s, 0)
            began_s = time.monotonic()
            step = self.scheduler.step()
            for stream in step.admitted:
                self._served[stream].t_admitted_s = began_s
            # Steps follow one another without drift, however late a sleep wakes.
            due_s = max(due_s, began_s - LATE_S) + step.duration_ms / 1000 / self.speed
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            self._gpu.advance(time.monotonic(), max(1, len(step.emitted)))
            self._deliver(step)

    def gpu_page(self) -> bytes:
        self._gpu.advance(time.monotonic(), len(self.scheduler.running))
        return self._gpu.page()

    def _deliver(self, step: Step) -> None:
        now_s = time.monotonic()
        for stream in step.emitted:
            served = self._served.get(stream)
            if served is None:  # its client went away during the step
                continue
            served.tokens += 1
            if served.tokens == 1:
                served.t_first_s = served.t_last_s = now_s
                self.metrics.first_token(served)
            else:
                self.metrics.next_token(now_s - served.t_last_s)
                served.t_last_s = now_s
            served.delivered.set()
        self.metrics.stepped(step)
        for stream in step.finished:
            served = self._served.pop(stream, None)
            if served is not None:
                self.metrics.finished(served)


FADE_S = 1.0  # NVML's utilisation is that of about the last second
FULL_BATCH_HALF = 16  # the batch at which a decode step draws half of what a full one does above a lone stream's
LONE_SHARE = 0.55  # of full power: one stream reads the weights as often as many do, and computes little
RESERVED_MIB = 480.0


@dataclass(slots=True)
class SimulatedGpu:
    """Times are a monotonic clock's, in s; energy is that of the wall time, whatever the simulation's speed."""

    preset: Preset
    now_s: float
    energy_j: float = 0.0
    busy: float = 0.0  # share of the last second or so in which a step ran
    load: float = 0.0  # of a running step: 1 is a full batch

    def advance(self, now_s: float, batch: int) -> None:
        """Note that from the last call until now `batch` streams ran, 0 when it was idle."""
        span_s = max(0.0, now_s - self.now_s)
        self.now_s = now_s
        kept = math.exp(-span_s / FADE_S)
        self.busy = self.busy * kept + (1.0 - kept if batch else 0.0)
        if batch:
            running = LONE_SHARE + (1.0 - LONE_SHARE) * batch / (batch + FULL_BATCH_HALF)
            self.load = self.load * kept + running * (1.0 - kept)
        self.energy_j += self.power_w * span_s

    @property
    def power_w(self) -> float:
        return self.preset.idle_w + (self.preset.busy_w - self.preset.idle_w) * self.busy * self.load

    def page(self) -> bytes:
        """As a DCGM exporter shows it. Used memory is flat: weights and pool are allocated at the start."""
        labels = {
            "gpu": "0",
            "UUID": f"GPU-SIMULATED-{self.preset.engine}",
            "device": "nvidia0",
            "modelName": "SIMULATED A100-SXM4-40GB",
            "hostname": "simulated",
        }
        page = Page("DCGM_FI_DEV_", labels)
        used_mib = self.preset.gpu_used_gib * 1024
        page.set(
            FB_USED=used_mib,
            FB_RESERVED=RESERVED_MIB,
            FB_FREE=self.preset.gpu_memory_gib * 1024 - used_mib - RESERVED_MIB,
            GPU_UTIL=round(100 * self.busy),
            POWER_USAGE=round(self.power_w, 1),
            TOTAL_ENERGY_CONSUMPTION=round(self.energy_j * 1000),
            GPU_TEMP=round(34 + 33 * self.busy * self.load),
            SM_CLOCK=1410 if self.busy > 0.05 else 210,
        )
        return page.text()
