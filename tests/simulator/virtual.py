"""Run the scheduler in virtual time: a closed loop of streams, and what each request saw."""

import heapq
import random
from dataclasses import dataclass
from itertools import count

from tui.simulator.scheduler import Preset, Scheduler, Stream


@dataclass
class Seen:
    """One request as its client saw it, in s."""

    sent_s: float
    first_s: float = 0.0
    last_s: float = 0.0
    tokens: int = 0

    @property
    def ttft_s(self) -> float:
        return self.first_s - self.sent_s

    @property
    def tps(self) -> float:
        return (self.tokens - 1) / (self.last_s - self.first_s)


@dataclass
class Load:
    """`streams` at a time, `requests` in all; each prompt starts with `shared` common tokens."""

    streams: int
    requests: int
    prompt_tokens: int
    output_tokens: int
    shared: int = 0
    stagger_s: float = 0.0


def drive(preset: Preset, load: Load, seed: int = 1) -> list[Seen]:
    """Every request, in order of its end."""
    scheduler = Scheduler(preset, seed)
    numbers = random.Random(seed)
    common = [numbers.randrange(32_000) for _ in range(load.shared)]
    left = count()
    arrivals: list[tuple[float, int, Stream]] = []
    seen: dict[Stream, Seen] = {}
    done: list[Seen] = []

    def send(now_s: float, flying: int) -> None:
        number = next(left)
        if number >= load.requests:
            return
        private = [numbers.randrange(32_000) for _ in range(load.prompt_tokens - load.shared)]
        stream = Stream(common + private, load.output_tokens)
        seen[stream] = Seen(now_s)
        front_s = (preset.front_ms + preset.front_ms_per_stream * flying) / 1000
        heapq.heappush(arrivals, (now_s + front_s, number, stream))

    for place in range(load.streams):
        send(place * load.stagger_s, 0)
    now_s = 0.0
    while arrivals or scheduler.busy:
        if not scheduler.busy:
            now_s = max(now_s, arrivals[0][0])
        while arrivals and arrivals[0][0] <= now_s:
            scheduler.add(heapq.heappop(arrivals)[2])
        step = scheduler.step()
        now_s += step.duration_ms / 1000
        for stream in step.emitted:
            one = seen[stream]
            one.tokens += 1
            one.first_s = one.first_s or now_s
            one.last_s = now_s
        for stream in step.finished:
            done.append(seen[stream])
            send(now_s, len(scheduler.running) + len(scheduler.waiting))
    return done
