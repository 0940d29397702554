"""The load of one lane: concurrency is exact, failures are rows, a server that comes back is used again."""

import asyncio
import contextlib
import errno
import gc
import socket
from collections.abc import Callable
from itertools import pairwise

import pytest
from msgspec import structs

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
from tui.load import lane as laneload
from tui.load.driver import LanePlan, Setting
from tui.load.lane import LaneLoad
from tui.load.stream import Stream
from tui.model.dials import Dials
from tui.model.rows import Cause
from tui.net.response import Response
from tui.net.socket import Wire

STOPPED = Setting(0, Dials(concurrency=0))


def plan(port: int, **changes: object) -> LanePlan:
    fields = {
        "lane": "a",
        "url": f"http://127.0.0.1:{port}",
        "engine": "openai",
        "model": "m",
        "endpoint": "chat",
        "prompt_form": "text",
        "read_timeout_s": 0.3,
        "connect_timeout_s": 1.0,
    }
    return LanePlan(**(fields | changes))  # type: ignore[arg-type]


async def until(condition: Callable[[], bool], load: LaneLoad, within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            load.housekeeping()
            await asyncio.sleep(0.005)


def closed(streams: int, segment: int = 1) -> Setting:
    return Setting(segment, Dials(concurrency=streams, prompt_tokens=16, output_tokens=3))


async def test_a_good_answer_is_a_row_with_every_stamp() -> None:
    async with serving(always(GOOD)) as port:
        load = LaneLoad(plan(port), closed(1))
        await until(lambda: len(load.rows) >= 3, load)
        load.close()
    row = load.rows[1]
    assert row.outcome == "ok"
    assert (row.output_tokens, row.tokens_from, row.prompt_tokens, row.k_first) == (3, "usage at end", 7, 1)
    assert row.t_send_ns is not None
    assert row.t_first_ns is not None
    assert row.t_last_ns is not None
    assert row.t_sched_ns <= row.t_send_ns <= row.t_first_ns <= row.t_last_ns <= row.t_end_ns
    assert row.connect_ms is None  # on the connection that the first request opened
    assert load.rows[0].connect_ms is not None
    assert sum(load.sink.tokens) == sum(r.output_tokens for r in load.rows)


async def test_the_stamp_is_the_kernels_where_it_stamps() -> None:
    async with serving(always(GOOD)) as port:
        load = LaneLoad(plan(port), closed(1))
        await until(lambda: len(load.rows) >= 2, load)
        load.close()
    assert load.rows[1].stamp == "kernel"


async def test_reads_that_join_tokens_are_counted() -> None:
    """They bear the stamp of their last token alone."""

    async def one_by_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader):
            for part in (HEAD, token(), token() + token(), token(finish="length") + DONE + END):
                writer.write(part)
                await asyncio.sleep(0.02)

    async with serving(one_by_one) as port:
        load = LaneLoad(plan(port, read_timeout_s=30.0), closed(1))
        await until(lambda: bool(load.rows), load)
        load.close()
    assert (len(load.sink.tokens), sum(load.sink.tokens)) == (3, 4)
    assert load.sink.merged_reads == 1


async def test_what_is_over_is_freed_at_once() -> None:
    gc.collect()  # what tests before it in this process left is not of this load
    gc.disable()  # the driver's collector runs seldom: what only it can free piles up for minutes
    try:
        async with serving(always(GOOD)) as port:
            load = LaneLoad(plan(port), closed(2))
            await until(lambda: len(load.rows) >= 50, load)
            load.close()
        assert not [thing for thing in gc.get_objects() if isinstance(thing, Stream | Response | Wire)]
    finally:
        gc.enable()


HUGE = b"data: " + b"x" * (9 << 20)
FAILURES: list[tuple[str, Behaviour, Cause]] = [
    ("429", always(plain("429 Too Many Requests", b'{"error":{"message":"slow down"}}')), "http 429"),
    ("4xx", always(plain("404 Not Found", b'{"object":"error","message":"no such model"}')), "http 4xx"),
    ("5xx in plain text", always(plain("500 Oops", b"Internal Server Error", "text/plain")), "http 5xx"),
    (
        "error in a 200",
        always(HEAD + token() + chunk(b'data: {"error":{"message":"died"}}\n\n') + DONE + END),
        "error in stream",
    ),
    ("reset at once", always(b"", then="reset"), "reset"),
    ("reset in mid-stream", always(HEAD + token(), then="reset"), "reset"),
    ("closed in mid-stream", always(HEAD + token(), then="close"), "cut short"),
    ("ended without a finish", always(HEAD + token() + END), "cut short"),
    ("no token", always(HEAD + DONE + END), "no output"),
    ("broken chunk size", always(HEAD + b"zz\r\n"), "bad framing"),
    ("not HTTP", always(b"hello\r\n\r\n"), "bad framing"),
    ("a line without end", always(HEAD + chunk(HUGE)), "bad framing"),
    ("not a stream", always(plain("200 OK", b'{"choices":[]}')), "bad answer"),
    ("silence", always(b"", then="silence"), "read timeout"),
    ("silence after a token", always(HEAD + token(), then="silence"), "read timeout"),
]


@pytest.mark.parametrize(("behaviour", "cause"), [f[1:] for f in FAILURES], ids=[f[0] for f in FAILURES])
async def test_each_failure_has_its_cause_and_no_latency_by_accident(behaviour: Behaviour, cause: Cause) -> None:
    patience_s = 0.3 if cause == "read timeout" else 30.0
    async with serving(behaviour) as port:
        load = LaneLoad(plan(port, read_timeout_s=patience_s), closed(1))
        await until(lambda: bool(load.rows), load)
        load.close()
    row = load.rows[0]
    assert (row.outcome, row.cause) == ("failed", cause)
    assert "\x1b" not in row.detail


async def test_a_byte_of_any_kind_is_life() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD)
        for _ in range(30):
            writer.write(chunk(b":"))
            await asyncio.sleep(0.02)
        writer.write(chunk(b"\n\n") + GOOD.removeprefix(HEAD))
        await writer.drain()
        await asyncio.Event().wait()

    async with serving(drip) as port:
        load = LaneLoad(plan(port), closed(1))
        await until(lambda: bool(load.rows), load)
        load.close()
    assert load.rows[0].outcome == "ok"


async def test_a_failing_server_is_not_hammered() -> None:
    async with serving(always(plain("503 Full", b"{}"))) as port:
        load = LaneLoad(plan(port), closed(1))
        await until(lambda: len(load.rows) >= 3, load)
        load.close()
    gaps_ms = [(b.t_sched_ns - a.t_end_ns) / 1e6 for a, b in pairwise(load.rows)]
    assert gaps_ms[0] >= 95
    assert gaps_ms[1] >= 190


async def test_a_stale_connection_is_retried_once_on_a_fresh_one() -> None:
    served = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        await read_request(reader)
        writer.write(GOOD)
        served += 1
        await read_request(reader)  # the next request on it finds it closed

    async with serving(once) as port:
        load = LaneLoad(plan(port), closed(1))
        await until(lambda: len(load.rows) >= 5, load)
        load.close()
    assert {r.outcome for r in load.rows} <= {"ok", "cancelled"}
    assert [r.request for r in load.rows[:5]] == [0, 1, 2, 3, 4]
    assert len(load.sink.sent_t_ns) == sum(r.t_send_ns is not None for r in load.rows)  # a retry starts no request


async def test_a_server_that_is_not_there_takes_the_lane_down_until_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laneload, "PROBE_PERIOD_S", 0.05)
    async with serving(always(GOOD)) as port:
        pass  # the port is free again
    load = LaneLoad(plan(port), closed(4))
    await until(lambda: bool(load.down), load)
    assert load.down.startswith("refused: ")
    assert {r.cause for r in load.rows} == {"refused"}
    failed = len(load.rows)
    assert failed <= 4
    async with serving(always(GOOD), port):
        await until(lambda: any(r.outcome == "ok" for r in load.rows), load)
        assert load.down == ""
        load.close()


async def test_a_name_that_nobody_knows() -> None:
    load = LaneLoad(plan(1, url="http://no-such-host.invalid:80"), closed(1))
    await until(lambda: bool(load.rows), load)
    load.close()
    assert load.rows[0].cause == "dns"


async def test_a_host_that_gives_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    load = LaneLoad(plan(1), STOPPED)
    monkeypatch.setattr(socket, "socket", none_left)
    load.set(closed(1))
    await until(lambda: bool(load.rows), load)
    load.close()
    assert (load.rows[0].outcome, load.rows[0].cause) == ("failed", "unreachable")
    assert load.down == "unreachable: 127.0.0.1:1: Too many open files"


async def test_a_host_that_takes_no_connection() -> None:
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # nobody accepts them, and there is room for no more
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        load = LaneLoad(plan(full.getsockname()[1], connect_timeout_s=0.2), closed(1))
        await until(lambda: bool(load.rows), load)
        load.close()
    row = load.rows[0]
    assert (row.outcome, row.cause, row.t_send_ns, row.connect_ms) == ("failed", "connect timeout", None, None)
    assert load.down.startswith("connect timeout: no connection within 0.2 s")


async def test_tls_to_a_plain_server() -> None:
    async with serving(always(GOOD)) as port:
        load = LaneLoad(plan(port, url=f"https://127.0.0.1:{port}", verify_tls=False), closed(1))
        await until(lambda: bool(load.rows), load)
        load.close()
    assert load.rows[0].cause == "connect timeout"  # it waits for a line that never comes


class Slow:
    """A server that holds every stream until it is let go, and counts them."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.go = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader):
            self.now += 1
            self.most = max(self.most, self.now)
            waiting = asyncio.create_task(self.go.wait())
            gone = asyncio.create_task(reader.read(1))
            await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
            self.now -= 1
            if gone.done():
                return
            gone.cancel()
            writer.write(GOOD)


async def test_concurrency_is_exact_and_a_lowering_drains() -> None:
    slow = Slow()
    async with serving(slow) as port:
        load = LaneLoad(plan(port, read_timeout_s=30.0), closed(5))
        await until(lambda: slow.now == 5, load)
        load.set(closed(12, 2))
        await until(lambda: slow.now == 12, load)
        load.set(closed(3, 3))
        await asyncio.sleep(0.05)
        assert (slow.now, load.in_flight) == (12, 12)  # running streams finish
        slow.go.set()
        await until(lambda: load.in_flight <= 3, load)
        load.close()
    assert slow.most == 12
    assert {r.outcome for r in load.rows} <= {"ok", "cancelled"}


async def test_a_lowering_may_cancel_and_the_server_sees_it() -> None:
    slow = Slow()
    async with serving(slow) as port:
        load = LaneLoad(plan(port, read_timeout_s=30.0), closed(8))
        await until(lambda: slow.now == 8, load)
        load.set(Setting(2, closed(2).dials, cancel=True))
        await until(lambda: slow.now == 2, load)
        assert load.in_flight == 2
        assert [r.outcome for r in load.rows] == ["cancelled"] * 6
        load.close()


async def test_a_dial_moved_a_hundred_times_leaves_the_load_as_last_asked() -> None:
    slow = Slow()
    async with serving(slow) as port:
        load = LaneLoad(plan(port, read_timeout_s=30.0), STOPPED)
        for move in range(100):
            load.set(Setting(move, closed((move * 7) % 31).dials, cancel=True))
            await asyncio.sleep(0)
        load.set(Setting(100, closed(9).dials, cancel=True))
        await until(lambda: slow.now == 9 and load.in_flight == 9, load)
        load.close()
        await until(lambda: slow.now == 0, load)
    assert load.in_flight == 0


async def test_requests_come_due_at_the_rate_whatever_the_server_does() -> None:
    slow = Slow()
    async with serving(slow) as port:
        load = LaneLoad(plan(port, read_timeout_s=30.0), Setting(1, Dials(arrival="constant", request_rate=100.0)))
        await until(lambda: load.due_total >= 40, load)
        assert load.in_flight == load.started_total == load.due_total
        dues = [stream.ticket.t_sched_ns for stream in load._streams]
        load.close()
    gaps_ms = [(b - a) / 1e6 for a, b in pairwise(dues)]
    assert all(gap == pytest.approx(10, abs=1e-3) for gap in gaps_ms)  # no drift, however late a timer fires


async def test_of_requests_at_a_rate_no_more_are_sent_than_asked_for_and_then_no_burst() -> None:
    dials = Dials(arrival="constant", request_rate=200.0, prompt_tokens=16, output_tokens=3)
    async with serving(always(GOOD)) as port:
        load = LaneLoad(plan(port), Setting(1, dials, requests=5))
        await until(lambda: len(load.rows) >= 5, load)
        await asyncio.sleep(0.1)  # twenty more would have come due
        assert load.started_total == 5
        load.set(Setting(2, dials, requests=3, plan_step_id=1))
        await until(lambda: len(load.rows) >= 8, load)
        await asyncio.sleep(0.05)
        assert load.started_total == 8
        load.set(Setting(2, dials))
        assert load.started_total == 8
        await until(lambda: len(load.rows) >= 10, load)
        load.close()


async def test_turning_another_dial_does_not_move_due_times_and_a_new_rate_stretches_the_wait() -> None:
    async with serving(always(GOOD)) as port:
        asked = Dials(arrival="constant", request_rate=20.0, prompt_tokens=16)
        load = LaneLoad(plan(port), Setting(0, asked))
        due_s = load._arrivals.next_due_s
        for move in range(100):
            load.set(Setting(move, structs.replace(asked, prompt_tokens=16 + move)))
        assert load._arrivals.next_due_s == due_s
        await until(lambda: load.due_total >= 3, load)
        due_s, loop = load._arrivals.next_due_s, asyncio.get_running_loop()
        before_s = loop.time()
        load.set(Setting(101, structs.replace(asked, request_rate=2.0)))
        # A moment between the two readings of the clock, from which ten times the wait is left.
        least_s, most_s = sorted(at_s + 10 * max(0.0, due_s - at_s) for at_s in (before_s, loop.time()))
        assert least_s - 1e-6 <= load._arrivals.next_due_s <= most_s + 1e-6
        load.close()


async def test_a_stream_thinks_after_each_request_and_others_do_not_wait_for_it() -> None:
    async with serving(always(GOOD)) as port:
        load = LaneLoad(plan(port, think_s=0.2), closed(2))
        await until(lambda: len(load.rows) >= 6, load)
        load.close()
    done = [row for row in load.rows if row.outcome == "ok"]
    sent = sorted(row.t_send_ns or 0 for row in done)
    ends = sorted(row.t_end_ns for row in done)
    for place in range(len(done) - 2):  # two streams: the next but one is the same slot's
        assert sent[place + 2] - ends[place] >= 0.199e9
    assert sent[1] - ends[0] < 0.199e9  # the other stream's first does not wait out this one's thought


async def test_an_answer_that_is_said_but_never_ended_counts() -> None:
    async with serving(always(GOOD.removesuffix(END), then="silence")) as port:
        load = LaneLoad(plan(port, read_timeout_s=30.0), closed(1))
        await until(lambda: bool(load.rows), load)
        load.close()
    assert (load.rows[0].outcome, load.rows[0].output_tokens) == ("ok", 3)


async def test_a_request_belongs_to_the_segment_in_which_it_was_sent() -> None:
    async with serving(always(GOOD)) as port:
        load = LaneLoad(plan(port), closed(1, segment=4))
        await until(lambda: len(load.rows) >= 2, load)
        load.set(closed(1, segment=5))
        await until(lambda: load.rows[-1].segment == 5, load)
        load.close()
    assert [r.segment for r in load.rows] == sorted(r.segment for r in load.rows)
