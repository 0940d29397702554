"""A traffic file in a lane: what the server receives, in which order, when, and what each dial does to it."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.load.faulty_server import GOOD, serving
from tests.load.test_lane import plan, until
from tui.load.driver import Setting
from tui.load.lane import LaneLoad
from tui.model.dials import AS_IN_FILE, NATURAL, Dials
from tui.traffic.index import make_index
from tui.traffic.playlist import PlaylistPlan

FILE = Dials(concurrency=1, prompt_tokens=AS_IN_FILE, output_tokens=AS_IN_FILE)


class Recording:
    """A server that answers all alike, each when it may, and keeps what it was asked, and when."""

    def __init__(self) -> None:
        self.answers = asyncio.Semaphore(0)
        self.bodies: list[dict[str, Any]] = []
        self.heads: list[bytes] = []
        self.at_s: list[float] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self.bodies.append(json.loads(await reader.readexactly(size)))
            self.heads.append(head)
            self.at_s.append(time.monotonic())
            await self.answers.acquire()
            writer.write(GOOD)
            await writer.drain()

    def allow_all(self) -> None:
        for _ in range(10_000):
            self.answers.release()

    def seen(self, key: Callable[[dict[str, Any]], Any]) -> list[Any]:
        return [key(body) for body in self.bodies]


def text_of(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"])


def playlist(folder: Path, *records: object, wrap: bool = False, **changes: Any) -> PlaylistPlan:
    path = folder / "file.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return PlaylistPlan(index=make_index(path, folder=folder), wrap=wrap, **changes)


async def played(traffic: PlaylistPlan, *settings: Setting, **changes: object) -> tuple[Recording, LaneLoad]:
    """Play until the file is through; each further setting is put in force when one more request has ended."""
    server = Recording()
    async with serving(server) as port:
        load = LaneLoad(plan(port, traffic=traffic, **changes), settings[0])
        for count, setting in enumerate(settings[1:], 1):
            server.answers.release()
            await until(lambda: len(load.rows) >= count, load)  # noqa: B023 - awaited before it changes
            load.set(setting)
        server.allow_all()
        await until(lambda: load.through, load)
        load.close()
    return server, load


TEXTS: list[dict[str, Any]] = [
    {"prompt": "word " * (2 + 10 * number), "output_length": 5 + number} for number in range(12)
]


async def test_each_row_is_sent_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    server, load = await played(playlist(tmp_path, *TEXTS), Setting(1, FILE))
    assert server.seen(text_of) == [row["prompt"] for row in TEXTS]
    assert server.seen(lambda body: body["max_tokens"]) == [row["output_length"] for row in TEXTS]
    assert [row.conversation for row in load.rows] == list(range(12))
    assert {row.turn for row in load.rows} == {0}


async def test_a_shuffled_order_is_a_permutation_that_the_seed_alone_decides(tmp_path: Path) -> None:
    traffic = playlist(tmp_path, *TEXTS, order="shuffled", seed=7)
    first, _ = await played(traffic, Setting(1, FILE))
    again, _ = await played(traffic, Setting(1, FILE))
    assert first.seen(text_of) == again.seen(text_of)
    assert sorted(first.seen(text_of)) == sorted(row["prompt"] for row in TEXTS)
    assert first.seen(text_of) != [row["prompt"] for row in TEXTS]


async def test_the_file_begins_again_where_it_may(tmp_path: Path) -> None:
    server = Recording()
    server.allow_all()
    async with serving(server) as port:
        load = LaneLoad(plan(port, traffic=playlist(tmp_path, *TEXTS[:3], wrap=True)), Setting(1, FILE))
        await until(lambda: len(load.rows) >= 7, load)
        load.close()
    assert server.seen(text_of)[:7] == [TEXTS[number % 3]["prompt"] for number in range(7)]
    assert [row.request for row in load.rows[:7]] == list(range(7))


async def test_the_prompt_dial_takes_rows_near_its_length_and_cuts_or_joins_them(tmp_path: Path) -> None:
    dials = Dials(concurrency=1, prompt_tokens=AS_IN_FILE, output_tokens=AS_IN_FILE)
    turned = Dials(concurrency=1, prompt_tokens=64, output_tokens=AS_IN_FILE)
    longer = Dials(concurrency=1, prompt_tokens=1000, output_tokens=AS_IN_FILE)
    server, load = await played(playlist(tmp_path, *TEXTS), Setting(1, dials), Setting(2, turned), Setting(3, longer))
    by_segment = {
        segment: [
            len(text_of(body)) for row, body in zip(load.rows, server.bodies, strict=True) if row.segment == segment
        ]
        for segment in (1, 2, 3)
    }
    assert by_segment[1][0] == len(TEXTS[0]["prompt"])
    assert all(abs(size / 4 - 64) <= 7 for size in by_segment[2])
    assert all(900 <= size / 4 <= 1100 for size in by_segment[3])


async def test_the_output_dial_is_forced_or_lets_answers_end_by_themselves(tmp_path: Path) -> None:
    def setting(segment: int, output_tokens: int) -> Setting:
        return Setting(segment, Dials(concurrency=1, prompt_tokens=AS_IN_FILE, output_tokens=output_tokens))

    traffic = playlist(tmp_path, *TEXTS, max_output=900)
    server, load = await played(
        traffic, setting(1, AS_IN_FILE), setting(2, 100), setting(3, NATURAL), engine="vllm", output_jitter=0.0
    )
    for row, body in zip(load.rows, server.bodies, strict=True):
        asked = body["max_completion_tokens"]
        if row.segment == 1:
            assert (asked, body["ignore_eos"]) == (TEXTS[row.request]["output_length"], True)
        elif row.segment == 2:
            assert (asked, body["ignore_eos"]) == (100, True)
        else:
            assert asked == 900
            assert "ignore_eos" not in body


def row(at_ms: int, tokens: int = 8, *blocks: int) -> dict[str, object]:
    return {"timestamp": at_ms, "input_length": tokens, "output_length": 3, "hash_ids": list(blocks)}


async def test_a_trace_is_sent_at_its_times_and_speed_turns_its_clock(tmp_path: Path) -> None:
    def setting(segment: int, speed: float) -> Setting:
        dials = Dials(prompt_tokens=AS_IN_FILE, output_tokens=AS_IN_FILE, arrival="trace", speed=speed)
        return Setting(segment, dials)

    traffic = playlist(tmp_path, *(row(300 * number) for number in range(8)))
    server, load = await played(traffic, setting(1, 2.0), setting(2, 2.0), setting(3, 16.0))
    sched_s = [each.t_sched_ns / 1e9 for each in sorted(load.rows, key=lambda each: each.request)]
    gaps_s = [after - before for before, after in itertools.pairwise(sched_s)]
    assert len(server.bodies) == 8
    assert abs(gaps_s[0] - 0.15) < 0.001
    assert all(abs(gap - 0.3 / 16) < 0.001 for gap in gaps_s[-4:])


async def test_blocks_that_are_equal_from_the_start_are_equal_tokens_and_no_others_are(tmp_path: Path) -> None:
    rows = [row(0, 1100, 0, 1, 2), row(1, 1100, 0, 1, 3), row(2, 600, 4, 1), row(3, 700, 0, 5)]
    dials = Dials(concurrency=1, prompt_tokens=AS_IN_FILE, output_tokens=AS_IN_FILE)
    pool = list(range(500))
    server, load = await played(
        playlist(tmp_path, *rows),
        Setting(1, dials),
        endpoint="completions",
        prompt_form="ids",
        engine="vllm",
        token_pool=pool,
        salt="s",
    )
    first, second, third, fourth = server.seen(lambda body: body["prompt"])
    assert [len(each) for each in (first, second, third, fourth)] == [1100, 1100, 600, 700]
    assert first[:1024] == second[:1024]
    assert first[1024:] != second[1024:]
    assert third[:512] != first[:512]
    assert fourth[:512] == first[:512]
    assert fourth[512:700] != first[512:700]
    assert [each.prompt_tokens_asked for each in load.rows] == [1100, 1100, 600, 700]


async def test_a_row_that_is_longer_than_a_server_takes_is_left_out_in_both_lanes_alike(tmp_path: Path) -> None:
    rows = [row(0, 100, 1), row(1, 5000, 1), row(2, 90, 1)]
    dials = Dials(concurrency=1, prompt_tokens=AS_IN_FILE, output_tokens=AS_IN_FILE)
    _, load = await played(playlist(tmp_path, *rows), Setting(1, dials, context=4096))
    assert [each.request for each in load.rows] == [0, 2]
    assert load.dropped_total == 1


TALK = {
    "session_id": "s",
    "turns": [{"text": "one"}, {"text": "two", "delay": 40}, {"text": "three", "delay": 40}],
}


async def test_a_stream_plays_a_conversation_turn_by_turn_and_think_stretches_its_pauses(tmp_path: Path) -> None:
    dials = Dials(concurrency=1, prompt_tokens=AS_IN_FILE, output_tokens=AS_IN_FILE)
    traffic = playlist(tmp_path, TALK, {**TALK, "session_id": "t"})
    server, load = await played(traffic, Setting(1, dials), session_header="X-Session")
    assert server.seen(lambda body: [each["content"] for each in body["messages"]]) == 2 * [
        ["one"],
        ["one", "two"],
        ["one", "two", "three"],
    ]
    assert [(each.conversation, each.turn) for each in load.rows] == [(n, turn) for n in (0, 1) for turn in range(3)]
    assert [b"X-Session: 1" in head for head in server.heads] == 3 * [False] + 3 * [True]
    pauses_s = [after - before for before, after in zip(server.at_s, server.at_s[1:], strict=False)]
    assert min(pauses_s[0], pauses_s[1]) >= 0.04

    at_once = Dials(concurrency=1, prompt_tokens=AS_IN_FILE, output_tokens=AS_IN_FILE, think=0.0)
    slow = Dials(concurrency=1, prompt_tokens=AS_IN_FILE, output_tokens=AS_IN_FILE, think=4.0)
    server, load = await played(traffic, Setting(1, at_once), Setting(2, at_once), Setting(3, slow))
    ended = {each.request: each.t_end_ns for each in load.rows}
    sent = {each.request: each.t_send_ns or 0 for each in load.rows}
    assert (sent[1] - ended[0]) / 1e6 < 40
    assert (sent[5] - ended[4]) / 1e6 >= 160


async def test_conversations_at_a_time_are_as_many_as_the_dial_says(tmp_path: Path) -> None:
    traffic = playlist(tmp_path, *({**TALK, "session_id": str(number)} for number in range(6)))
    server, load = await played(
        traffic, Setting(1, Dials(concurrency=3, prompt_tokens=AS_IN_FILE, output_tokens=AS_IN_FILE, think=0.2))
    )
    assert len(server.bodies) == 18
    running = most = 0
    moments = [(each.t_send_ns or 0, 1) for each in load.rows if each.turn == 0]
    moments += [(each.t_end_ns, -1) for each in load.rows if each.turn == 2]
    for _, change in sorted(moments):
        running += change
        most = max(most, running)
    assert most == 3


async def test_bodies_keep_their_tools_and_answers_end_by_themselves(tmp_path: Path) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "tools": [{"type": "function"}], "subset": "x"}
    server, _ = await played(playlist(tmp_path, body), Setting(1, FILE), engine="vllm")
    (sent,) = server.bodies
    assert sent["tools"] == [{"type": "function"}]
    assert "subset" not in sent
    assert "ignore_eos" not in sent


async def test_a_file_that_is_cut_while_it_is_played_costs_its_rows_and_nothing_else(tmp_path: Path) -> None:
    traffic = playlist(tmp_path, *TEXTS)
    Path(traffic.index.path).write_text(json.dumps(TEXTS[0]) + "\n")
    server, load = await played(traffic, Setting(1, FILE))
    assert len(server.bodies) == 1
    assert load.dropped_total == 11
