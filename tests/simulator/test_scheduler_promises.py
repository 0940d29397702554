"""Whatever comes and goes, memory adds up, the budget holds and every stream that stays gets its tokens."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tui.simulator.model import PRESETS
from tui.simulator.scheduler import Scheduler, Stream

POOL_TOKENS = 512
ASKED = st.tuples(
    st.integers(1, 200),  # prompt tokens
    st.integers(0, 3),  # whose beginning the prompt shares
    st.integers(1, 100),  # output tokens
    st.integers(0, 30),  # steps until it comes
    st.one_of(st.none(), st.integers(1, 40)),  # steps until its client goes away
)


@settings(max_examples=60, deadline=None)
@given(engine=st.sampled_from(sorted(PRESETS)), budget=st.integers(64, 300), asked=st.lists(ASKED, max_size=25))
def test_promises(engine: str, budget: int, asked: list[tuple[int, int, int, int, int | None]]) -> None:
    scheduler = Scheduler(replace(PRESETS[engine], kv_tokens=POOL_TOKENS, token_budget=budget, max_running=8))
    streams = [
        Stream([family] * (tokens // 2) + [100 + number] * (tokens - tokens // 2), output)
        for number, (tokens, family, output, _, _) in enumerate(asked)
    ]
    gone: set[Stream] = set()
    for now in range(5000):
        for stream, (_, _, _, comes, stays) in zip(streams, asked, strict=True):
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
