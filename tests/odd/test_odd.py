"""Odd servers: what doctor, the load and the figures make of each, and whether doctor and the load agree."""

import asyncio
import json
import time

import pytest

from tests.odd.drive import STREAMS, Outcome, bare_plan, examined, load, loaded, planned, says, sentences
from tests.odd.endings import ENDINGS, LAST_EVENTS
from tests.odd.figures import FIGURES, LATE_COUNTS
from tests.odd.refusals import SHAPES, WORDS
from tests.odd.server import OddServer, Right, serving
from tests.odd.transport import TRANSPORT
from tests.odd.unmended import cases
from tests.odd.waiting import PINGS_FOR_EVER, SILENCE_S, WAITING
from tui.doctor.checks import text as doctor_text
from tui.load.lane import LaneLoad
from tui.model.text import UserError

SERVERS = [*ENDINGS, *LAST_EVENTS, *TRANSPORT, *FIGURES, *WORDS, *WAITING, *LATE_COUNTS]


@pytest.mark.parametrize("odd", [pytest.param(odd, id=odd.name) for odd in SERVERS])
async def test_a_server(odd: OddServer) -> None:
    """All of one server in one test: doctor asks it and the load loads it once."""
    await the_load_counts_as_good_what_is_good(odd)
    if odd.examined:
        await doctor_lets_through_what_can_be_measured_and_names_what_cannot(odd)
        if not odd.pages:  # the load does not read the pages
            await doctor_and_the_load_agree(odd)
    if odd.right.words and odd.right.outcome != "ok":
        await the_words_of_a_failure_are_in_the_json(odd)
    if odd in ENDINGS and odd.right.outcome == "refused":
        await what_is_refused_is_counted_separately(odd)
    if odd.right.figures or odd.right.says:
        await a_figure_is_right_or_unknown_and_the_lane_says_why(odd)
    if odd in LATE_COUNTS:
        await tokens_are_counted_when_they_come_and_not_at_the_end(odd)


async def doctor_lets_through_what_can_be_measured_and_names_what_cannot(odd: OddServer) -> None:
    report = await examined(odd)
    if odd.right.measurable is None:
        assert report.comparable or says(odd.right.words, [report.sentence])
        return
    assert report.comparable == odd.right.measurable, report.sentence
    if not report.comparable:
        assert says(odd.right.words, [report.sentence]), report.sentence
        assert "\x1b" not in report.sentence
    elif odd.right.says:
        lines = [line for row in report.rows for line in row.lines]
        assert says(odd.right.says, [*lines, report.sentence]), doctor_text(report)


async def the_load_counts_as_good_what_is_good(odd: OddServer) -> None:
    brought = await loaded(odd)
    rows = brought.rows
    if odd.right.measurable is None and odd.right.outcome == "ok" and rows[0].outcome != "ok":
        assert all(says(odd.right.words, [row.detail]) for row in rows), rows[0].detail
        return
    wanted = [row for row in rows if odd.name != "refused later" or row.outcome != "ok"]
    assert {row.outcome for row in wanted} == {odd.right.outcome}, [(row.cause, row.detail) for row in rows]
    for row in wanted:
        right(row.output_tokens, odd.right.tokens)
        right(row.chunks, odd.right.chunks)
        assert row.cause == (odd.right.cause or row.cause)
        if row.outcome != "ok" and odd.right.words:
            assert says(odd.right.words, [row.detail]), row.detail
        assert "\x1b" not in row.detail
        assert len(row.detail) <= 400


def right(value: int, wanted: int | None) -> None:
    assert wanted is None or value == wanted


async def the_words_of_a_failure_are_in_the_json(odd: OddServer) -> None:
    brought = await loaded(odd)
    lane = brought.summary()
    assert says(odd.right.words, [json.dumps(lane, ensure_ascii=False)]), lane["errors"]


async def what_is_refused_is_counted_separately(odd: OddServer) -> None:
    """Neither good nor failed."""
    brought = await loaded(odd)
    lane = brought.summary()
    assert (lane["requests"], lane["failed"], lane.get("refused")) == (0, 0, len(brought.rows))


async def a_figure_is_right_or_unknown_and_the_lane_says_why(odd: OddServer) -> None:
    brought = await loaded(odd)
    gaps_ms = brought.gaps_ms
    if odd.kind == 11:  # the first answers teach how many tokens a chunk holds
        brought = late(brought)
    lane = brought.summary()
    for name, multiple in odd.right.figures.items():
        value = lane["client"][name] if name in lane["client"] else lane[name]["p50"]
        if value is not None:
            assert multiple is not None, f"{name} is {value}, and cannot be known"
            assert multiple * gaps_ms[name] / 1.6 < value < multiple * gaps_ms[name] * 1.6, name
    if odd.right.says:
        assert says(odd.right.says, sentences(lane)), list(sentences(lane))


def late(brought: Outcome) -> Outcome:
    """The answers after the third, with their chunks."""
    from tui.session.seconds import ChunkArrays

    numbers = [row.request for row in brought.rows[3:]]
    arrays = ChunkArrays.of([brought.chunks])
    kept = (arrays.request >= min(numbers)) & (arrays.request <= max(numbers))
    chunks = ChunkArrays(arrays.request[kept], arrays.t_ns[kept], arrays.tokens[kept])
    return Outcome(brought.rows[3:], chunks.pack())


async def tokens_are_counted_when_they_come_and_not_at_the_end(odd: OddServer) -> None:
    """After a few answers: of the tokens of an answer, about half have been counted when half of it has come."""
    from tui.session.seconds import ChunkArrays

    brought = late(await loaded(odd))
    arrays = ChunkArrays.of([brought.chunks])
    for row in brought.rows:
        mine = arrays.request == row.request
        moments = sorted(set(arrays.t_ns[mine].tolist()))
        by_half = mine & (arrays.t_ns < moments[len(moments) // 2])
        assert 0.35 < arrays.tokens[by_half].sum() / row.output_tokens < 0.65
        assert arrays.tokens[mine].sum() == row.output_tokens


@pytest.mark.parametrize("odd", cases("shape", SHAPES))
async def test_an_api_of_another_shape_works_or_the_sentence_names_the_way(odd: OddServer) -> None:
    async with serving(odd) as running:
        try:
            plan = await planned(odd, running.url)
        except UserError as error:
            assert odd.right.flag, str(error)
            assert says(odd.right.flag, [str(error)]), str(error)
            return
        brought = await load(plan, odd.answers)
    assert {row.outcome for row in brought.rows} == {"ok"}, brought.rows[0].detail
    assert {row.output_tokens for row in brought.rows} == {odd.right.tokens}


async def doctor_and_the_load_agree(odd: OddServer) -> None:
    report, brought = await examined(odd), await loaded(odd)
    if brought.rows[0].cause == "redirect" and report.comparable:  # the load never sees what the first look follows
        async with serving(odd) as running:
            brought = await load(await planned(odd, running.url), odd.answers)
    assert {row.outcome == "ok" for row in brought.rows} == {report.comparable}, (
        report.sentence,
        brought.rows[0].detail,
    )


@pytest.mark.parametrize("odd", cases("pings", [PINGS_FOR_EVER]))
async def test_a_stall_with_pings_is_waited_for_or_described_as_it_is(odd: OddServer) -> None:
    async with serving(odd) as running:
        lane = LaneLoad(bare_plan(odd, running), STREAMS)
        end_s = time.monotonic() + 3 * SILENCE_S
        while not lane.rows and time.monotonic() < end_s:
            lane.housekeeping()
            await asyncio.sleep(0.005)
        ended = list(lane.rows)
        lane.close()
    assert not any("nothing came" in row.detail for row in ended), "pings came, and three tokens before them"


def test_names_are_unique_and_each_kind_has_five() -> None:
    names = [odd.name for odd in [*SERVERS, *SHAPES]]
    assert len(names) == len(set(names))
    kinds = [odd.kind for odd in [*SERVERS, *SHAPES]]
    assert all(kinds.count(kind) >= 5 for kind in set(kinds))
    assert all(isinstance(odd.right, Right) for odd in SERVERS)
