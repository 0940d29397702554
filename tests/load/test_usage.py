"""Tokens counted by the server in each chunk or once at the end: what is asked, and what a row then claims."""

import argparse
import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from tui.cli import target
from tui.load.composing import Composer
from tui.load.events import EventReader
from tui.load.plan import LanePlan, Setting
from tui.profile.model import LaneProfile, Profile
from tui.records.dials import Dials
from tui.records.errors import UserError
from tui.records.frame import Frame
from tui.records.rows import EventRow, GaugeRow, Lane
from tui.session.fold.gaps import ChunkGaps
from tui.session.live.lane import LaneRun

TRANSCRIPTS = Path(__file__).parent / "transcripts"


def options(engine: str, usage: str) -> dict[str, bool]:
    plan = LanePlan(
        lane="a", url="http://here", engine=engine, model="m", endpoint="completions", prompt_form="text",
        usage=usage,  # type: ignore[arg-type]
    )  # fmt: skip
    composer, dials = Composer(plan), Dials()
    body = composer.request(composer.wanted(0, dials), dials).partition(b"\r\n\r\n")[2]
    found: dict[str, bool] = json.loads(body)["stream_options"]
    return found


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
def test_each_chunk_is_counted_unless_the_end_is_asked_for(engine: str) -> None:
    assert options(engine, "") == options(engine, "each") == {"include_usage": True, "continuous_usage_stats": True}
    assert options(engine, "end") == {"include_usage": True}


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
    request, ms = np.array([1, 1, 1, 1]), np.array([10, 20, 30, 30])
    gaps = ChunkGaps().feed_columns(request, ms * 1_000_000, np.array([1, 1, 1, 5], dtype=np.int32))
    assert gaps.itl_ms.tolist() == [10.0, 10.0]


@pytest.mark.parametrize("asked", ["each", "end", None])
def test_the_flag_is_for_both_lanes(asked: str | None) -> None:
    parser = argparse.ArgumentParser()
    target.arguments(parser)
    profile = target.profile_of(parser.parse_args(["demo", *(("--usage", asked) if asked else ())]))
    assert profile.b is not None
    assert {profile.a.usage, profile.b.usage} == {asked or ""}


async def test_an_engine_that_counts_at_the_end_only_is_not_asked_for_more(llamacpp_url: str) -> None:
    server = LaneProfile(url=llamacpp_url, usage="each")
    lane = LaneRun("a", Profile(a=server), server, "salt", Nobody(), lambda: Setting(0, Dials()), asyncio.Event())
    with pytest.raises(UserError, match=r"llama\.cpp counts tokens at the end of an answer only: leave usage out"):
        await lane.first_look()


class Nobody:
    """Hears nothing."""

    def frame(self, lane: Lane, frame: Frame) -> None: ...
    def gauges(self, rows: list[GaugeRow]) -> None: ...
    def event(self, row: EventRow) -> None: ...
    def found(self, lane: Lane) -> None: ...
    def driver_gone(self, lane: Lane) -> None: ...
