"""The list of requests: the same in both lanes, exact in length, fresh each session."""

import statistics
from collections.abc import Callable
from itertools import islice

import pytest

from tests.judge.made import request
from tui.load.body import RequestBuilder
from tui.load.pacing import unit_gaps
from tui.load.pipe import LanePlan
from tui.load.prompts import FILLER, RequestList, RequestSpec
from tui.model.dials import Arrival, Dials

POOL = list(range(100, 400))


def requests(salt: str = "s", seed: int = 0) -> RequestList:
    return RequestList(seed=seed, salt=salt, output_jitter=0.1, token_pool=POOL)


@pytest.mark.parametrize("tokens", [16, 17, 512, 100_000])
@pytest.mark.parametrize("shared", [0.0, 0.5, 0.95])
def test_a_prompt_has_exactly_so_many_ids_of_the_pool(tokens: int, shared: float) -> None:
    spec = requests().ids(3, Dials(prompt_tokens=tokens, shared_prefix=shared))
    assert len(spec.prompt) == tokens
    assert set(spec.prompt) <= set(POOL)


def test_both_lanes_draw_the_same_list_in_any_order() -> None:
    one, other = requests(), requests()
    dials = Dials(prompt_tokens=64)
    assert [one.ids(n, dials) for n in range(20)] == [other.ids(n, dials) for n in reversed(range(20))][::-1]


def test_another_session_has_other_prompts_and_the_same_lengths() -> None:
    dials = Dials(prompt_tokens=64)
    one, other = requests("one").ids(5, dials), requests("other").ids(5, dials)
    assert one.prompt != other.prompt
    assert one.output_tokens == other.output_tokens


def shared_start(one: RequestSpec, other: RequestSpec) -> int:
    pairs = zip(one.prompt, other.prompt, strict=True)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), len(one.prompt))


def test_only_the_shared_part_is_shared() -> None:
    drawn = requests()
    fresh = [drawn.ids(n, Dials(prompt_tokens=200)) for n in range(50)]
    assert max(shared_start(fresh[0], other) for other in fresh[1:]) < 8
    common = [drawn.ids(n, Dials(prompt_tokens=200, shared_prefix=0.5)) for n in range(50)]
    starts = [shared_start(common[0], other) for other in common[1:]]
    assert min(starts) >= 100
    assert max(starts) < 108


def test_output_lengths_vary_by_a_tenth_around_what_was_asked() -> None:
    drawn = requests()
    lengths = [drawn.ids(n, Dials(prompt_tokens=16, output_tokens=200)).output_tokens for n in range(400)]
    assert 180 <= min(lengths) < 184
    assert 216 < max(lengths) <= 220
    assert statistics.mean(lengths) == pytest.approx(200, abs=2)


def builder_for(**changes: object) -> RequestBuilder:
    fields = {
        "lane": "a",
        "url": "http://h:1/x",
        "engine": "openai",
        "model": "m",
        "endpoint": "chat",
        "prompt_form": "text",
    }
    return RequestBuilder(LanePlan(**(fields | changes)))  # type: ignore[arg-type]


def letters(word: str) -> int:
    return len(word)


def pieces(word: str) -> int:
    return 1 + (len(word) - 1) // 3


def whole(_: str) -> int:
    return 1


@pytest.mark.parametrize("cost", [whole, pieces, letters])
@pytest.mark.parametrize("template", [0, 7, 25])
def test_text_prompts_have_the_asked_length_by_what_the_server_counts(
    cost: Callable[[str], int], template: int
) -> None:
    def counted(spec: RequestSpec) -> int:
        words = str(spec.prompt).split()
        return template + sum(1 if word == FILLER else cost(word) for word in words)

    builder, number = builder_for(), 0
    for tokens in (512, 64, 8192, 2048, 512, 100_000):
        for _ in range(8):
            number += 1
            spec = builder.spec(number, Dials(prompt_tokens=tokens))
            builder.learn(spec, request("a", number, prompt_tokens=counted(spec)))
        for further in range(20):
            assert abs(counted(builder.spec(1000 + further, Dials(prompt_tokens=tokens))) - tokens) <= 1


def test_a_server_that_counts_nonsense_is_not_followed() -> None:
    builder = builder_for()
    for number in range(20):
        builder.learn(builder.spec(number, Dials(prompt_tokens=512)), request("a", number, prompt_tokens=1))
    assert len(str(builder.spec(99, Dials(prompt_tokens=512)).prompt).split()) < 1100


def test_text_prompts_begin_alike_only_as_far_as_is_shared() -> None:
    builder = builder_for(salt="s")
    fresh = [str(builder.spec(n, Dials(prompt_tokens=16)).prompt).split() for n in range(50)]
    assert len({tuple(words) for words in fresh}) == 50
    shared = Dials(prompt_tokens=4000, shared_prefix=0.5)
    common = [str(builder.spec(n, shared).prompt).split() for n in range(50)]
    starts = [next(i for i, (a, b) in enumerate(zip(common[0], w, strict=True)) if a != b) for w in common[1:]]
    assert min(starts) >= 2000
    assert max(starts) < 2010


def test_the_request_goes_to_the_path_under_the_base_url_and_carries_the_headers() -> None:
    builder = builder_for(headers={"Authorization": "Bearer k"})
    dials = Dials(prompt_tokens=16)
    raw = builder.http_request(builder.spec(0, dials), dials)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /x/v1/chat/completions HTTP/1.1\r\nHost: h:1\r\n")
    assert b"Authorization: Bearer k" in head
    assert f"Content-Length: {len(body)}".encode() in head


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
