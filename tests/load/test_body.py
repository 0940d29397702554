"""Request bodies, and how often they ask the server to count its tokens."""

import asyncio
import json

import pytest

from tests.judge.made import request
from tests.load.faulty_server import DONE, END, HEAD, Behaviour, chunk, read_request, serving, usage
from tests.load.test_lane import plan, until
from tui.load.driver import LanePlan, Setting
from tui.load.lane import LaneLoad
from tui.load.requests import RequestBuilder
from tui.model.dials import Dials

AT_THE_END = {"include_usage": True}


WITH_EACH = AT_THE_END | {"continuous_usage_stats": True}


def builder_for(**changes: object) -> RequestBuilder:
    fields = {
        "lane": "a",
        "url": "http://h:1/x",
        "engine": "openai",
        "model": "m",
        "endpoint": "chat",
        "prompt_form": "text",
    }
    return RequestBuilder(LanePlan(**(fields | changes)))  # type: ignore[arg-type]


def options(builder: RequestBuilder) -> dict[str, bool]:
    dials = Dials()
    body = builder.http_request(builder.spec(0, dials), dials).partition(b"\r\n\r\n")[2]
    stream_options: dict[str, bool] = json.loads(body)["stream_options"]
    return stream_options


def learn(builder: RequestBuilder, answers: int, *, tokens: int, chunks: int) -> None:
    for number in range(answers):
        row = request("a", number, output_tokens=tokens, chunks=chunks)
        builder.learn(builder.spec(number, Dials()), row)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
def test_chunks_are_counted_until_an_answer_shows_that_each_holds_a_token(engine: str) -> None:
    asked = builder_for(engine=engine)
    assert options(asked) == WITH_EACH
    learn(asked, 1, tokens=256, chunks=250)
    assert options(asked) == AT_THE_END


def test_chunks_of_several_tokens_stay_counted_and_are_again_when_they_begin_to_come() -> None:
    asked = builder_for(engine="vllm")
    learn(asked, 20, tokens=256, chunks=100)
    assert options(asked) == WITH_EACH
    learn(asked, 100, tokens=256, chunks=256)
    assert options(asked) == AT_THE_END
    learn(asked, 1, tokens=256, chunks=100)
    assert options(asked) == AT_THE_END  # one answer among many
    learn(asked, 100, tokens=256, chunks=190)
    assert options(asked) == AT_THE_END  # a late front end joins some: to ask more of it would make it later
    learn(asked, 20, tokens=256, chunks=100)
    assert options(asked) == WITH_EACH
    learn(asked, 100, tokens=256, chunks=190)
    assert options(asked) == WITH_EACH


@pytest.mark.parametrize(("usage", "stream_options"), [("each", WITH_EACH), ("end", AT_THE_END)])
def test_the_operator_is_followed_whatever_the_chunks_hold(usage: str, stream_options: dict[str, bool]) -> None:
    for chunks in (100, 256):
        asked = builder_for(engine="vllm", usage=usage)
        assert options(asked) == stream_options
        learn(asked, 20, tokens=256, chunks=chunks)
        assert options(asked) == stream_options


def test_an_engine_that_cannot_count_each_chunk_is_never_asked_to() -> None:
    asked = builder_for(engine="openai")
    learn(asked, 20, tokens=256, chunks=100)
    assert options(asked) == AT_THE_END


@pytest.mark.parametrize(("tokens", "later"), [(1, "usage at end"), (3, "usage")])
async def test_answers_decide_how_the_next_ones_are_counted_and_no_token_is_lost(tokens: int, later: str) -> None:
    async with serving(counting(tokens)) as port:
        load = LaneLoad(plan(port, engine="vllm"), Setting(1, Dials(concurrency=1, output_tokens=12)))
        await until(lambda: len(load.rows) >= 4, load)
        load.close()
    ended = [row for row in load.rows if row.outcome == "ok"]
    assert [row.tokens_from for row in ended[:4]] == ["usage", later, later, later]
    assert {row.output_tokens for row in ended} == {4 * tokens}
    assert {row.chunks for row in ended} == {4}


def counting(tokens: int) -> Behaviour:
    """A server that sends four chunks of so many tokens each and counts them as it is asked to."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while body := await read_request(reader):
            each = json.loads(body)["stream_options"].get("continuous_usage_stats")
            writer.write(HEAD)
            for number in range(1, 5):
                choice = {"index": 0, "delta": {"content": "hi"}, "finish_reason": "length" if number == 4 else None}
                event = {"choices": [choice]}
                if each:
                    event["usage"] = {"prompt_tokens": 7, "completion_tokens": number * tokens}  # type: ignore[assignment]
                writer.write(chunk(b"data: %s\n\n" % json.dumps(event).encode()))
            writer.write(usage(7, 4 * tokens) + DONE + END)
            await writer.drain()

    return behaviour


def test_the_request_goes_to_the_path_under_the_base_url_and_carries_the_headers() -> None:
    builder = builder_for(headers={"Authorization": "Bearer k"})
    dials = Dials(prompt_tokens=16)
    raw = builder.http_request(builder.spec(0, dials), dials)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /x/v1/chat/completions HTTP/1.1\r\nHost: h:1\r\n")
    assert b"Authorization: Bearer k" in head
    assert f"Content-Length: {len(body)}".encode() in head
