"""Prompts have the asked length and the asked shared start as the servers themselves count them."""

import asyncio
import os
import time
from collections.abc import Iterable

import httpx
import msgspec
import pytest

from tests.engines.sites import lane
from tests.simulator.serving import serving
from tui.engines.detect import detect_lane
from tui.engines.registry import engine
from tui.load.lane import LaneLoad
from tui.load.pipe import LanePlan, Setting
from tui.model import gauges
from tui.model.dials import Dials
from tui.model.rows import RequestRow
from tui.telemetry.server import gauges_from

STOPPED = Setting(0, Dials(concurrency=0))
ANSWERS_TO_LEARN = 8
SHARES = [0.0, 0.5, 0.9]
PROMPT_TOKENS = 1000
SIMULATED_PAGE_TOKENS = 16
LARGEST_PAGE_TOKENS = 128  # vLLM's on a CPU


async def plan(url: str, **changes: object) -> LanePlan:
    found = await detect_lane(lane(url))
    fields = {
        "lane": "a",
        "url": url,
        "engine": found.info.engine,
        "model": found.info.model,
        "endpoint": "completions",
        "prompt_form": "ids" if found.token_pool else "text",
        "token_pool": found.token_pool,
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
    assert [told for _, told in counted] == [asked for asked, _ in counted]


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
async def test_text_is_exact_on_the_simulators_once_they_have_counted(kind: str) -> None:
    async with serving(kind) as client:
        lane = await plan(str(client.base_url).rstrip("/"), endpoint="chat", prompt_form="text")
        counted = await lengths(lane, (16, 64, 512, 8192), ANSWERS_TO_LEARN)
    assert all(told is not None and abs(told - asked) <= 1 for asked, told in counted), counted


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
async def test_text_is_exact_on_a_real_llamacpp_server_once_it_has_counted(llamacpp_url: str, endpoint: str) -> None:
    lane = await plan(llamacpp_url, endpoint=endpoint, prompt_form="text")
    counted = await lengths(lane, (64, 512, 2048), ANSWERS_TO_LEARN)
    assert all(told is not None and abs(told - asked) <= 1 for asked, told in counted), counted


async def prefix_tokens(lane: LanePlan) -> tuple[float, float]:
    """Prompt tokens that the server found in its prefix cache since its start, and those that it looked up."""
    async with httpx.AsyncClient() as client:
        page = (await client.get(f"{lane.url}/metrics")).content
    told = gauges_from(engine(lane.engine), page)
    return told.get(gauges.PREFIX_HITS, 0.0), told.get(gauges.PREFIX_QUERIES, 0.0)


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
async def test_the_servers_own_cache_counters_confirm_the_shared_start(kind: str, form: str) -> None:
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
    assert all(told is not None and abs(told - asked) <= (form == "text") for asked, told in counted), counted
    fresh = msgspec.structs.replace(lane, salt=f"{lane.salt} again")  # else the same requests come once more
    shares = await cached_shares(fresh, SHARES)
    assert as_asked(shares, form, LARGEST_PAGE_TOKENS), shares
