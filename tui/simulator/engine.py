"""The scheduler in real time: steps are slept through, tokens handed to whoever waits for them."""

import asyncio
import random
import time
from dataclasses import dataclass, field

from tui.simulator.metrics import EngineMetrics, Told, gpu_page
from tui.simulator.presets import PRESETS, Preset
from tui.simulator.scheduler import Scheduler, Step, Stream
from tui.simulator.words import VOCABULARY, word

MODEL = "simulated-8b"
UTILISATION_OVER_S = 1.0


@dataclass(slots=True, eq=False)
class Answer:
    """One request's tokens as they come. `arrived` is set at each step that brought one."""

    stream: Stream
    t_asked_s: float
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    t_first_s: float = 0.0
    tokens: int = 0  # delivered; the stream itself is one step ahead while that step is slept through


class SimulatedEngine:
    """One engine. `speed` 10 makes everything ten times as fast as the study's."""

    def __init__(self, engine: str, *, seed: int = 0, speed: float = 1.0) -> None:
        self.preset: Preset = PRESETS[engine]
        self.metrics = EngineMetrics(self.preset, MODEL)
        self.scheduler = Scheduler(self.preset, seed)
        self.speed = speed
        self.energy_j = 0.0
        self._busy_s = 0.0  # of the last second or so
        self._busy_at_s = time.monotonic()
        self._random = random.Random(seed)
        self._answers: dict[Stream, Answer] = {}
        self._in_front = 0  # requests that the front end holds
        self._work = asyncio.Event()

    async def ask(self, prompt: list[int], output_tokens: int, finish_reason: str) -> Answer:
        """Queue a request once the front end is through with it."""
        t_asked_s = time.monotonic()
        running = len(self._answers) + self._in_front
        self._in_front += 1
        try:
            front_ms = self.preset.front_ms + self.preset.front_ms_per_stream * running
            await asyncio.sleep(front_ms / 1000 / self.speed)
        finally:
            self._in_front -= 1
        answer = Answer(Stream(prompt, output_tokens, finish_reason), t_asked_s)
        self._answers[answer.stream] = answer
        self.scheduler.add(answer.stream)
        self._work.set()
        return answer

    def abort(self, answer: Answer) -> None:
        """The client is gone: the stream's memory is free at once."""
        if self._answers.pop(answer.stream, None) is not None:
            self.scheduler.abort(answer.stream)
            self.metrics.refresh(self.scheduler)

    def text(self) -> str:
        """The next token's text."""
        return word(self._random.randrange(VOCABULARY))

    async def run(self) -> None:
        """Step while there is work, until cancelled."""
        due_s = time.monotonic()
        while True:
            if not self.scheduler.busy:
                self.metrics.refresh(self.scheduler)
                self._work.clear()
                await self._work.wait()
                due_s = time.monotonic()
            step = self.scheduler.step()
            duration_s = step.duration_ms / 1000 / self.speed
            due_s += duration_s  # steps follow one another without drift, however late the sleep wakes
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            self._spent(duration_s)
            self._deliver(step)

    def gpu(self) -> bytes:
        """The GPU's page now."""
        return gpu_page(self.preset, self._utilisation(), self.energy_j)

    def _deliver(self, step: Step) -> None:
        now_s = time.monotonic()
        first_tokens = 0
        for stream in step.emitted:
            answer = self._answers.get(stream)
            if answer is None:
                continue
            if not answer.t_first_s:
                answer.t_first_s = now_s
                first_tokens += 1
                self.metrics.began(self._told(answer, now_s))
            answer.tokens += 1
            answer.arrived.set()
        self.metrics.stepped(step, self.scheduler, first_tokens)
        for stream in step.finished:
            answer = self._answers.pop(stream, None)
            if answer is not None:
                self.metrics.ended(self._told(answer, now_s))

    def _told(self, answer: Answer, now_s: float) -> Told:
        stream = answer.stream
        return Told(
            prompt_tokens=len(stream.prompt),
            cached_tokens=stream.cached,
            output_tokens=answer.tokens,
            ttft_s=answer.t_first_s - answer.t_asked_s,
            e2e_s=now_s - answer.t_asked_s,
            finish_reason=stream.finish_reason,
        )

    def _spent(self, busy_s: float) -> None:
        share = self._utilisation()
        self.energy_j += busy_s * (self.preset.idle_w + (self.preset.busy_w - self.preset.idle_w) * share)
        self._busy_s += busy_s

    def _utilisation(self) -> float:
        """Share of the last second or so in which a step ran; it fades as NVML's does."""
        now_s = time.monotonic()
        span_s = now_s - self._busy_at_s
        if span_s > UTILISATION_OVER_S:
            self._busy_s *= UTILISATION_OVER_S / span_s
            self._busy_at_s = now_s - UTILISATION_OVER_S
            span_s = UTILISATION_OVER_S
        return min(1.0, self._busy_s / max(span_s, 0.2))
