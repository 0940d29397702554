"""The official client and the measured path read the same answer alike."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import msgspec
import pytest

from tests.engines.sites import lane
from tests.load.once import Answer, once
from tests.simulator.serving import serving
from tui.doctor.examine import answer_differences, client_answer
from tui.engines.detect import DetectedServer, detect_lane
from tui.engines.probe import StreamedAnswer
from tui.engines.registry import ENGINES
from tui.load.driver import LanePlan
from tui.load.requests import RequestSpec
from tui.model.dials import Dials
from tui.model.profile import Endpoint
from tui.model.session import LaneInfo
from tui.model.text import UserError

PROMPT = "The quick brown fox jumps over 13 lazy dogs; naïve façades, 東京 and λ-calculus follow."
TOKENS = 24


@asynccontextmanager
async def simulated(engine: str, endpoint: Endpoint) -> AsyncIterator[DetectedServer]:
    async with serving(engine) as client:
        yield await server_at(str(client.base_url).rstrip("/"), endpoint)


async def server_at(url: str, endpoint: Endpoint) -> DetectedServer:
    server = await detect_lane(lane(url))
    info = msgspec.structs.replace(server.info, endpoint=endpoint, prompt_form="text")
    return replace(server, info=info, token_pool=[])


async def ours(server: DetectedServer) -> Answer:
    plan = LanePlan(
        lane="a",
        url=server.info.url,
        engine=server.info.engine,
        model=server.info.model,
        endpoint=server.info.endpoint,
        prompt_form="text",
        headers=dict(server.headers),
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
    async with simulated(engine, endpoint) as server:
        agree(await ours(server), await client_answer(server, PROMPT, output_tokens=TOKENS))


async def test_generate_gives_the_answer_that_the_client_gets_from_completions() -> None:
    async with simulated("sglang", "generate") as server:
        agree(await ours(server), await client_answer(server, PROMPT, output_tokens=TOKENS))


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
async def test_on_a_real_llamacpp_server(llamacpp_url: str, endpoint: Endpoint) -> None:
    server = await server_at(llamacpp_url, endpoint)
    await ours(server)  # from here on its prompt is cached: computing it anew would round another way
    agree(await ours(server), await client_answer(server, PROMPT, output_tokens=TOKENS))


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (StreamedAnswer(9, "text", 70, 4, "length"), ""),
        (StreamedAnswer(9, "text", 70, 3, "stop"), "different output tokens, different finish reason"),
        (StreamedAnswer(9, "other", 70, 4, "length"), "different text"),
    ],
)
def test_the_official_clients_answer_against_ours(theirs: StreamedAnswer, words: str) -> None:
    assert answer_differences(theirs, StreamedAnswer(4, "text", 70, 4, "length")) == words


async def test_an_official_client_that_fails_says_why(address: str) -> None:
    server = await detect_lane(lane(address))
    missing = replace(server, info=msgspec.structs.replace(server.info, endpoint="chat"))
    with pytest.raises(UserError, match="the openai client fails: Error code: 404"):
        await client_answer(missing, "hello")


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("endpoint", ["chat", "completions"])
async def test_no_field_of_an_engine_is_one_that_the_client_does_not_take(kind: str, endpoint: Endpoint) -> None:
    async with simulated("vllm", endpoint) as server:
        info = msgspec.structs.replace(server.info, engine=kind)
        answer = await client_answer(replace(server, info=info), PROMPT, output_tokens=TOKENS)
    assert answer.output_tokens


@pytest.mark.parametrize(
    "events",
    [
        b'data: {"choices": null}\n\n',
        b'data: {"choices": [{"delta": "text"}]}\n\n',
        b'data: {"usage": 3, "choices": []}\n\n',
        b"data: {not json\n\n",
        b"data: 7\n\n",
        b'data: {"error": "no memory left"}\n\n',
    ],
)
async def test_no_answer_ends_in_more_than_a_sentence(events: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + events)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        info = LaneInfo(url=url, engine="vllm", title="vLLM", model="m", endpoint="chat")
        with pytest.raises(UserError, match="the openai client fails"):
            await client_answer(DetectedServer(info, [], "", ""), PROMPT)
