"""The official client and the measured path read the same answer alike."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec
import pytest

from tests.engines.sites import lane
from tests.load.once import Answer, once
from tests.simulator.serving import serving
from tui.doctor.openai_client import client_answer
from tui.engines.detect import DetectedServer, detect_lane
from tui.engines.probe import StreamedAnswer
from tui.load.pipe import LanePlan
from tui.load.prompts import RequestSpec
from tui.model.dials import Dials
from tui.model.profile import Endpoint

PROMPT = "The quick brown fox jumps over 13 lazy dogs; naïve façades, 東京 and λ-calculus follow."
TOKENS = 24
Asking = Callable[[Endpoint], AbstractAsyncContextManager[DetectedServer]]


def simulated(engine: str) -> Asking:
    @asynccontextmanager
    async def found(endpoint: Endpoint) -> AsyncIterator[DetectedServer]:
        async with serving(engine) as client:
            yield await found_at(str(client.base_url).rstrip("/"), endpoint)

    return found


async def found_at(url: str, endpoint: Endpoint) -> DetectedServer:
    found = await detect_lane(lane(url))
    info = msgspec.structs.replace(found.info, endpoint=endpoint, prompt_form="text")
    return DetectedServer(info, [], found.metrics_url, found.metrics_note, found.headers)


async def ours(found: DetectedServer) -> Answer:
    plan = LanePlan(
        lane="a",
        url=found.info.url,
        engine=found.info.engine,
        model=found.info.model,
        endpoint=found.info.endpoint,
        prompt_form="text",
        headers=dict(found.headers),
    )
    return await once(plan, RequestSpec(0, PROMPT, 16, 0, 0, TOKENS, 0), Dials(temperature=0.0))


def agree(answer: Answer, client: StreamedAnswer) -> None:
    assert (answer.row.outcome, answer.row.detail) == ("ok", "")
    assert answer.text == client.text != ""
    assert answer.row.output_tokens == client.output_tokens == TOKENS
    assert answer.row.prompt_tokens == client.prompt_tokens
    assert answer.row.finish_reason == client.finish_reason == "length"


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
@pytest.mark.parametrize("engine", ["vllm", "sglang"])
async def test_on_the_simulators(engine: str, endpoint: Endpoint) -> None:
    async with simulated(engine)(endpoint) as found:
        agree(await ours(found), await client_answer(found, PROMPT, output_tokens=TOKENS))


async def test_generate_gives_the_answer_that_the_client_gets_from_completions() -> None:
    async with simulated("sglang")("generate") as found:
        agree(await ours(found), await client_answer(found, PROMPT, output_tokens=TOKENS))


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
async def test_on_a_real_llamacpp_server(llamacpp_url: str, endpoint: Endpoint) -> None:
    found = await found_at(llamacpp_url, endpoint)
    await ours(found)  # from here on its prompt is cached: computing it anew would round another way
    agree(await ours(found), await client_answer(found, PROMPT, output_tokens=TOKENS))
