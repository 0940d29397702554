"""The tiny request that proves that a server streams."""

import httpx
import msgspec
import pytest

from tests.engines.sites import Site, captured
from tui.engines.detect import DetectedServer
from tui.engines.probe import parse_stream, probe_stream
from tui.model.profile import Endpoint
from tui.model.session import LaneInfo
from tui.model.text import UserError

URL = "http://engine.test:8000"
SSE = {"content-type": "text/event-stream; charset=utf-8"}


def server(kind: str = "vllm", endpoint: Endpoint = "completions", ids: int = 0) -> DetectedServer:
    info = LaneInfo(url=URL, engine=kind, title=kind, model="m", endpoint=endpoint)
    return DetectedServer(info, list(range(100, 100 + ids)), "", "", {"Authorization": "x"})


@pytest.mark.parametrize(
    ("name", "events", "prompt_tokens", "output_tokens"),
    [
        ("vllm-0.32.0-completions.sse", 4, 70, 4),
        ("sglang-0.5.23-completions.sse", 3, 70, 4),
        ("sglang-0.5.23-generate.sse", 6, 5, 6),
        ("llamacpp-completions.sse", 4, 70, 4),
        ("transformers-chat.sse", 8, 77, 8),
    ],
)
def test_captured_streams(name: str, events: int, prompt_tokens: int, output_tokens: int) -> None:
    answer = parse_stream(captured(name))
    assert (answer.events, answer.prompt_tokens, answer.output_tokens) == (events, prompt_tokens, output_tokens)
    assert answer.finish_reason == "length"


async def test_ids_or_text_go_to_the_lanes_endpoint() -> None:
    answers = {
        f"POST /v1/{path}": httpx.Response(200, headers=SSE, content=captured("vllm-0.32.0-completions.sse"))
        for path in ("completions", "chat/completions")
    }
    site = Site(answers)
    await probe_stream(server(ids=20), transport=site)
    await probe_stream(server(ids=20), prompt="hello", transport=site)
    await probe_stream(server("openai", "chat"), prompt="hello", transport=site)
    sent = [msgspec.json.decode(request.content) for request in site.asked]
    assert site.paths == ["/v1/completions", "/v1/completions", "/v1/chat/completions"]
    assert sent[0]["prompt"] == list(range(100, 108))
    assert (sent[0]["max_tokens"], sent[1]["prompt"]) == (4, "hello")
    assert sent[2]["messages"][0]["content"] == "hello"
    assert site.asked[2].headers["authorization"] == "x"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(200, json={"choices": [{"text": "whole"}]}), "does not stream: asked for a stream, it sends"),
        (httpx.Response(200, headers=SSE, content=b"data: [DONE]\n\n"), "its stream carries no text"),
        (httpx.Response(200, headers=SSE, content=b": keep-alive\n\ndata: {broken\n\n"), "carries no text"),
        (
            httpx.Response(400, json={"object": "error", "message": "no \x1b[1msuch field"}),
            "(HTTP 400): no such field",
        ),
        (httpx.Response(404, json={"detail": "Not Found"}), "/v1/completions answers HTTP 404: Not Found"),
        (httpx.Response(200, headers=SSE, content=b'data: {"error": {"message": "queue full"}}\n\n'), "queue full"),
        (httpx.Response(200, headers=SSE, content=b'data: {"error": "no memory"}\n\n'), "no memory"),
    ],
)
async def test_what_does_not_stream_is_an_error(answer: httpx.Response, words: str) -> None:
    with pytest.raises(UserError, match=r"http://engine\.test|error in its stream") as caught:
        await probe_stream(server(), transport=Site({"POST /v1/completions": answer}))
    assert words in str(caught.value)


async def test_an_answer_that_never_ends_is_cut() -> None:
    endless = httpx.Response(200, headers=SSE, content=b'data: {"choices":[{"text":"x"}]}\n\n' * 50_000)
    with pytest.raises(UserError, match="does not keep to the four tokens"):
        await probe_stream(server(), transport=Site({"POST /v1/completions": endless}))


async def test_a_server_that_breaks_off_is_an_error() -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("peer closed")

    with pytest.raises(UserError, match="broke off while it answered: peer closed"):
        await probe_stream(server(), transport=httpx.MockTransport(broken))


def test_reasoning_and_tool_calls_are_output() -> None:
    raw = (
        b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\r\n\r\n'
        b'data: {"choices":[{"delta":{"reasoning":"hm"}}]}\r\n\r\n'
        b'data: {"choices":[{"delta":{"reasoning_content":"m","content":null}}]}\r\n\r\n'
        b'data: {"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}\r\n\r\n'
    )
    answer = parse_stream(raw)
    assert (answer.events, answer.text) == (3, "hmm")


@pytest.mark.parametrize(
    "event", [b'{"choices":5}', b'{"choices":[5]}', b'{"choices":[{"delta":"a"}]}', b"[" * 100_000, b'{"a":"\xff"}']
)
def test_events_of_another_kind_are_no_output(event: bytes) -> None:
    assert parse_stream(b"data: " + event + b"\n\n").events == 0


def test_a_finish_reason_is_cleaned() -> None:
    assert parse_stream(b'data: {"choices":[{"finish_reason":"\\u001b[31mstop"}]}\n\n').finish_reason == "stop"
