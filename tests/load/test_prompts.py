"""Requests are the same in both lanes, and prompts have the asked length and shared start as servers count them."""

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Iterable

import httpx
import msgspec
import pytest

from tests.engines.sites import lane
from tests.judge.made import request
from tests.load.test_body import builder_for
from tests.simulator.serving import serving
from tui.engines.detect import detect_lane
from tui.engines.readings import gauges_from
from tui.engines.registry import get_engine
from tui.load.driver import LanePlan, Setting
from tui.load.lane import LaneLoad
from tui.load.requests import FILLER, RequestList, RequestSpec
from tui.model import gauges
from tui.model.dials import Dials
from tui.model.rows import RequestRow

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


def test_text_prompts_share_only_the_shared_start() -> None:
    builder = builder_for(salt="s")
    fresh = [str(builder.spec(n, Dials(prompt_tokens=16)).prompt).split() for n in range(50)]
    assert len({tuple(words) for words in fresh}) == 50
    shared = Dials(prompt_tokens=4000, shared_prefix=0.5)
    common = [str(builder.spec(n, shared).prompt).split() for n in range(50)]
    starts = [next(i for i, (a, b) in enumerate(zip(common[0], w, strict=True)) if a != b) for w in common[1:]]
    assert min(starts) >= 2000
    assert max(starts) < 2010


STOPPED = Setting(0, Dials(concurrency=0))


ANSWERS_TO_LEARN = 8


SHARES = [0.0, 0.5, 0.9]


PROMPT_TOKENS = 1000


SIMULATED_PAGE_TOKENS = 16


LARGEST_PAGE_TOKENS = 128  # vLLM's on a CPU


async def plan(url: str, **changes: object) -> LanePlan:
    server = await detect_lane(lane(url))
    fields = {
        "lane": "a",
        "url": url,
        "engine": server.info.engine,
        "model": server.info.model,
        "endpoint": "completions",
        "prompt_form": "ids" if server.token_pool else "text",
        "token_pool": server.token_pool,
        "salt": "prompts",
    }
    return LanePlan(**(fields | changes))  # type: ignore[arg-type]


async def answers(load: LaneLoad, dials: Dials, count: int, within_s: float = 30) -> list[RequestRow]:
    """Rows of `count` requests under these dials."""
    segment = load.setting.segment + 1
    load.set(Setting(segment, dials))
    async with asyncio.timeout(within_s):
        while len(rows := [row for row in load.rows if row.segment == segment]) < count:
            await asyncio.sleep(0.005)
    load.set(Setting(segment, Dials(concurrency=0)))
    assert {row.outcome for row in rows} == {"ok"}, rows
    return rows


async def lengths(lane: LanePlan, asked: Iterable[int], learning: int) -> list[tuple[int, int | None]]:
    """Prompt tokens asked for and counted by the server, once `learning` answers have come for each length."""
    load = LaneLoad(lane, STOPPED)
    counted = []
    for tokens in asked:
        rows = await answers(load, Dials(concurrency=1, prompt_tokens=tokens, output_tokens=1), learning + 3)
        counted += [(tokens, row.prompt_tokens) for row in rows[learning:]]
    load.close()
    return counted


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
async def test_ids_are_exact_on_the_simulators(kind: str) -> None:
    async with serving(kind) as client:
        lane = await plan(str(client.base_url).rstrip("/"))
        assert lane.prompt_form == "ids"
        counted = await lengths(lane, (16, 500, 30_000), 0)
    assert [counted for _, counted in counted] == [asked for asked, _ in counted]


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
async def test_text_is_exact_on_the_simulators_once_they_have_counted(kind: str) -> None:
    async with serving(kind) as client:
        lane = await plan(str(client.base_url).rstrip("/"), endpoint="chat", prompt_form="text")
        counted = await lengths(lane, (16, 64, 512, 8192), ANSWERS_TO_LEARN)
    assert all(count is not None and abs(count - asked) <= 1 for asked, count in counted), counted


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
async def test_text_is_exact_on_a_real_llamacpp_server_once_it_has_counted(llamacpp_url: str, endpoint: str) -> None:
    lane = await plan(llamacpp_url, endpoint=endpoint, prompt_form="text")
    counted = await lengths(lane, (64, 512, 2048), ANSWERS_TO_LEARN)
    assert all(count is not None and abs(count - asked) <= 1 for asked, count in counted), counted


async def prefix_tokens(lane: LanePlan) -> tuple[float, float]:
    """Prompt tokens that the server found in its prefix cache since its start, and those that it looked up."""
    async with httpx.AsyncClient() as client:
        page = (await client.get(f"{lane.url}/metrics")).content
    values = gauges_from(get_engine(lane.engine), page)
    return values.get(gauges.PREFIX_HITS, 0.0), values.get(gauges.PREFIX_QUERIES, 0.0)


async def cached_shares(lane: LanePlan, asked: Iterable[float]) -> list[float]:
    """The share of prompt tokens that the server's cache held, by its own counters, for each share asked for."""
    load, shares = LaneLoad(lane, STOPPED), []
    for shared in asked:
        dials = Dials(concurrency=1, prompt_tokens=PROMPT_TOKENS, output_tokens=1, shared_prefix=shared)
        await answers(load, dials, ANSWERS_TO_LEARN)
        hits, queries = await prefix_tokens(lane)
        await answers(load, dials, 6)
        hits_after, queries_after = await prefix_tokens(lane)
        shares.append((hits_after - hits) / (queries_after - queries))
    load.close()
    return shares


def as_asked(shares: list[float], form: str, page_tokens: int) -> bool:
    """A cache counts whole pages, and a token or two of a prompt's own start may match by chance.

    Of a text it is a share of the words, and a small vocabulary cuts some of them into more tokens than others.
    """
    slack = 0.002 if form == "ids" else 0.04
    low = [shared - page_tokens / PROMPT_TOKENS - slack for shared in SHARES]
    high = [shared + slack for shared in SHARES]
    return all(least <= share <= most for least, share, most in zip(low, shares, high, strict=True))


@pytest.mark.parametrize("form", ["ids", "text"])
@pytest.mark.parametrize("kind", ["vllm", "sglang"])
async def test_the_servers_cache_counters_confirm_the_shared_start(kind: str, form: str) -> None:
    async with serving(kind) as client:
        lane = await plan(str(client.base_url).rstrip("/"), prompt_form=form)
        shares = await cached_shares(lane, SHARES)
    assert as_asked(shares, form, SIMULATED_PAGE_TOKENS), shares


@pytest.mark.engines
@pytest.mark.parametrize("form", ["ids", "text"])
@pytest.mark.parametrize("variable", ["DRAGSTRIP_VLLM_URL", "DRAGSTRIP_SGLANG_URL"])
async def test_real_engines_confirm_lengths_and_the_shared_start(variable: str, form: str) -> None:
    lane = await plan(os.environ[variable], prompt_form=form, salt=str(time.time_ns()))
    counted = await lengths(lane, (16, 500, 4000), 0 if form == "ids" else ANSWERS_TO_LEARN)
    assert all(count is not None and abs(count - asked) <= (form == "text") for asked, count in counted), counted
    fresh = msgspec.structs.replace(lane, salt=f"{lane.salt} again")  # else the same requests come once more
    shares = await cached_shares(fresh, SHARES)
    assert as_asked(shares, form, LARGEST_PAGE_TOKENS), shares
