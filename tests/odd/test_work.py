"""Kind 10: two servers that did different work. Their rows are real; their session is made long enough to judge."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest
from msgspec import structs

from tests.judge.made import request, requests_frame, second, seconds_frame, session
from tests.odd.drive import loaded, says, sentences
from tests.odd.server import DONE, Exchange, Handler, OddServer, Right, delta, stream, usage, words
from tests.odd.unmended import cases
from tui.judge.tables import Tables
from tui.model.profile import parse_limits
from tui.model.rows import LANES, RequestRow, SecondRow
from tui.report.document import markdown
from tui.report.session import session_report
from tui.report.summary import summary

LASTS_S = 200
STREAMS = 8


@dataclass(frozen=True, slots=True)
class OddPair:
    """A usual server and one that does other work."""

    name: str
    answer: Handler  # of lane B
    says: str  # in a sentence of the JSON and of the report; empty: they did the same


def usual(output: int = 10, prompt: int = 16, finish: str = "length", cached: int = 0) -> Handler:
    last = usage(output, prompt, prompt_tokens_details={"cached_tokens": cached})
    return stream(*words(output, finish), last, DONE)


async def ends_early_at_times(exchange: Exchange) -> None:
    """Every third answer is cut off, as by a stop token that only this server knows."""
    await (usual(3, finish="stop") if exchange.number % 3 == 0 else usual())(exchange)


async def fewer_events(exchange: Exchange) -> None:
    """The same words, which its tokenizer makes fewer tokens."""
    await stream(*(delta("length" if n == 6 else None, content=" ww") for n in range(7)), usage(7), DONE)(exchange)


PAIRS = [
    OddPair("the same work", usual(), ""),
    OddPair("answers end early in one", ends_early_at_times, "output tokens|ended early|end early"),
    OddPair("prompt cut in one", usual(prompt=9), "prompt tokens|prompts"),
    OddPair("prompt cached in one", usual(cached=15), "cache"),
    OddPair("other tokens for the same text", fewer_events, "output tokens"),
    OddPair("length ignored in one", usual(24), "output tokens"),
    OddPair("no count in one", stream(*words(10), DONE), "prompt tokens|does not tell|not told|unknown"),
]


async def rows_of(name: str, answer: Handler) -> list[RequestRow]:
    return (await loaded(OddServer(10, f"lane of {name}", answer, Right(), answers=6))).rows


async def tables_of(pair: OddPair) -> Tables:
    """Both lanes for 200 s: A brings 100 tokens a second and B 130, in answers like those that were really read."""
    rows: list[RequestRow] = []
    seconds: list[SecondRow] = []
    for lane, answer, rate in zip(LANES, (usual(), pair.answer), (100, 130), strict=True):
        real = await rows_of("a usual server" if lane == "a" else pair.name, answer)
        at_s, number = 0.0, 0
        while at_s < LASTS_S - 2:
            row = real[number % len(real)]
            made = request(lane, number, at_s=at_s, ttft_ms=80.0, e2e_ms=900.0 if lane == "a" else 700.0)
            kept = {"prompt_tokens", "cached_tokens", "output_tokens", "finish_reason", "tokens_from", "chunks"}
            kept |= {"k_first", "output_tokens_asked", "prompt_tokens_asked"}
            rows.append(structs.replace(made, **{key: getattr(row, key) for key in kept}))
            at_s, number = at_s + row.output_tokens / rate, number + 1
        wave = [-2, 1, 3, -1, 0, 2, -3]
        seconds += [second(lane, i, rate + wave[i % 7], concurrency=STREAMS) for i in range(LASTS_S)]
    return Tables(session(LASTS_S), requests_frame(rows), seconds_frame(seconds), [])


def unlike(texts: Iterable[str], usual_texts: Iterable[str]) -> list[str]:
    """Those that differ from the usual ones by more than numbers."""
    known = {re.sub(r"[\d.,%+-]+", "#", text) for text in usual_texts}
    return [text for text in texts if re.sub(r"[\d.,%+-]+", "#", text) not in known]


@pytest.mark.parametrize("pair", cases("work json", PAIRS))
async def test_the_json_says_that_the_work_was_not_the_same(pair: OddPair) -> None:
    tables, same = await tables_of(pair), await tables_of(PAIRS[0])
    objects = [summary(replace(each, events=()), {}) for each in (tables, same)]
    if pair.says:
        assert says(pair.says, unlike(*map(sentences, objects)))
    else:
        assert objects[0]["verdict"]["word"] == "B ahead"


@pytest.mark.parametrize("pair", cases("work report", PAIRS))
async def test_the_report_names_no_winner_of_whole_requests(pair: OddPair) -> None:
    reports = [session_report(await tables_of(each), limits=parse_limits("e2e:800")) for each in (pair, PAIRS[0])]
    lines, usual_lines = (markdown(report).splitlines() for report in reports)
    of_requests = [
        line for line in lines if line.startswith(("| E2E p", "A vllm is", "B sglang is", "vllm (", "sglang ("))
    ]
    winners = [line for line in of_requests if "ahead" in line or " suits " in line]
    if pair.says:
        assert not winners
        assert says(pair.says, unlike(lines, usual_lines))
    else:
        assert len(winners) == 5
