"""One page fetched again and again over a kept connection."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tui.engines.fetch import TooLargeError, client, fetch
from tui.records.text import clean
from tui.telemetry.beat import NothingToReadError, ReadingError

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

    async def __aenter__(self) -> "Page":
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
            raise NothingToReadError(f"{clean(self.url, 100)} is not a URL") from error
        except TooLargeError as error:
            raise ReadingError(f"{self.url}: {error}") from error
        if answer.status != 200:
            raise ReadingError(f"{self.url} answers HTTP {answer.status}")
        return answer.body
