"""The scheduler in real time: steps are slept through, tokens handed to whoever waits for them."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from tui.simulator.formats import Metrics, Told
from tui.simulator.model import PRESETS, Preset, SimulatedGpu
from tui.simulator.requests import Asked
from tui.simulator.scheduler import Scheduler, Step, Stream
from tui.simulator.sglang import SglangMetrics
from tui.simulator.vllm import VllmMetrics

MODEL = "simulated-8b"
LATE_S = 0.25  # a process held up for longer than this goes on from now instead of catching up in a burst


@dataclass(slots=True, eq=False)
class Answer:
    """One request's tokens as they come. `arrived` is set at each step that brought one."""

    stream: Stream
    streaming: bool
    t_asked_s: float
    t_admitted_s: float = 0.0
    t_first_s: float = 0.0
    t_last_s: float = 0.0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    tokens: int = 0  # delivered; the stream itself is one step ahead while that step is slept through

    async def told(self) -> AsyncGenerator[tuple[int, int]]:
        """The first and the last number, from 1, of the tokens that are there since the last look."""
        known = 0
        while known < self.stream.output_tokens:
            await self.arrived.wait()
            self.arrived.clear()
            if self.tokens > known:
                yield known + 1, self.tokens
                known = self.tokens


class SimulatedEngine:
    """One engine. `speed` 10 makes everything ten times as fast as the study's."""

    def __init__(self, engine: str, *, seed: int = 0, speed: float = 1.0) -> None:
        self.preset: Preset = PRESETS[engine]
        self.metrics: Metrics = (SglangMetrics if engine == "sglang" else VllmMetrics)(self.preset, MODEL)
        self.scheduler = Scheduler(self.preset, seed)
        self.speed = speed
        self._gpu = SimulatedGpu(self.preset, time.monotonic())
        self._answers: dict[Stream, Answer] = {}
        self._in_front = 0  # requests that the front end holds
        self._work = asyncio.Event()

    async def ask(self, asked: Asked) -> Answer:
        """Queue a request once the front end is through with it."""
        t_asked_s = time.monotonic()
        others = len(self._answers) + self._in_front
        self._in_front += 1
        try:
            front_ms = self.preset.front_ms + self.preset.front_ms_per_stream * others
            await asyncio.sleep(front_ms / 1000 / self.speed)
        finally:
            self._in_front -= 1
        # SGLang takes zero output tokens for an answer; the model runs once all the same.
        stream = Stream(asked.prompt, max(1, asked.output_tokens), asked.finish_reason)
        answer = Answer(stream, asked.stream, t_asked_s)
        self._answers[stream] = answer
        self.scheduler.add(stream)
        self._work.set()
        return answer

    def abort(self, answer: Answer) -> None:
        """The client is gone: what its stream holds is free at once. Nothing when the stream has ended."""
        if self._answers.pop(answer.stream, None) is not None:
            self.scheduler.abort(answer.stream)
            self.metrics.aborted(_told(answer))

    async def run(self) -> None:
        """Step while there is work, until cancelled."""
        due_s = time.monotonic()
        while True:
            if not self.scheduler.busy:
                self.metrics.idle(self.scheduler)
                self._work.clear()
                await self._work.wait()
                due_s = time.monotonic()
                self._gpu.advance(due_s, 0)
            began_s = time.monotonic()
            step = self.scheduler.step()
            for stream in step.admitted:
                self._answers[stream].t_admitted_s = began_s
            # Steps follow one another without drift, however late a sleep wakes.
            due_s = max(due_s, began_s - LATE_S) + step.duration_ms / 1000 / self.speed
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            self._gpu.advance(time.monotonic(), max(1, len(step.emitted)))
            self._deliver(step)

    def gpu_page(self) -> bytes:
        """The GPU's page now."""
        self._gpu.advance(time.monotonic(), len(self.scheduler.running))
        return self._gpu.page()

    def _deliver(self, step: Step) -> None:
        now_s = time.monotonic()
        for stream in step.emitted:
            answer = self._answers.get(stream)
            if answer is None:  # its client went away during the step
                continue
            answer.tokens += 1
            if answer.tokens == 1:
                answer.t_first_s = answer.t_last_s = now_s
                self.metrics.began(_told(answer))
            else:
                self.metrics.gap(now_s - answer.t_last_s)
                answer.t_last_s = now_s
            answer.arrived.set()
        self.metrics.stepped(step, self.scheduler)
        for stream in step.finished:
            answer = self._answers.pop(stream, None)
            if answer is not None:
                self.metrics.ended(_told(answer))


def _told(answer: Answer) -> Told:
    stream = answer.stream
    return Told(
        prompt_tokens=len(stream.prompt),
        cached_tokens=stream.cached,
        output_tokens=answer.tokens,
        queue_s=max(0.0, answer.t_admitted_s - answer.t_asked_s),
        ttft_s=answer.t_first_s - answer.t_asked_s,
        e2e_s=answer.t_last_s - answer.t_asked_s,
        finish_reason=stream.finish_reason,
        stream=answer.streaming,
    )
