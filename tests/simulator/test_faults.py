"""Every fault comes when it was asked for, to as many requests as asked for, and then no more."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.simulator.serving import events, serving, until_idle
from tui.simulator.server import TOKENS_BEFORE_FAULT

BODY: dict[str, Any] = {"prompt": [1], "max_tokens": 10, "ignore_eos": True, "stream": True}
USAGE = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}


@pytest.fixture(params=["vllm", "sglang"])
async def simulator(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, httpx.AsyncClient]]:
    async with serving(request.param) as client:
        yield request.param, client


async def fault(client: httpx.AsyncClient, kind: str, count: int = 1) -> None:
    answer = await client.post("/_simulator/fault", json={"kind": kind, "count": count})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("status", [429, 503])
async def test_overload_lasts_as_many_requests_as_asked_for(
    simulator: tuple[str, httpx.AsyncClient], status: int
) -> None:
    engine, client = simulator
    await fault(client, f"http_{status}", 2)
    answers = [await client.post("/v1/completions", json=BODY) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert ("error" in answers[0].json()) == (engine == "vllm")


async def test_an_error_in_the_stream_is_followed_by_the_end_mark(simulator: tuple[str, httpx.AsyncClient]) -> None:
    _, client = simulator
    await fault(client, "error_in_stream")
    *tokens, error = await events(client, "/v1/completions", BODY)
    assert len(tokens) == TOKENS_BEFORE_FAULT
    assert error["error"]["code"] == 500


@pytest.mark.parametrize("kind", ["cut", "reset"])
async def test_a_connection_breaks_off_in_mid_stream(simulator: tuple[str, httpx.AsyncClient], kind: str) -> None:
    engine, client = simulator
    await fault(client, kind)
    came = b""
    with pytest.raises(httpx.RemoteProtocolError if kind == "cut" else httpx.ReadError):
        async with client.stream("POST", "/v1/completions", json=BODY) as answer:
            async for piece in answer.aiter_bytes():
                came += piece
    assert kind == "reset" or came.count(b"data: ") == TOKENS_BEFORE_FAULT  # a reset may overtake what was sent
    await until_idle(client, engine)


async def test_a_stalled_stream_stays_open_and_ends_with_its_client(
    simulator: tuple[str, httpx.AsyncClient],
) -> None:
    engine, client = simulator
    await fault(client, "stall")
    came = b""
    async with client.stream("POST", "/v1/completions", json=BODY) as answer:
        pieces = answer.aiter_bytes()
        while came.count(b"data: ") < TOKENS_BEFORE_FAULT:
            came += await anext(pieces)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                came += await anext(pieces)
    assert came.count(b"data: ") == TOKENS_BEFORE_FAULT
    await until_idle(client, engine)


async def test_a_server_without_streams_answers_whole(simulator: tuple[str, httpx.AsyncClient]) -> None:
    _, client = simulator
    await fault(client, "no_stream")
    answer = await client.post("/v1/completions", json=BODY)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()["usage"]["completion_tokens"] == 10


async def test_a_server_without_usage_gives_none(simulator: tuple[str, httpx.AsyncClient]) -> None:
    _, client = simulator
    await fault(client, "no_usage")
    received = await events(client, "/v1/completions", BODY | USAGE)
    assert len(received) == 10
    assert not any(event.get("usage") for event in received)


async def test_faults_to_come_can_be_taken_back(simulator: tuple[str, httpx.AsyncClient]) -> None:
    _, client = simulator
    await fault(client, "http_503", 5)
    assert (await client.delete("/_simulator/fault")).status_code == 200
    assert (await client.post("/v1/completions", json=BODY)).status_code == 200


async def test_an_unknown_fault_is_refused(simulator: tuple[str, httpx.AsyncClient]) -> None:
    _, client = simulator
    answer = await client.post("/_simulator/fault", json={"kind": "nonsense"})
    assert answer.status_code == 400
    assert "error_in_stream" in answer.text
