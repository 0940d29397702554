"""Reading once a period: readings and changes of error are passed on, and blocking work runs in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tui.model.rows import GaugeRow

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
