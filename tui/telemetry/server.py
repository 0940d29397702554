"""A server's own metrics once a second, as gauges under our names and units.

Reading once a period: readings and changes of error are passed on, and blocking work runs in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from typing import Protocol, TypeVar

from tui.engines.detect import DetectedServer
from tui.engines.readings import gauges_from
from tui.engines.registry import get_engine
from tui.model.gauges import SERVER
from tui.model.rows import GaugeRow, Lane
from tui.model.text import sanitize
from tui.net.coding import CodingError
from tui.net.http import Answer, TooLargeError
from tui.net.page import PageReader
from tui.net.response import BadResponseError
from tui.net.socket import WireError

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
CUT_SHORT = "closes the connection early, or does not speak HTTP"


class Page(Protocol):
    """See `PageReader`."""

    async def read(self) -> Answer: ...

    def close(self) -> None: ...


class OpenPage(Protocol):
    """See `PageReader`."""

    def __call__(self, url: str, headers: Mapping[str, str], *, verify_tls: bool, timeout_s: float) -> Page: ...


ReadPage = Callable[[], Awaitable[bytes]]


class ServerScraper:
    """Scrapes one lane's metrics page. Counters are passed on as they are: a falling one shows a restart."""

    def __init__(
        self,
        lane: Lane,
        server: DetectedServer,
        *,
        timeout_s: float = PAGE_TIMEOUT_S,
        open_page: OpenPage = PageReader,
    ) -> None:
        self._lane: Lane = lane
        self._engine = get_engine(server.info.engine)
        self._server = server
        self._timeout_s, self._open_page = timeout_s, open_page

    async def run(self, emit: Emit, fault: Fault, period_s: float = PERIOD_S) -> None:
        """Scrape until cancelled; with nothing to scrape, return at once after saying why."""
        server = self._server
        if server.metrics_note:
            fault(server.metrics_note)
        if not server.metrics_url:
            return
        with reading(
            server.metrics_url,
            server.headers,
            verify_tls=server.verify_tls,
            timeout_s=self._timeout_s,
            open_page=self._open_page,
        ) as read:
            await poll(lambda: self._read(read), emit, fault, period_s)

    async def _read(self, read: ReadPage) -> list[GaugeRow]:
        url = self._server.metrics_url
        page = await read()
        t_ns = time.monotonic_ns()
        try:
            values = gauges_from(self._engine, page)
        except ValueError as error:
            raise ReadingError(f"{url} cannot be read: {error}") from error
        if not values:
            raise ReadingError(f"{url} has no metric of {self._engine.title}")
        return [GaugeRow(self._lane, SERVER, name, t_ns, value) for name, value in values.items()]


@contextmanager
def reading(
    url: str,
    headers: Mapping[str, str],
    *,
    verify_tls: bool = True,
    timeout_s: float = PAGE_TIMEOUT_S,
    open_page: OpenPage = PageReader,
) -> Iterator[ReadPage]:
    """What reads the page's bytes, again and again. It raises ReadingError."""
    try:
        page = open_page(url, headers, verify_tls=verify_tls, timeout_s=timeout_s)
    except ValueError:
        yield partial(_refuse, f"{sanitize(url, 100)} is not a URL")
        return
    with closing(page):
        yield partial(_read_page, page, url, timeout_s)


async def _refuse(why: str) -> bytes:
    raise NothingToReadError(why)


async def _read_page(page: Page, url: str, timeout_s: float) -> bytes:
    try:
        answer = await page.read()
    except TimeoutError as error:
        raise ReadingError(f"{url} gives no complete answer within {timeout_s:g} s") from error
    except WireError as error:
        raise ReadingError(_wire_trouble(error, url, timeout_s)) from error
    except CodingError as error:
        raise ReadingError(f"{url} cannot be read: {error}") from error
    except BadResponseError as error:
        raise ReadingError(f"{url} {CUT_SHORT}") from error
    except TooLargeError as error:
        raise ReadingError(f"{url}: {error}") from error
    if answer.status != 200:
        raise ReadingError(f"{url} answers HTTP {answer.status}")
    return answer.body


def _wire_trouble(error: WireError, url: str, timeout_s: float) -> str:
    if error.cause == "connect timeout":
        return f"{url} gives no complete answer within {timeout_s:g} s"
    return f"{url} {CUT_SHORT}" if error.cause == "reset" else f"nobody answers at {url}"
