"""The official openai client and our own reader see the same text, tokens and finish reason in one answer."""

from dataclasses import replace

import httpx
import pytest
from msgspec import structs

from tests.simulator.serving import serving
from tui.engines.base import Ask
from tui.engines.recognise import Found, recognise
from tui.engines.registry import engine
from tui.engines.streaming import OUTPUT_TOKENS, Streamed
from tui.load.events import EventReader
from tui.session.second_opinion import ask

PROMPT = "Count from one to ten."


async def as_the_load_reads_it(found: Found) -> Streamed:
    """Ask what the official client asks, and read the raw bytes as the measured path does."""
    info = found.info
    chat = info.endpoint == "chat"
    body = engine(info.engine).body(Ask("chat" if chat else "completions", info.model, PROMPT, OUTPUT_TOKENS, 0.0, 0))
    path = "/v1/chat/completions" if chat else "/v1/completions"
    reader = EventReader(chat=chat, text=[])
    async with (
        httpx.AsyncClient(trust_env=False, timeout=30) as client,
        client.stream("POST", info.url + path, json=body, headers=dict(found.headers)) as answer,
    ):
        async for data in answer.aiter_raw():
            reader.feed(data)
    assert reader.text is not None
    return Streamed(
        reader.chunks, "".join(reader.text), reader.prompt_tokens, reader.completion_tokens, reader.finish_reason
    )


async def look(url: str, endpoint: str) -> Found:
    found = await recognise(url, key="", key_env="", kind="", model="", headers={}, verify=True, timeout_s=10)
    return replace(found, info=structs.replace(found.info, endpoint=endpoint))


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
async def test_on_a_real_llamacpp(llamacpp_url: str, endpoint: str) -> None:
    found = await look(llamacpp_url, endpoint)
    ours = await as_the_load_reads_it(found)
    assert ours.text
    assert ours.output_tokens == OUTPUT_TOKENS
    assert (await ask(found, PROMPT)).against(ours) == ""


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
@pytest.mark.parametrize("kind", ["vllm", "sglang"])
async def test_on_the_simulator(kind: str, endpoint: str) -> None:
    async with serving(kind) as client:
        found = await look(str(client.base_url).rstrip("/"), endpoint)
        ours = await as_the_load_reads_it(found)
        assert ours.text
        assert ours.output_tokens == OUTPUT_TOKENS
        assert (await ask(found, PROMPT)).against(ours) == ""
