"""The scheduler: every stream gets its tokens, memory fills and preempts, the cache hits, the budget holds."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.simulator.scheduler import PRESETS, SGLANG, VLLM, KvPool, Preset, Scheduler, Step, Stream, page_keys


def prompt(tokens: int, seed: int = 0) -> list[int]:
    numbers = random.Random(seed)
    return [numbers.randrange(32_000) for _ in range(tokens)]


def run(scheduler: Scheduler) -> list[Step]:
    steps = []
    while scheduler.busy:
        steps.append(scheduler.step())
        assert len(steps) < 20_000
    return steps


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_every_stream_gets_exactly_its_tokens_and_gives_its_memory_back(preset: Preset) -> None:
    scheduler = Scheduler(preset)
    streams = [Stream(prompt(50 + 17 * n, n), 1 + 3 * n) for n in range(40)]
    for stream in streams:
        scheduler.add(stream)
    steps = run(scheduler)
    assert [stream.generated for stream in streams] == [stream.output_tokens for stream in streams]
    assert sum(len(step.emitted) for step in steps) == sum(stream.output_tokens for stream in streams)
    assert scheduler.pool.held == 0


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_a_full_pool_preempts_and_still_finishes_everyone(preset: Preset) -> None:
    scheduler = Scheduler(replace(preset, kv_tokens=1024))
    streams = [Stream(prompt(100, n), 150) for n in range(8)]
    for stream in streams:
        scheduler.add(stream)
    steps = []
    most = 0.0
    while scheduler.busy:
        steps.append(scheduler.step())
        most = max(most, scheduler.pool.usage)
        assert scheduler.pool.usage <= 1
    assert sum(step.preempted for step in steps) > 0
    assert most > 0.95
    assert all(stream.generated == 150 for stream in streams)


def test_streams_wait_while_the_batch_is_full() -> None:
    scheduler = Scheduler(replace(VLLM, max_running=4))
    for n in range(10):
        scheduler.add(Stream(prompt(20, n), 5))
    scheduler.step()
    assert (len(scheduler.running), len(scheduler.waiting)) == (4, 6)


def test_a_step_keeps_to_its_token_budget_and_long_prompts_are_cut_up() -> None:
    scheduler = Scheduler(replace(VLLM, token_budget=256))
    scheduler.add(Stream(prompt(1000), 2))
    prefills = [step.prefill_tokens for step in run(scheduler)]
    assert prefills == [256, 256, 256, 232, 0]


def test_vllm_decodes_during_a_prefill_and_sglang_waits_for_it() -> None:
    for preset, emitted_with_prefill in ((VLLM, 2), (SGLANG, 1)):
        scheduler = Scheduler(preset)
        scheduler.add(Stream(prompt(32, 1), 10))
        scheduler.step()
        scheduler.add(Stream(prompt(64, 2), 10))
        step = scheduler.step()
        assert step.prefill_tokens == 64
        assert len(step.emitted) == emitted_with_prefill


def test_the_prefix_cache_hits_whole_pages_and_never_the_last_token() -> None:
    for preset, hit in ((VLLM, 96), (SGLANG, 99)):
        scheduler = Scheduler(preset)
        scheduler.add(Stream(prompt(100), 1))
        run(scheduler)
        again = Stream(prompt(100), 1)
        scheduler.add(again)
        run(scheduler)
        assert again.cached == hit, preset.engine


def test_a_decode_step_grows_with_batch_and_context() -> None:
    still = replace(VLLM, jitter=0.0)

    def decode_ms(streams: int, context: int) -> float:
        scheduler = Scheduler(still)
        for n in range(streams):
            scheduler.add(Stream(prompt(context, n), 3))
        scheduler.step()
        return scheduler.step().duration_ms

    assert decode_ms(1, 100) < decode_ms(8, 100) < decode_ms(32, 100)
    assert decode_ms(8, 100) < decode_ms(8, 900)


def test_an_aborted_stream_gives_its_memory_back() -> None:
    scheduler = Scheduler(VLLM)
    stream = Stream(prompt(100), 50)
    scheduler.add(stream)
    scheduler.step()
    assert scheduler.pool.held > 0
    scheduler.abort(stream)
    assert scheduler.pool.held == 0
    assert not scheduler.busy


def test_cached_pages_make_room_oldest_first_and_from_the_end_of_their_prompt() -> None:
    pool = KvPool(4)
    first, second = page_keys([1] * 32, 16), page_keys([2] * 32, 16)
    for keys in (first, second):
        assert pool.take(2)
        pool.release(pool.share(keys))
    assert (pool.match(first), pool.match(second)) == (2, 2)
    assert pool.take(1)
    assert (pool.match(first), pool.match(second)) == (1, 2)
    assert pool.take(1)
    assert (pool.match(first), pool.match(second)) == (0, 2)
    assert pool.usage == 0.5
    assert not pool.take(3)


POOL_TOKENS = 512
ARRIVING = st.tuples(
    st.integers(1, 200),  # prompt tokens
    st.integers(0, 3),  # whose beginning the prompt shares
    st.integers(1, 100),  # output tokens
    st.integers(0, 30),  # steps until it comes
    st.one_of(st.none(), st.integers(1, 40)),  # steps until its client goes away
)


@settings(max_examples=60, deadline=None)
@given(engine=st.sampled_from(sorted(PRESETS)), budget=st.integers(64, 300), arriving=st.lists(ARRIVING, max_size=25))
def test_whatever_comes_and_goes_memory_adds_up_and_every_stream_that_stays_gets_its_tokens(
    engine: str, budget: int, arriving: list[tuple[int, int, int, int, int | None]]
) -> None:
    scheduler = Scheduler(replace(PRESETS[engine], kv_tokens=POOL_TOKENS, token_budget=budget, max_running=8))
    streams = [
        Stream([family] * (tokens // 2) + [100 + number] * (tokens - tokens // 2), output)
        for number, (tokens, family, output, _, _) in enumerate(arriving)
    ]
    gone: set[Stream] = set()
    for now in range(5000):
        for stream, (_, _, _, comes, stays) in zip(streams, arriving, strict=True):
            if comes == now:
                scheduler.add(stream)
            if stays is not None and comes + stays == now:
                scheduler.abort(stream)
                gone.add(stream)
        if now > 80 and not scheduler.busy:
            break
        if scheduler.busy:
            step = scheduler.step()
            assert step.prefill_tokens + step.decoded <= budget
            assert step.duration_ms > 0
            assert len(scheduler.running) <= 8
        pages = sum(stream.private_pages for stream in scheduler.running)
        shared = {key for stream in scheduler.running for key in stream.held_keys}
        assert scheduler.pool.held == pages + len(shared)
        assert scheduler.pool.held + scheduler.pool.cached <= scheduler.pool.pages
    assert not scheduler.busy
    assert scheduler.pool.held == 0
    for stream in streams:
        assert stream.generated <= stream.output_tokens
        assert stream in gone or stream.generated == stream.output_tokens
