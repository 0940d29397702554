"""The simulated engines over real HTTP: their manners are those of the engines they stand in for."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tui.simulator.process import SimulatorProcess, start_simulator
from tui.simulator.words import detokenize, tokenize

ENGINES = ("vllm", "sglang")


@pytest.fixture(params=ENGINES)
async def simulator(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, httpx.AsyncClient]]:
    process: SimulatorProcess = await start_simulator(request.param, speed=50)
    async with httpx.AsyncClient(base_url=process.url, timeout=20) as client:
        yield request.param, client
    await process.stop()
    assert process.process.returncode == 0


async def events(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> list[Any]:
    answer = await client.post(path, json=body | {"stream": True})
    assert answer.status_code == 200, answer.text
    lines = [line for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


CHAT = {"messages": [{"role": "user", "content": "hello there"}], "max_completion_tokens": 5, "ignore_eos": True}


async def test_a_chat_stream_has_the_engines_events(simulator: tuple[str, httpx.AsyncClient]) -> None:
    engine, client = simulator
    found = await events(client, "/v1/chat/completions", CHAT | {"stream_options": {"include_usage": True}})
    role, *tokens, usage = found
    assert role["choices"][0]["delta"]["role"] == "assistant"
    assert role["choices"][0]["delta"]["content"] == ""
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 5
    if engine == "sglang":  # the finish reason comes in an event of its own
        *tokens, finish = tokens
        assert finish["choices"][0]["delta"] == {"reasoning_content": None}
        assert finish["choices"][0]["finish_reason"] == "length"
        assert "reasoning_content" in tokens[0]["choices"][0]["delta"]
    else:
        assert tokens[-1]["choices"][0]["finish_reason"] == "length"
    assert len(tokens) == 5
    assert all(event["choices"][0]["delta"]["content"] for event in tokens)


async def test_usage_on_every_chunk_counts_up(simulator: tuple[str, httpx.AsyncClient]) -> None:
    _, client = simulator
    options = {"include_usage": True, "continuous_usage_stats": True}
    body = {"prompt": [5, 6, 7], "max_tokens": 4, "ignore_eos": True, "stream_options": options}
    *tokens, usage = await events(client, "/v1/completions", body)
    assert [event["usage"]["completion_tokens"] for event in tokens] == [1, 2, 3, 4]
    counted = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert usage["usage"].items() >= counted.items()


async def test_a_plain_answer_and_one_that_may_stop(simulator: tuple[str, httpx.AsyncClient]) -> None:
    _, client = simulator
    answer = (
        await client.post("/v1/completions", json={"prompt": "hello", "max_tokens": 3, "ignore_eos": True})
    ).json()
    assert answer["usage"]["completion_tokens"] == 3
    assert len(tokenize(answer["choices"][0]["text"])) == 3
    body = {"prompt": [1], "max_tokens": 5000}
    stopped = (await client.post("/v1/completions", json=body)).json()
    assert stopped["choices"][0]["finish_reason"] == "stop"


async def test_errors_are_shaped_like_the_engines(simulator: tuple[str, httpx.AsyncClient]) -> None:
    engine, client = simulator
    answer = await client.post("/v1/completions", json={"prompt": [1] * 40_000, "max_tokens": 5})
    assert answer.status_code == 400
    body = answer.json()
    if engine == "vllm":
        assert "maximum context length is 32768 tokens" in body["error"]["message"]
        assert (await client.post("/v1/completions", json={"prompt": "x", "model": "nope"})).status_code == 404
        clamped = {"prompt": [1] * 32_760, "max_tokens": 500, "ignore_eos": True}
        assert (await client.post("/v1/completions", json=clamped)).json()["usage"]["completion_tokens"] == 8
    else:
        assert body["object"] == "error"
        assert "longer than the model's context length" in body["message"]
        assert (await client.post("/v1/completions", json={"prompt": "x", "model": "nope"})).status_code == 200
        assert (
            await client.post("/v1/completions", json={"prompt": [1] * 32_760, "max_tokens": 500})
        ).status_code == 400
    assert (await client.post("/v1/completions", content=b"{")).status_code == 400


async def test_it_says_that_it_is_simulated(simulator: tuple[str, httpx.AsyncClient]) -> None:
    engine, client = simulator
    answer = await client.get("/v1/models")
    assert answer.headers["server"] == "dragstrip-simulator"
    model = answer.json()["data"][0]
    assert model["simulated"] is True
    assert model["owned_by"] == engine
    assert "SIMULATED" in (await client.get("/dcgm/metrics")).text


async def test_metrics_have_the_engines_names_and_meanings(simulator: tuple[str, httpx.AsyncClient]) -> None:
    engine, client = simulator
    await client.post("/v1/completions", json={"prompt": [1] * 64, "max_tokens": 20, "ignore_eos": True})
    page = (await client.get("/metrics")).text
    counts = {line.split("{")[0]: float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line[0] != "#"}
    if engine == "vllm":
        assert counts["vllm:generation_tokens_total"] == 20
        assert counts["vllm:prompt_tokens_total"] == 64
        assert 'kv_cache_size_tokens="131072"' in page
    else:
        assert counts["sglang:generation_tokens_total"] == 20
        live = [
            line for line in page.splitlines() if line.startswith("sglang:realtime_tokens_total") and "decode" in line
        ]
        assert float(live[0].rsplit(" ", 1)[1]) == 19  # without the request's first token
        assert counts["sglang:max_total_num_tokens"] == 131_072


async def test_a_client_that_hangs_up_frees_the_stream(simulator: tuple[str, httpx.AsyncClient]) -> None:
    engine, client = simulator
    body = {"prompt": [1, 2], "max_tokens": 30_000, "ignore_eos": True, "stream": True}
    async with client.stream("POST", "/v1/completions", json=body) as answer:
        async for _ in answer.aiter_bytes():
            break
    running = "vllm:num_requests_running" if engine == "vllm" else "sglang:num_running_reqs"
    for _ in range(100):
        page = (await client.get("/metrics")).text
        if any(line.startswith(running) and line.endswith(" 0.0") for line in page.splitlines()):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(page)


async def test_faults_come_when_asked_for(simulator: tuple[str, httpx.AsyncClient]) -> None:
    _, client = simulator
    body = {"prompt": [1], "max_tokens": 10, "ignore_eos": True, "stream": True}

    async def with_fault(kind: str) -> httpx.Response:
        assert (await client.post("/_simulator/fault", json={"kind": kind})).status_code == 200
        return await client.post("/v1/completions", json=body)

    assert (await with_fault("http_503")).status_code == 503
    assert (await with_fault("http_429")).status_code == 429
    assert '"error"' in (await with_fault("error_in_stream")).text
    assert (await with_fault("no_stream")).headers["content-type"].startswith("application/json")
    for kind in ("cut", "reset"):
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await with_fault(kind)
    assert (await client.post("/_simulator/fault", json={"kind": "nonsense"})).status_code == 400
    assert (await client.post("/v1/completions", json=body)).status_code == 200


async def test_the_process_ends_when_its_owner_does() -> None:
    process = await start_simulator("vllm", speed=50)
    assert process.process.stdin is not None
    process.process.stdin.close()
    assert await asyncio.wait_for(process.process.wait(), 10) == 0


def test_words_are_one_token_each_and_come_back() -> None:
    tokens = [0, 1, 31_999, 12_345]
    assert tokenize(detokenize(tokens)) == tokens
    assert len(tokenize("internationalisation, they said")) == 7
