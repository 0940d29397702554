"""What a server says of itself, each second."""

import time
from typing import Any

from tui.engines.recognise import Found
from tui.engines.registry import engine
from tui.records.gauges import SERVER
from tui.records.rows import GaugeRow, Lane
from tui.telemetry.beat import Emit, Fault, ReadingError, beat
from tui.telemetry.gauging import read_page
from tui.telemetry.loads import read_loads
from tui.telemetry.page import Page

PERIOD_S = 1.0


class ServerScraper:
    """Scrapes one lane's metrics page. Counters are passed on as they are: a fall means that the server restarted."""

    def __init__(self, lane: Lane, found: Found, *, verify: bool = True, transport: Any = None) -> None:
        self._lane: Lane = lane
        self._engine = engine(found.info.engine)
        self._found = found
        self._verify = verify
        self._transport = transport

    async def run(self, emit: Emit, fault: Fault) -> None:
        """Scrape until cancelled. `fault` is told each new trouble once, and an empty string when it is over.

        Returns at once, with the reason told, when there is nothing to scrape.
        """
        found = self._found
        if found.metrics_note:
            fault(found.metrics_note)
        if not found.metrics_url:
            return
        async with Page(found.metrics_url, found.headers, verify=self._verify, transport=self._transport) as page:
            await beat(lambda: self._read(page), emit, fault, PERIOD_S)

    async def _read(self, page: Page) -> list[GaugeRow]:
        body = await page.get()
        t_ns = time.monotonic_ns()
        try:
            values = read_loads(body) if body.lstrip()[:1] == b"{" else read_page(self._engine, body)
        except ValueError as error:
            raise ReadingError(f"{page.url} cannot be read: {error}") from error
        if not values:
            raise ReadingError(f"{page.url} shows no metric of {self._engine.title}")
        return [GaugeRow(self._lane, SERVER, name, t_ns, value) for name, value in values.items()]
