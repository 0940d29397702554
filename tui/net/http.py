"""One HTTP answer, limited in time and in size whatever the server does.

A server's URL as people type it becomes a base URL that can be shown, and headers that cannot.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec

from tui.model.text import UserError, sanitize

if TYPE_CHECKING:
    import httpx


BODY_LIMIT = 4 << 20


class TooLargeError(Exception):
    """The answer went over its size limit."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    status: int
    content_type: str
    server: str  # the Server header
    body: bytes

    def json(self) -> Any:
        """The body as JSON, or None when it is not."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def object(self) -> dict[str, Any]:
        """The body as a JSON object, empty when it is none."""
        decoded = self.json()
        return decoded if isinstance(decoded, dict) else {}

    def json_object(self) -> dict[str, Any]:
        """The JSON object of a good answer, empty for any other: an error's body is an object too."""
        return self.object() if self.status == 200 else {}

    def words(self, limit: int = 120) -> str:
        """The server's own words, cleaned: the message of an error body, else the start of the text."""
        found = self.object()
        inner = found.get("error", found)
        message = inner.get("message") or inner.get("detail") if isinstance(inner, dict) else inner
        return sanitize(message or self.body[:2000].decode("utf-8", "replace"), limit)


def client(headers: Mapping[str, str], *, verify: bool = True, transport: Any = None) -> httpx.AsyncClient:
    """A client as the probes and scrapes use it: straight to the server, as the load goes, past any proxy.

    It wants plain bytes: vLLM would compress its metrics page for each scrape, on the loop that serves the load.
    """
    import httpx

    plain = {"Accept-Encoding": "identity"}
    return httpx.AsyncClient(headers=plain | dict(headers), verify=verify, trust_env=False, transport=transport)


async def fetch(
    http: httpx.AsyncClient,
    url: str,
    *,
    timeout_s: float,
    limit: int = BODY_LIMIT,
    payload: Any = None,
) -> Answer:
    """GET `url`, or POST `payload` to it as JSON.

    Raises `httpx.HTTPError` or TimeoutError when nothing whole comes within `timeout_s`, TooLargeError above `limit`.
    """
    import httpx

    method = "GET" if payload is None else "POST"
    async with asyncio.timeout(timeout_s), http.stream(method, url, json=payload, timeout=timeout_s) as response:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise httpx.DecodingError("it is compressed, though plain bytes were asked for")  # to any length
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > limit:
                raise TooLargeError(f"the answer is larger than {limit >> 20} MB")
        head = response.headers
        return Answer(response.status_code, head.get("content-type", ""), head.get("server", ""), bytes(body))


@dataclass(frozen=True, slots=True)
class Site:
    """A server whose optional endpoints are asked: one that is absent or broken answers with status 0."""

    http: httpx.AsyncClient
    base: str
    timeout_s: float

    async def ask(self, path: str, payload: Any = None) -> Answer:
        """The answer to GET `path`, or to a POST of `payload`."""
        import httpx

        try:
            return await fetch(self.http, self.base + path, timeout_s=self.timeout_s, payload=payload)
        except (httpx.HTTPError, TimeoutError, TooLargeError):
            return _NOTHING


_NOTHING = Answer(0, "", "", b"")


def base_url(url: str) -> str:
    """Scheme, host, port and path, without `/v1`, trailing slashes or credentials.

    `127.0.0.1:8000` is taken as http. UserError for any scheme but http and https, and for a URL without a host.
    """
    text = url.strip()
    if "://" not in text:
        text = "http://" + text
    parts = urlsplit(text)
    host = parts.netloc.rpartition("@")[2]
    shown = sanitize(f"{parts.scheme}://{host}{parts.path}", 100)
    if parts.scheme not in ("http", "https"):
        raise UserError(f"{shown} has the scheme {parts.scheme}; give an http:// or https:// URL")
    try:
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise UserError(f"{shown} is not a server's URL; give one like http://127.0.0.1:8000")
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{host}{path}"


def request_headers(url: str, key: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Headers of every request: the key as a bearer token, else the URL's own credentials, then the extra ones."""
    headers: dict[str, str] = {}
    credentials, at, _ = urlsplit(url.strip() if "://" in url else f"http://{url.strip()}").netloc.rpartition("@")
    if key:
        headers["Authorization"] = f"Bearer {key}"
    elif at:
        name, _, password = credentials.partition(":")
        pair = f"{unquote(name)}:{unquote(password)}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    return headers | dict(extra)
