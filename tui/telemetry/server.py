"""A server's own metrics once a second, as gauges under our names and units."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tui.engines.base import Engine, Selector
from tui.engines.detect import DetectedServer
from tui.engines.registry import get_engine
from tui.model.gauges import SERVER
from tui.model.rows import GaugeRow, Lane
from tui.model.text import sanitize
from tui.net.http import TooLargeError, fetch
from tui.net.prometheus import Sample, parse
from tui.telemetry.polling import PERIOD_S, Emit, Fault, NothingToReadError, ReadingError, poll

if TYPE_CHECKING:
    import httpx

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
            is_json = page.lstrip()[:1] == b"{"
            values = self._engine.read_loads(page) if is_json else gauges_from(self._engine, page)
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


def gauges_from(engine: Engine, page: bytes) -> dict[str, float]:
    """The gauges of a metrics page, by `model.gauges` name: of each the first selector that has a sample.

    Ranks are joined by sum or mean. ValueError when the page is malformed.
    """
    selectors = [selector for options in engine.gauges.values() for selector in options]
    metrics = dict.fromkeys(
        name for selector in selectors for name in (selector.metric, selector.plus, selector.by) if name
    )
    samples = parse(page, metrics)
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
    """The finite values that a selector picks, one for each group of ranks that report the same."""
    by_group: dict[tuple[tuple[str, str], ...], tuple[tuple[str, ...], float]] = {}
    for labels, exposed in samples:
        if any(labels.get(name) not in allowed for name, allowed in selector.where.items()):
            continue
        value = _value(selector, labels, exposed)
        if not math.isfinite(value):
            continue
        # The process id is no dimension: a restarted worker appears next to its predecessor.
        group = tuple((n, v) for n, v in sorted(labels.items()) if n not in engine.rank_labels and n != "pid")
        rank = tuple(labels.get(name, "").zfill(4) for name in engine.rank_labels)
        if group not in by_group or rank <= by_group[group][0]:
            by_group[group] = rank, value
    return [value for _, value in by_group.values()]


def _value(selector: Selector, labels: Mapping[str, str], exposed: float) -> float:
    if not selector.label:
        return exposed
    try:
        return float(labels.get(selector.label, "")) * float(labels[selector.times] if selector.times else 1)
    except (KeyError, ValueError):
        return math.nan  # vLLM writes "None" where it does not know
