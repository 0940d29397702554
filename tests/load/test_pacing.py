"""Due times, and ramps: streams that begin as the first one progresses, and why: begun together they stay in step."""

import asyncio
import statistics
from itertools import count, islice

import pytest

from tests.load.faulty_server import DONE, END, HEAD, always, plain, read_request, serving, token
from tests.load.test_lane import plan, until
from tui.load.driver import Setting
from tui.load.lane import LaneLoad
from tui.load.pacing import slots_by_now, unit_gaps
from tui.model.dials import Arrival, Dials
from tui.simulator.scheduler import PRESETS, Scheduler, Stream

TOKENS = 4


def ramped(streams: int, segment: int = 1) -> Setting:
    return Setting(segment, Dials(concurrency=streams, prompt_tokens=16, output_tokens=TOKENS), ramp=True)


class Paced:
    """Answers whose tokens come when the test says so, in order of the requests."""

    def __init__(self) -> None:
        self.asked: list[asyncio.StreamWriter] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader):
            self.asked.append(writer)
            writer.write(HEAD)

    def tell(self, number: int, *, last: bool = False) -> None:
        self.asked[number].write(token(finish="length") + DONE + END if last else token())


async def test_streams_follow_as_the_first_one_gets_along() -> None:
    server = Paced()
    async with serving(server) as port:
        load = LaneLoad(plan(port, read_timeout_s=10.0, output_jitter=0.0), ramped(8))
        for arrived, in_flight in enumerate((1, 3, 5, 7)):  # eight slots for the four tokens of an answer
            if arrived:
                server.tell(0)
            await until(lambda so_many=in_flight: len(server.asked) == so_many, load)  # type: ignore[misc]
            assert load.in_flight == in_flight
            assert load.ramping
        server.tell(0, last=True)
        await until(lambda: len(server.asked) == 9, load)  # all eight, and the next one of the first slot
        assert load.in_flight == 8
        assert not load.ramping
        load.close()


async def test_what_is_added_in_a_run_is_spread_and_what_runs_goes_on() -> None:
    server = Paced()
    async with serving(server) as port:
        load = LaneLoad(plan(port, read_timeout_s=10.0, output_jitter=0.0), ramped(1))
        await until(lambda: len(server.asked) == 1, load)
        load.set(ramped(5, segment=2))
        load.set(ramped(5, segment=2))  # said again, it does not begin again
        await until(lambda: len(server.asked) == 2, load)
        server.tell(0, last=True)  # not one of those that were added
        await until(lambda: len(server.asked) == 3, load)
        assert load.in_flight == 2
        server.tell(1)
        await until(lambda: load.in_flight == 3, load)
        server.tell(1, last=True)
        await until(lambda: load.in_flight == 5 and not load.ramping, load)
        load.set(ramped(2, segment=3))
        assert load.ramping  # until what is too many has ended
        load.close()


async def test_a_first_stream_that_fails_does_not_hold_the_others_up() -> None:
    async with serving(always(plain(b"500 Internal Server Error".decode(), b"{}"))) as port:
        load = LaneLoad(plan(port), ramped(4))
        await until(lambda: len(load.rows) >= 4, load)
        assert not load.ramping
        load.close()


@pytest.mark.parametrize("engine", PRESETS)
def test_a_span_of_streams_that_began_together_is_off_and_of_spread_ones_is_not(engine: str) -> None:
    """Tokens a second of a third of an answer's time, from the first answer's end on, against the long run's."""
    together, evenly = (off(engine, is_spread=is_spread) for is_spread in (False, True))
    assert together > 0.1
    assert evenly < 0.04


def off(engine: str, *, is_spread: bool, streams: int = 64, tokens: int = 256) -> float:
    """By how much the worst of three spans misses, in virtual time."""
    scheduler, numbers = Scheduler(PRESETS[engine], seed=1), count()
    brought: list[tuple[float, int]] = []
    first = begun_s = now_s = 0.0
    pace: Stream | None = None
    while len(brought) < 8 * tokens:
        progress = 1.0 if begun_s or not is_spread else pace.generated / tokens if pace is not None else 0.0
        wanted = slots_by_now(0, streams, progress)
        while len(scheduler.running) + len(scheduler.waiting) < wanted:
            stream = Stream([-next(numbers)] * 512, tokens)
            pace = pace or stream
            scheduler.add(stream)
        step = scheduler.step()
        now_s += step.duration_ms / 1000
        brought.append((now_s, len(step.emitted)))
        if pace in step.finished:
            begun_s, first = now_s, now_s
    third_s = first / 3
    long_run = rate(brought, now_s / 2, now_s)
    return max(abs(rate(brought, s, s + third_s) / long_run - 1) for s in (begun_s + k * third_s for k in range(3)))


def rate(brought: list[tuple[float, int]], start_s: float, end_s: float) -> float:
    return sum(tokens for t_s, tokens in brought if start_s < t_s <= end_s) / (end_s - start_s)


def draw(arrival: Arrival, rate: float, count: int, seed: int = 1) -> list[float]:
    return [gap / rate for gap in islice(unit_gaps(arrival, seed), count)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_poisson_gaps_are_independent_and_have_the_right_dispersion(seed: int) -> None:
    gaps = draw("poisson", 20.0, 20_000, seed)
    assert statistics.mean(gaps) == pytest.approx(0.05, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(0.05, rel=0.04)  # of an exponential: its mean
    for apart in (1, 2, 5):
        assert abs(statistics.correlation(gaps[:-apart], gaps[apart:])) < 0.03
    counts, now = [0] * 900, 0.0
    for gap in gaps:
        now += gap
        if now < len(counts):
            counts[int(now)] += 1
    assert statistics.variance(counts) / statistics.mean(counts) == pytest.approx(1, abs=0.2)
    ranked = sorted(gaps)  # Kolmogorov-Smirnov against the exponential, at 1 %
    from math import exp, sqrt

    worst = max(abs((place + 1) / len(ranked) - (1 - exp(-20 * gap))) for place, gap in enumerate(ranked))
    assert worst < 1.63 / sqrt(len(ranked))


def test_constant_and_burst_keep_the_rate() -> None:
    assert set(draw("constant", 4.0, 10)) == {0.25}
    assert draw("stagger", 1 / 0.06125, 3) == pytest.approx([0.06125] * 3)
    burst = draw("burst", 16.0, 16)
    assert sum(burst) == pytest.approx(1.0)
    assert burst.count(0.0) == 14


def test_the_same_seed_gives_the_same_gaps() -> None:
    assert draw("poisson", 5.0, 50, seed=3) == draw("poisson", 5.0, 50, seed=3)
    assert draw("poisson", 5.0, 50, seed=3) != draw("poisson", 5.0, 50, seed=4)
