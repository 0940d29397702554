"""What a server says of itself, each second.

One page fetched again and again over a kept connection.

An engine's metrics become gauges under our names and units.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tui.engines.base import Engine, Selector
from tui.engines.detect import DetectedServer
from tui.engines.registry import engine
from tui.model.gauges import SERVER
from tui.model.rows import GaugeRow, Lane
from tui.model.text import sanitize
from tui.net.http import TooLargeError, client, fetch
from tui.net.prometheus import Sample, parse
from tui.telemetry.polling import Emit, Fault, NothingToReadError, ReadingError, poll

if TYPE_CHECKING:
    import httpx


TIMEOUT_S = 2.5  # for the whole page, however slowly it comes


class Page:
    """A URL and the connection to it. Use it as an async context manager.

    The lines of its errors hold nothing that the server wrote: they would change with each scrape, and each change is
    told.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        verify: bool = True,
        timeout_s: float | None = None,
        transport: Any = None,
    ) -> None:
        self.url = url
        self._timeout_s = TIMEOUT_S if timeout_s is None else timeout_s
        self._http: httpx.AsyncClient = client(headers, verify=verify, transport=transport)

    async def __aenter__(self) -> Page:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self) -> bytes:
        """The page's bytes. ReadingError with one line when there are none."""
        import httpx

        try:
            try:
                answer = await fetch(self._http, self.url, timeout_s=self._timeout_s)
            except (httpx.RemoteProtocolError, httpx.ReadError):
                # Servers close idle connections (llama.cpp also busy ones): a fresh one decides.
                await asyncio.sleep(0)
                answer = await fetch(self._http, self.url, timeout_s=self._timeout_s)
        except (httpx.TimeoutException, TimeoutError) as error:
            raise ReadingError(f"{self.url} gives no whole answer within {self._timeout_s:g} s") from error
        except httpx.ConnectError as error:
            raise ReadingError(f"nobody answers at {self.url}") from error
        except httpx.DecodingError as error:
            raise ReadingError(f"{self.url} cannot be read: {error}") from error
        except httpx.HTTPError as error:
            raise ReadingError(f"{self.url} breaks off, or does not speak HTTP") from error
        except httpx.InvalidURL as error:
            raise NothingToReadError(f"{sanitize(self.url, 100)} is not a URL") from error
        except TooLargeError as error:
            raise ReadingError(f"{self.url}: {error}") from error
        if answer.status != 200:
            raise ReadingError(f"{self.url} answers HTTP {answer.status}")
        return answer.body


def gauges_from(engine: Engine, page: bytes) -> dict[str, float]:
    """The gauges of a metrics page, by `records.gauges` name. ValueError when the page is malformed."""
    selectors = [selector for options in engine.gauges.values() for selector in options]
    names = dict.fromkeys(
        name for selector in selectors for name in (selector.metric, selector.plus, selector.by) if name
    )
    return read_samples(engine, parse(page, names))


def read_samples(engine: Engine, samples: Mapping[str, Sequence[Sample]]) -> dict[str, float]:
    """Of each gauge the first selector that finds a sample, joined over ranks by sum or mean."""
    gauges: dict[str, float] = {}
    for gauge, options in engine.gauges.items():
        for selector in options:
            values = _values(engine, selector, samples.get(selector.metric, ()))
            factor = _values(engine, Selector(selector.by), samples.get(selector.by, ())) if selector.by else [1.0]
            if values and factor:
                joined = sum(values) / (len(values) if gauge in engine.mean_of else 1)
                joined += sum(_values(engine, Selector(selector.plus), samples.get(selector.plus, ())))
                gauges[gauge] = joined * factor[0] * selector.scale
                break
    return gauges


def _values(engine: Engine, selector: Selector, samples: Sequence[Sample]) -> list[float]:
    """The finite values that a selector picks, one for each group of ranks that tell the same."""
    of_group: dict[tuple[tuple[str, str], ...], tuple[tuple[str, ...], float]] = {}
    for labels, exposed in samples:
        if any(labels.get(name) not in allowed for name, allowed in selector.where.items()):
            continue
        value = _value(selector, labels, exposed)
        if not math.isfinite(value):
            continue
        # The process id is no dimension: a restarted worker appears beside its predecessor.
        group = tuple((n, v) for n, v in sorted(labels.items()) if n not in engine.rank_labels and n != "pid")
        rank = tuple(labels.get(name, "").zfill(4) for name in engine.rank_labels)
        if group not in of_group or rank <= of_group[group][0]:
            of_group[group] = rank, value
    return [value for _, value in of_group.values()]


def _value(selector: Selector, labels: Mapping[str, str], exposed: float) -> float:
    if not selector.label:
        return exposed
    try:
        return float(labels.get(selector.label, "")) * float(labels[selector.times] if selector.times else 1)
    except (KeyError, ValueError):
        return math.nan  # vLLM writes "None" where it does not know


PERIOD_S = 1.0


class ServerScraper:
    """Scrapes one lane's metrics page. Counters are passed on as they are: a fall means that the server restarted."""

    def __init__(self, lane: Lane, found: DetectedServer, *, verify: bool = True, transport: Any = None) -> None:
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
            await poll(lambda: self._read(page), emit, fault, PERIOD_S)

    async def _read(self, page: Page) -> list[GaugeRow]:
        body = await page.get()
        t_ns = time.monotonic_ns()
        try:
            is_json = body.lstrip()[:1] == b"{"
            values = self._engine.read_loads(body) if is_json else gauges_from(self._engine, body)
        except ValueError as error:
            raise ReadingError(f"{page.url} cannot be read: {error}") from error
        if not values:
            raise ReadingError(f"{page.url} shows no metric of {self._engine.title}")
        return [GaugeRow(self._lane, SERVER, name, t_ns, value) for name, value in values.items()]
