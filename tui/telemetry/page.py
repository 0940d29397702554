"""One page fetched again and again over a kept connection."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tui.engines.fetch import TooLargeError, client, fetch
from tui.records.text import clean
from tui.telemetry.beat import ReadingError

if TYPE_CHECKING:
    import httpx


class Page:
    """A URL and the connection to it. Use it as an async context manager."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        verify: bool = True,
        timeout_s: float = 2.5,
        transport: Any = None,
    ) -> None:
        self.url = url
        self._timeout_s = timeout_s
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
        except httpx.HTTPError as error:
            raise ReadingError(f"{self.url} breaks off: {clean(error, 80) or type(error).__name__}") from error
        except TooLargeError as error:
            raise ReadingError(f"{self.url}: {error}") from error
        if answer.status != 200:
            raise ReadingError(f"{self.url} answers HTTP {answer.status}")
        return answer.body
