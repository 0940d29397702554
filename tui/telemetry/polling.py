"""The rhythm of a reader: once a period on its own schedule, and one line whenever its trouble changes.

Blocking work in a daemon thread, because a driver that hangs must not hold up the end of the program.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tui.model.rows import GaugeRow

Emit = Callable[[list[GaugeRow]], None]
Fault = Callable[[str], None]


class ReadingError(Exception):
    """Why nothing could be read just now, in one line."""


class NothingToReadError(ReadingError):
    """Why there will never be anything to read."""


async def poll(read: Callable[[], Awaitable[list[GaugeRow]]], emit: Emit, fault: Fault, period_s: float) -> None:
    """Read once a period, until there is nothing to read. Beats missed by a long reading are not made up for.

    `fault` is told a line when reading fails in a new way, and an empty string when it works again.
    """
    line = ""
    due = time.monotonic()
    while True:
        try:
            rows = await read()
            now = ""
        except NothingToReadError as error:
            fault(str(error))
            return
        except ReadingError as error:
            rows, now = [], str(error)
        if rows:
            emit(rows)
        if now != line:
            line = now
            fault(line)
        due += period_s * max(1, -(-(time.monotonic() - due) // period_s))
        await asyncio.sleep(max(0.0, due - time.monotonic()))


T = TypeVar("T")


async def call_in_thread(work: Callable[[], T], timeout_s: float) -> T:
    """What `work` returns. TimeoutError when it takes longer; it then goes on unseen, and its thread ends with it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="gpu", daemon=True).start()
    async with asyncio.timeout(timeout_s):
        return await done
