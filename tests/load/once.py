"""One request on the measured path, with the words of its answer: what a second opinion is held against."""

import asyncio
import time
from contextlib import closing
from dataclasses import dataclass

from tui.load.driver import LanePlan
from tui.load.requests import RequestBuilder, RequestSpec
from tui.load.stream import ChunkSink, Stream, Ticket
from tui.model.dials import Dials
from tui.model.rows import RequestRow
from tui.net.socket import Poller, StampClock, Wire, address, connect


@dataclass(frozen=True, slots=True)
class Answer:
    """How one request went."""

    row: RequestRow
    text: str


async def once(plan: LanePlan, spec: RequestSpec, dials: Dials) -> Answer:
    """Send `spec` and read its answer. WireError when there is no connection."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[RequestRow] = loop.create_future()

    def end(_: Stream, row: RequestRow, wire: Wire | None) -> None:
        if wire is not None:
            wire.close()
        ended.set_result(row)

    clock = StampClock()
    clock.update()
    with closing(Poller(loop)) as poller:
        wire = await connect(
            address(plan.url, verify_tls=plan.verify_tls, timeout_s=plan.connect_timeout_s), clock, poller
        )
        ticket = Ticket(plan.lane, spec, 0, time.monotonic_ns(), plan.endpoint)
        stream = Stream(ticket, RequestBuilder(plan).http_request(spec, dials), ChunkSink(), end)
        stream.collect_text()
        stream.begin(wire, None)
        try:
            async with asyncio.timeout(plan.read_timeout_s):
                row = await ended
        except TimeoutError:
            stream.fail("read timeout", f"no whole answer within {plan.read_timeout_s:g} s")
            row = await ended
    return Answer(row, stream.text)
