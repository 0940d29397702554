"""The simulated engines over real HTTP: they behave like the engines they imitate, and fail as often as asked."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.simulator.serving import events, serving, until_idle
from tui.simulator.requests import CHAT_TEMPLATE, tokenize, word
from tui.simulator.server import TOKENS_BEFORE_FAULT

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "bababa dedede"}], "ignore_eos": True}
TEXT: dict[str, Any] = {"prompt": [1, 2, 3], "max_tokens": 10, "ignore_eos": True}


@pytest.fixture(params=["vllm", "sglang"])
async def simulator(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, httpx.AsyncClient]]:
    async with serving(request.param) as client:
        yield request.param, client


async def test_a_chat_stream_has_role_tokens_finish_and_usage(simulator: tuple[str, httpx.AsyncClient]) -> None:
    engine, client = simulator
    asked = CHAT | {"max_completion_tokens": 5, "stream_options": {"include_usage": True}}
    role, *tokens, usage = await events(client, "/v1/chat/completions", asked)
    assert role["choices"][0]["delta"]["role"] == "assistant"
    if engine == "sglang":  # the finish reason comes in an extra event
        *tokens, finish = tokens
        assert "content" not in finish["choices"][0]["delta"]
        assert finish["choices"][0]["finish_reason"] == "length"
    else:
        assert tokens[-1]["choices"][0]["finish_reason"] == "length"
    assert [len(tokenize(event["choices"][0]["delta"]["content"])) for event in tokens] == [1] * 5
    assert usage["choices"] == []
    counted = {
        "prompt_tokens": 2 + len(CHAT_TEMPLATE),
        "completion_tokens": 5,
        "total_tokens": 7 + len(CHAT_TEMPLATE),
    }
    assert usage["usage"].items() >= counted.items()


async def test_usage_on_every_chunk_counts_up(simulator: tuple[str, httpx.AsyncClient]) -> None:
    _, client = simulator
    options = {"include_usage": True, "continuous_usage_stats": True}
    *tokens, usage = await events(client, "/v1/completions", TEXT | {"stream_options": options})
    assert [event["usage"]["completion_tokens"] for event in tokens] == list(range(1, 11))
    counted = {"prompt_tokens": 3, "completion_tokens": 10, "total_tokens": 13}
    assert usage["usage"].items() >= counted.items()


async def test_only_sglang_heeds_continuous_usage_alone(simulator: tuple[str, httpx.AsyncClient]) -> None:
    engine, client = simulator
    options = {"continuous_usage_stats": True}
    tokens = await events(client, "/v1/completions", TEXT | {"stream_options": options})
    assert len(tokens) == 10
    assert all(bool(event.get("usage")) == (engine == "sglang") for event in tokens)


async def test_a_stream_and_a_plain_answer_to_one_greedy_prompt_say_the_same(
    simulator: tuple[str, httpx.AsyncClient],
) -> None:
    _, client = simulator
    greedy = TEXT | {"temperature": 0}
    streamed = "".join(e["choices"][0]["text"] for e in await events(client, "/v1/completions", greedy))
    plain = (await client.post("/v1/completions", json=greedy)).json()
    assert plain["choices"][0]["text"] == streamed
    assert len(tokenize(streamed)) == plain["usage"]["completion_tokens"] == 10
    sampled = (await client.post("/v1/completions", json=TEXT)).json()
    assert sampled["choices"][0]["text"] != streamed


async def test_many_at_once_each_get_exactly_their_tokens(simulator: tuple[str, httpx.AsyncClient]) -> None:
    _, client = simulator

    async def one(number: int) -> int:
        asked = {"prompt": [number] * 40, "max_tokens": 5 + number, "ignore_eos": True}
        return len(await events(client, "/v1/completions", asked))

    assert await asyncio.gather(*(one(n) for n in range(24))) == [5 + n for n in range(24)]


async def test_vllm_sends_its_headers_at_once_and_sglang_with_the_first_token() -> None:
    early: dict[str, float] = {}
    for engine in ("vllm", "sglang"):
        async with serving(engine, speed=1) as client:
            sent_s = time.monotonic()
            async with client.stream("POST", "/v1/completions", json=TEXT | {"stream": True}) as answer:
                headers_s = time.monotonic() - sent_s
                async for _ in answer.aiter_bytes():
                    early[engine] = headers_s / (time.monotonic() - sent_s)
                    break
    assert early["vllm"] < 0.5 < early["sglang"]


async def test_sglang_gives_an_empty_answer_for_no_tokens() -> None:
    async with serving("sglang") as client:
        role, finish = await events(client, "/v1/chat/completions", CHAT | {"max_tokens": 0})
        assert role["choices"][0]["delta"]["content"] == ""
        assert finish["choices"][0]["finish_reason"] == "length"


async def test_errors_come_with_status_and_the_engines_body(simulator: tuple[str, httpx.AsyncClient]) -> None:
    engine, client = simulator
    answer = await client.post("/v1/completions", json={"prompt": [1] * 40_000, "stream": True})
    assert answer.status_code == 400
    body = answer.json()
    assert "context length" in (body["error"] if engine == "vllm" else body)["message"]
    assert (await client.post("/v1/completions", content=b"{")).status_code == 400
    unknown = await client.post("/v1/completions", json=TEXT | {"model": "nope"})
    assert unknown.status_code == (404 if engine == "vllm" else 200)
    nowhere = await client.get("/nowhere")
    assert (nowhere.status_code, nowhere.json()) == (404, {"detail": "Not Found"})
    assert (await client.get("/v1/completions")).json() == {"detail": "Method Not Allowed"}


async def test_it_says_what_it_is_everywhere(simulator: tuple[str, httpx.AsyncClient]) -> None:
    engine, client = simulator
    model = (await client.get("/v1/models")).json()["data"][0]
    assert model["simulated"] is True
    assert model["root"].startswith("SIMULATED")
    assert model["owned_by"] == engine
    paths = {
        "vllm": ("/version", "/ping", "/health", "/metrics", "/nowhere"),
        "sglang": ("/server_info", "/ping", "/health", "/metrics", "/nowhere"),
    }
    for path in paths[engine]:
        assert (await client.get(path)).headers["server"] == "dragstrip-simulator", path
    other = paths["sglang" if engine == "vllm" else "vllm"][0]
    assert (await client.get(other)).status_code == 404


async def test_its_tokeniser_knows_its_words(simulator: tuple[str, httpx.AsyncClient]) -> None:
    _, client = simulator
    text = "".join(map(word, [5, 31_999, 77]))
    there = (await client.post("/tokenize", json={"prompt": text})).json()
    assert (there["tokens"], there["count"], there["max_model_len"]) == ([5, 31_999, 77], 3, 32_768)
    assert (await client.post("/tokenize", json={})).status_code == 400


async def test_a_client_that_hangs_up_frees_the_stream_and_its_memory(
    simulator: tuple[str, httpx.AsyncClient],
) -> None:
    engine, client = simulator
    endless = TEXT | {"max_tokens": 30_000, "stream": True}
    async with client.stream("POST", "/v1/completions", json=endless) as answer:
        async for _ in answer.aiter_bytes():
            break
    await until_idle(client, engine)
    reset = "/reset_prefix_cache" if engine == "vllm" else "/flush_cache"
    answer = await client.post(reset)
    assert (answer.json()["success"] if engine == "vllm" else answer.status_code == 200) is True


def test_words_are_one_token_each_and_come_back() -> None:
    tokens = [0, 1, 31_999, 12_345]
    assert tokenize("".join(map(word, tokens))) == tokens
    assert len(tokenize("internationalisation, they said")) == 7


STREAM: dict[str, Any] = {"prompt": [1], "max_tokens": 10, "ignore_eos": True, "stream": True}
USAGE = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}


async def fault(client: httpx.AsyncClient, kind: str, count: int = 1) -> None:
    answer = await client.post("/_simulator/fault", json={"kind": kind, "count": count})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("status", [429, 503])
async def test_overload_lasts_as_many_requests_as_asked_for(
    simulator: tuple[str, httpx.AsyncClient], status: int
) -> None:
    engine, client = simulator
    await fault(client, f"http_{status}", 2)
    answers = [await client.post("/v1/completions", json=STREAM) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert ("error" in answers[0].json()) == (engine == "vllm")


async def test_an_error_in_the_stream_is_followed_by_the_end_mark(simulator: tuple[str, httpx.AsyncClient]) -> None:
    _, client = simulator
    await fault(client, "error_in_stream")
    *tokens, error = await events(client, "/v1/completions", STREAM)
    assert len(tokens) == TOKENS_BEFORE_FAULT
    assert error["error"]["code"] == 500


@pytest.mark.parametrize("kind", ["cut", "reset"])
async def test_a_connection_breaks_off_in_mid_stream(simulator: tuple[str, httpx.AsyncClient], kind: str) -> None:
    engine, client = simulator
    await fault(client, kind)
    came = b""
    with pytest.raises(httpx.RemoteProtocolError if kind == "cut" else httpx.ReadError):
        async with client.stream("POST", "/v1/completions", json=STREAM) as answer:
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
    async with client.stream("POST", "/v1/completions", json=STREAM) as answer:
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
    answer = await client.post("/v1/completions", json=STREAM)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()["usage"]["completion_tokens"] == 10


async def test_a_server_without_usage_gives_none(simulator: tuple[str, httpx.AsyncClient]) -> None:
    _, client = simulator
    await fault(client, "no_usage")
    received = await events(client, "/v1/completions", STREAM | USAGE)
    assert len(received) == 10
    assert not any(event.get("usage") for event in received)


async def test_faults_to_come_can_be_taken_back(simulator: tuple[str, httpx.AsyncClient]) -> None:
    _, client = simulator
    await fault(client, "http_503", 5)
    assert (await client.delete("/_simulator/fault")).status_code == 200
    assert (await client.post("/v1/completions", json=STREAM)).status_code == 200


async def test_an_unknown_fault_is_refused(simulator: tuple[str, httpx.AsyncClient]) -> None:
    _, client = simulator
    answer = await client.post("/_simulator/fault", json={"kind": "nonsense"})
    assert answer.status_code == 400
    assert "error_in_stream" in answer.text
