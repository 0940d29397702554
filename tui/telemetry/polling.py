"""The rhythm of a reader: once a period on its own schedule, and one line whenever its trouble changes."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from tui.records.rows import GaugeRow

Emit = Callable[[list[GaugeRow]], None]
Fault = Callable[[str], None]


class ReadingError(Exception):
    """Why nothing could be read just now, in one line."""


class NothingToReadError(ReadingError):
    """Why there will never be anything to read."""


async def beat(read: Callable[[], Awaitable[list[GaugeRow]]], emit: Emit, fault: Fault, period_s: float) -> None:
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
