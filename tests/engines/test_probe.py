"""The tiny request that proves that a server streams."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.engines.sites import captured
from tests.load.faulty_server import (
    DONE,
    END,
    GOOD,
    HEAD,
    Behaviour,
    always,
    chunk,
    plain,
    read_request,
    serving,
    token,
)
from tui.engines.detect import DetectedServer
from tui.engines.probe import FailedAnswerError, StreamedAnswer, probe_stream
from tui.model.profile import PATHS, Endpoint
from tui.model.session import LaneInfo
from tui.model.text import UserError


@asynccontextmanager
async def server(
    behaviour: Behaviour, kind: str = "vllm", endpoint: Endpoint = "completions", ids: int = 0
) -> AsyncIterator[DetectedServer]:
    """As detected, with this behaviour."""
    async with serving(behaviour) as port:
        info = LaneInfo(url=f"http://127.0.0.1:{port}", engine=kind, title=kind, model="m", endpoint=endpoint)
        yield DetectedServer(info, list(range(100, 100 + ids)), "", "", {"Authorization": "x"})


async def probed(answer: bytes, endpoint: Endpoint = "completions", then: str = "keep") -> StreamedAnswer:
    async with server(always(answer, then=then), endpoint=endpoint) as at:
        return await probe_stream(at, prompt="hello", timeout_s=5)


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
async def test_captured_streams(name: str, events: int, prompt_tokens: int, output_tokens: int) -> None:
    endpoint = next(each for each in PATHS if each in name)
    answer = await probed(HEAD + chunk(captured(name)) + END, endpoint)
    assert (answer.events, answer.prompt_tokens, answer.output_tokens) == (events, prompt_tokens, output_tokens)
    assert answer.finish_reason == "length"


async def test_ids_or_text_go_to_the_lanes_endpoint() -> None:
    asked: list[tuple[bytes, dict[str, object]]] = []

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        asked.append((line.split()[1], json.loads(await read_request(reader))))
        writer.write(GOOD)
        await writer.drain()

    async with server(behaviour, ids=20) as at:
        await probe_stream(at)
        await probe_stream(at, prompt="hello")
    async with server(behaviour, "openai", "chat") as at:
        await probe_stream(at, prompt="hello")
    (first, ids), (second, text), (third, chat) = asked
    assert (first, second, third) == (b"/v1/completions", b"/v1/completions", b"/v1/chat/completions")
    assert ids["prompt"] == list(range(100, 108))
    assert (ids["max_tokens"], text["prompt"]) == (4, "hello")
    assert chat["messages"] == [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (plain("200 OK", b'{"choices": [{"text": "whole"}]}'), "does not stream: asked for a stream, it sends"),
        (HEAD + DONE + END, "its stream carries no text"),
        (HEAD + chunk(b": keep-alive\n\ndata: {broken\n\n") + END, "not JSON"),
        (plain("400 Bad", b'{"object": "error", "message": "no \\u001b[1msuch field"}'), "HTTP 400: no such field"),
        (plain("404 Not Found", b'{"detail": "Not Found"}'), "/v1/completions answers HTTP 404: Not Found"),
        (HEAD + chunk(b'data: {"error": {"message": "queue full"}}\n\n') + END, "queue full"),
        (HEAD + chunk(b'data: {"error": "no memory"}\n\n') + END, "no memory"),
    ],
)
async def test_what_does_not_stream_is_an_error(answer: bytes, words: str) -> None:
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1") as caught:
        await probed(answer)
    assert words in str(caught.value)


@pytest.mark.parametrize("finish", ["abort", "content_filter"])
async def test_a_stream_that_did_not_end_well_may_do_so_the_next_time(finish: str) -> None:
    with pytest.raises(FailedAnswerError, match=finish):
        await probed(HEAD + token() + token(finish=finish) + DONE + END)


async def test_an_answer_that_never_ends_is_cut() -> None:
    with pytest.raises(UserError, match="does not keep to the four tokens"):
        await probed(HEAD + chunk(b'data: {"choices":[{"text":"x"}]}\n\n' * 50_000))


async def test_a_server_that_breaks_off_is_an_error() -> None:
    with pytest.raises(UserError, match=r"\(cut short\): the connection closed before the end"):
        await probed(HEAD + token(), then="close")


async def test_a_server_that_keeps_the_message_open_after_the_end_mark_is_not_waited_for() -> None:
    answer = await probed(GOOD.removesuffix(END), then="silence")
    assert answer.events == 3
