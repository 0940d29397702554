"""Connections over TLS: the same rows, a cause of its own when TLS fails. And the step of the wall clock."""

import asyncio
import socket
import ssl
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.load.faulty_server import DONE, END, GOOD, HEAD, Behaviour, always, serving, token, usage
from tests.load.test_lane import closed, plan, until
from tui.load.lane import LaneLoad
from tui.model.rows import RequestRow
from tui.net import socket as wire
from tui.net.socket import StampClock

CERTIFICATE = Path(__file__).with_name("localhost.pem")  # of localhost and 127.0.0.1, signed by itself


OTHER = "127.0.0.2"


MANY = 5_000


def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with wire.keep_kernel_timestamping_on():
        yield


async def rows(
    behaviour: Behaviour, *, host: str = "127.0.0.1", count: int = 1, streams: int = 1, verify: bool = True
) -> list[RequestRow]:
    async with serving(behaviour, host=host, tls=tls()) as port:
        url = f"https://{host}:{port}"
        load = LaneLoad(
            plan(port, url=url, verify_tls=verify, read_timeout_s=5.0, connect_timeout_s=5.0), closed(streams)
        )
        await until(lambda: len(load.rows) >= count, load)
        load.close()
    return load.rows


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_good_answer_is_a_row_with_the_kernels_stamp(host: str) -> None:
    ended = (await rows(always(GOOD), host=host, count=40, streams=4))[:40]
    assert {(row.outcome, row.output_tokens, row.stamp) for row in ended} == {("ok", 3, "kernel")}
    assert sum(row.connect_ms is not None for row in ended) == 4  # the connections are used again
    for row in ended:
        assert row.t_send_ns is not None
        assert row.t_first_ns is not None
        assert row.t_last_ns is not None
        assert row.t_send_ns <= row.t_first_ns <= row.t_last_ns <= row.t_end_ns


@pytest.mark.usefixtures("trusted")
async def test_many_records_at_once_are_all_read() -> None:
    answer = HEAD + token() * (MANY - 1) + token(finish="length") + usage(7, MANY) + DONE + END
    ended = await rows(always(answer), count=3)
    assert [(row.outcome, row.chunks, row.output_tokens) for row in ended[:3]] == [("ok", MANY, MANY)] * 3


async def test_a_certificate_that_nobody_vouches_for() -> None:
    row = (await rows(always(GOOD)))[0]
    assert (row.outcome, row.cause, row.t_send_ns, row.t_first_ns) == ("failed", "tls", None, None)
    assert "self-signed" in row.detail.lower().replace(" ", "-")


async def test_that_certificate_when_the_operator_says_not_to_check() -> None:
    row = (await rows(always(GOOD), verify=False))[0]
    assert row.outcome == "ok"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux answers to all of 127.0.0.0/8")
@pytest.mark.usefixtures("trusted")
async def test_the_certificate_of_another_host() -> None:
    row = (await rows(always(GOOD), host=OTHER))[0]
    assert (row.outcome, row.cause) == ("failed", "tls")
    assert OTHER in row.detail


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("then", ["close", "reset"])
async def test_an_answer_cut_off_in_mid_stream(then: str) -> None:
    row = (await rows(always(HEAD + token(), then=then)))[0]
    assert (row.outcome, row.output_tokens) == ("failed", 1)
    assert row.cause in ("cut short", "reset")


async def test_many_handshakes_take_turns_with_the_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds, steps = 0, Counter[int]()
    loop, step = asyncio.get_running_loop(), wire._handshake_step

    def turn() -> None:
        nonlocal rounds
        rounds += 1
        loop.call_soon(turn)

    def counted(object_: ssl.SSLObject) -> bool:
        steps[rounds] += 1
        return step(object_)

    monkeypatch.setattr(wire, "_handshake_step", counted)
    turn()
    ended = await rows(always(GOOD), verify=False, count=40, streams=40)
    assert {row.outcome for row in ended[:40]} == {"ok"}
    assert max(steps.values()) <= wire.MAX_HANDSHAKES


async def test_a_reset_during_the_handshake_is_a_failure_of_tls() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        load = LaneLoad(plan(port, url=f"https://127.0.0.1:{port}", connect_timeout_s=5.0), closed(1))
        await until(lambda: bool(load.rows), load)
        load.close()
    assert load.rows[0].cause == "tls"
    assert "during the TLS handshake" in load.rows[0].detail


def test_a_step_of_the_wall_clock_is_noticed_and_drift_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    offsets = iter([1_000_000_000, 1_000_002_000, 1_000_001_000, 1_600_000_000, 1_600_000_500])
    monkeypatch.setattr(wire, "wall_minus_monotonic_ns", lambda: next(offsets))
    stamps, steps = StampClock(), []
    for _ in range(5):
        stamps.update()
        steps.append(stamps.steps)
    assert steps == [0, 0, 0, 1, 1]
    assert stamps.offset_ns == 1_600_000_500
