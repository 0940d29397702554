"""Tokens counted by the server in each chunk or once at the end: what is asked, and what a row then claims."""

import argparse
import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from tests.judge.made import request
from tests.load.faulty_server import DONE, END, HEAD, Manners, chunk, read_request, serving, usage
from tests.load.test_lane import plan, until
from tui.cli.options import profile_from, target_flags
from tui.load.body import RequestBuilder
from tui.load.lane import LaneLoad
from tui.load.pipe import LanePlan, Setting
from tui.load.sse import EventReader
from tui.model.dials import Dials
from tui.model.profile import LaneProfile, Profile
from tui.model.text import UserError
from tui.session.clock import Clock
from tui.session.lane import LaneRun
from tui.session.seconds import ChunkGaps

TRANSCRIPTS = Path(__file__).parent / "transcripts"


AT_THE_END = {"include_usage": True}
WITH_EACH = AT_THE_END | {"continuous_usage_stats": True}


def builder_for(engine: str, usage: str = "") -> RequestBuilder:
    return RequestBuilder(
        LanePlan(
            lane="a", url="http://here", engine=engine, model="m", endpoint="completions", prompt_form="text",
            usage=usage,  # type: ignore[arg-type]
        )
    )  # fmt: skip


def options(builder: RequestBuilder) -> dict[str, bool]:
    dials = Dials()
    body = builder.http_request(builder.spec(0, dials), dials).partition(b"\r\n\r\n")[2]
    found: dict[str, bool] = json.loads(body)["stream_options"]
    return found


def learn(builder: RequestBuilder, answers: int, *, tokens: int, chunks: int) -> None:
    for number in range(answers):
        row = request("a", number, output_tokens=tokens, chunks=chunks)
        builder.learn(builder.spec(number, Dials()), row)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
def test_chunks_are_counted_until_an_answer_shows_that_each_holds_a_token(engine: str) -> None:
    asked = builder_for(engine)
    assert options(asked) == WITH_EACH
    learn(asked, 1, tokens=256, chunks=250)
    assert options(asked) == AT_THE_END


def test_chunks_of_several_tokens_stay_counted_and_are_again_when_they_begin_to_come() -> None:
    asked = builder_for("vllm")
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


@pytest.mark.parametrize(("usage", "found"), [("each", WITH_EACH), ("end", AT_THE_END)])
def test_the_operator_is_followed_whatever_the_chunks_hold(usage: str, found: dict[str, bool]) -> None:
    for chunks in (100, 256):
        asked = builder_for("vllm", usage)
        assert options(asked) == found
        learn(asked, 20, tokens=256, chunks=chunks)
        assert options(asked) == found


def test_an_engine_that_cannot_count_each_chunk_is_never_asked_to() -> None:
    asked = builder_for("openai")
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


def counting(tokens: int) -> Manners:
    """A server that sends four chunks of so many tokens each and counts them as it is asked to."""

    async def manners(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while body := await read_request(reader):
            each = json.loads(body)["stream_options"].get("continuous_usage_stats")
            writer.write(HEAD)
            for number in range(1, 5):
                choice = {"index": 0, "delta": {"content": "hi"}, "finish_reason": "length" if number == 4 else None}
                told = {"choices": [choice]}
                if each:
                    told["usage"] = {"prompt_tokens": 7, "completion_tokens": number * tokens}  # type: ignore[assignment]
                writer.write(chunk(b"data: %s\n\n" % json.dumps(told).encode()))
            writer.write(usage(7, 4 * tokens) + DONE + END)
            await writer.drain()

    return manners


def events(usages: list[int | None], last: dict[str, object]) -> bytes:
    rows = [
        {"choices": [{"text": " word", "finish_reason": None}]}
        | ({"usage": {"prompt_tokens": 5, "completion_tokens": n}} if n else {})
        for n in usages
    ]
    return b"".join(b"data: %s\n\n" % json.dumps(row).encode() for row in [*rows, last]) + b"data: [DONE]\n\n"


def end(tokens: int) -> dict[str, object]:
    return {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": tokens}}


def test_a_count_with_each_chunk_is_told_apart_from_one_at_the_end() -> None:
    each, once, never = (EventReader("completions") for _ in range(3))
    each.feed(events([1, 3, 4], end(4)))
    once.feed(events([None, None, None], end(4)))
    never.feed(events([None, None, None], {"choices": [{"text": "", "finish_reason": "stop"}]}))
    assert (each.usage_each, each.tokens, each.completion_tokens) == (True, 4, 4)
    assert (once.usage_each, once.has_usage, once.tokens, once.completion_tokens) == (False, True, 3, 4)
    assert (never.usage_each, never.has_usage, never.tokens) == (False, False, 3)


def test_usage_inside_the_finishing_chunk_counts_no_token_twice() -> None:
    raw = (TRANSCRIPTS / "transformers-chat-c1.sse").read_bytes()
    reader, tokens = EventReader("chat"), 0
    for event in raw.split(b"\n\n"):
        reader.feed(event + b"\n\n")
        tokens += reader.tokens
    assert (tokens, reader.completion_tokens, reader.usage_each) == (8, 8, False)


def test_tokens_known_only_at_the_end_make_no_gap_of_zero() -> None:
    one_request, ms = np.array([1, 1, 1, 1]), np.array([10, 20, 30, 30])
    gaps = ChunkGaps().feed_columns(one_request, ms * 1_000_000, np.array([1, 1, 1, 5], dtype=np.int32))
    assert gaps.itl_ms.tolist() == [10.0, 10.0]


@pytest.mark.parametrize("asked", ["each", "end", None])
def test_the_flag_is_for_both_lanes(asked: str | None) -> None:
    parser = argparse.ArgumentParser()
    target_flags(parser)
    profile = profile_from(parser.parse_args(["demo", *(("--usage", asked) if asked else ())]))
    assert profile.b is not None
    assert {profile.a.usage, profile.b.usage} == {asked or ""}


async def test_an_engine_that_counts_at_the_end_only_is_not_asked_for_more(llamacpp_url: str) -> None:
    server = LaneProfile(url=llamacpp_url, usage="each")
    lane = LaneRun("a", Profile(a=server), server, "salt", asyncio.Queue(), Clock(), asyncio.Event())
    with pytest.raises(UserError, match=r"llama\.cpp counts tokens at the end of an answer only: leave usage out"):
        await lane.first_look()
