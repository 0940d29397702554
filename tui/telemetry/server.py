"""A server's own metrics once a second, as gauges under our names and units.

Reading once a period: readings and changes of error are passed on, and blocking work runs in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from tui.engines.detect import DetectedServer
from tui.engines.readings import gauges_from
from tui.engines.registry import get_engine
from tui.model.gauges import SERVER
from tui.model.rows import GaugeRow, Lane
from tui.model.text import sanitize
from tui.net.http import TooLargeError, fetch

if TYPE_CHECKING:
    import httpx


PERIOD_S = 1.0

T = TypeVar("T")
Emit = Callable[[list[GaugeRow]], None]
Fault = Callable[[str], None]  # why reading fails; empty when it works again


class ReadingError(Exception):
    """Why nothing can be read now, in one line.

    The line quotes nothing that the server wrote: that would change with each reading, and each change is reported.
    """


class NothingToReadError(ReadingError):
    """Why there will never be anything to read."""


async def poll(read: Callable[[], Awaitable[list[GaugeRow]]], emit: Emit, fault: Fault, period_s: float) -> None:
    """Read once a period until there is nothing to read. Periods missed by a slow reading are not made up for.

    `fault` is called when reading fails in a new way, and with an empty string when it works again.
    """
    last = ""
    due_s = time.monotonic()
    while True:
        try:
            rows = await read()
            error = ""
        except NothingToReadError as never:
            fault(str(never))
            return
        except ReadingError as now:
            rows, error = [], str(now)
        if rows:
            emit(rows)
        if error != last:
            last = error
            fault(error)
        due_s += period_s * max(1, -(-(time.monotonic() - due_s) // period_s))
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))


async def call_in_thread(work: Callable[[], T], timeout_s: float) -> T:
    """What `work` returns. After a TimeoutError it goes on unseen.

    In a daemon thread, because a driver that hangs must not hold up the end of the program.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def finish(returned: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(returned)  # type: ignore[arg-type]

    def run() -> None:
        returned: T | None = None
        failure: BaseException | None = None
        try:
            returned = work()
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
            loop.call_soon_threadsafe(finish, returned, failure)

    threading.Thread(target=run, name="gpu", daemon=True).start()
    async with asyncio.timeout(timeout_s):
        return await done


PAGE_TIMEOUT_S = 2.5  # for the whole page, however slowly it arrives


class ServerScraper:
    """Scrapes one lane's metrics page. Counters are passed on as they are: a falling one shows a restart."""

    def __init__(
        self,
        lane: Lane,
        server: DetectedServer,
        *,
        timeout_s: float = PAGE_TIMEOUT_S,
        transport: Any = None,
    ) -> None:
        self._lane: Lane = lane
        self._engine = get_engine(server.info.engine)
        self._server = server
        self._timeout_s, self._transport = timeout_s, transport

    async def run(self, emit: Emit, fault: Fault, period_s: float = PERIOD_S) -> None:
        """Scrape until cancelled; with nothing to scrape, return at once after saying why."""
        server = self._server
        if server.metrics_note:
            fault(server.metrics_note)
        if not server.metrics_url:
            return
        async with server.client(self._transport) as http:
            await poll(lambda: self._read(http), emit, fault, period_s)

    async def _read(self, http: httpx.AsyncClient) -> list[GaugeRow]:
        url = self._server.metrics_url
        page = await get_page(http, url, self._timeout_s)
        t_ns = time.monotonic_ns()
        try:
            values = gauges_from(self._engine, page)
        except ValueError as error:
            raise ReadingError(f"{url} cannot be read: {error}") from error
        if not values:
            raise ReadingError(f"{url} has no metric of {self._engine.title}")
        return [GaugeRow(self._lane, SERVER, name, t_ns, value) for name, value in values.items()]


async def get_page(http: httpx.AsyncClient, url: str, timeout_s: float = PAGE_TIMEOUT_S) -> bytes:
    """A page's bytes. Raises ReadingError."""
    import httpx

    try:
        try:
            answer = await fetch(http, url, timeout_s=timeout_s)
        except (httpx.RemoteProtocolError, httpx.ReadError):
            # Servers close idle connections (llama.cpp also busy ones): a fresh one decides.
            await asyncio.sleep(0)
            answer = await fetch(http, url, timeout_s=timeout_s)
    except (httpx.TimeoutException, TimeoutError) as error:
        raise ReadingError(f"{url} gives no complete answer within {timeout_s:g} s") from error
    except httpx.ConnectError as error:
        raise ReadingError(f"nobody answers at {url}") from error
    except httpx.DecodingError as error:
        raise ReadingError(f"{url} cannot be read: {error}") from error
    except httpx.HTTPError as error:
        raise ReadingError(f"{url} closes the connection early, or does not speak HTTP") from error
    except httpx.InvalidURL as error:
        raise NothingToReadError(f"{sanitize(url, 100)} is not a URL") from error
    except TooLargeError as error:
        raise ReadingError(f"{url}: {error}") from error
    if answer.status != 200:
        raise ReadingError(f"{url} answers HTTP {answer.status}")
    return answer.body
