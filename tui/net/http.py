"""HTTP that is not timed: answers limited in time and size whatever the server does, and URLs as people type them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

import msgspec

from tui.model.text import UserError, sanitize
from tui.net.coding import CodingError, decoder
from tui.net.socket import ssl_context

if TYPE_CHECKING:
    import httpx


MAX_BODY_BYTES = 4 << 20
MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class TooLargeError(Exception):
    """The answer exceeds its size limit."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int  # 0 when an optional endpoint gave no answer
    content_type: str
    server: str  # the Server header
    body: bytes
    location: str = ""  # of a redirect

    def json(self) -> Any:
        """The decoded body, or None when it is not JSON."""
        return decode(self.body)

    def object(self) -> dict[str, Any]:
        """The body as a JSON object; empty when it is not one."""
        decoded = self.json()
        return decoded if isinstance(decoded, dict) else {}

    def json_object(self) -> dict[str, Any]:
        """The JSON object of a 200 answer; empty for any other, because the body of an error is an object too."""
        return self.object() if self.status == 200 else {}

    def error_message(self, limit: int = 120) -> str:
        return error_message(self.body, limit)


ERROR_KEYS = ("error", "errors", "message", "detail", "msg", "reason")


def error_message(body: bytes | bytearray, limit: int = 200) -> str:
    """The message of an error body, in whichever shape it comes, else the start of the text. Sanitized."""
    decoded = decode(body)
    message = _message(decoded) if decoded is not None else ""
    return sanitize(message or body[:2000].decode("utf-8", "replace"), limit)


def error_in(event: Mapping[str, Any]) -> str:
    """The message of an event or a choice when it is an error, in whichever shape; else empty. Sanitized."""
    if event.get("error"):
        return sanitize(_message(event), 200)
    if event.get("object") == "error" or event.get("type") == "error":
        return sanitize(_message(event) or "an error without a message", 200)
    is_output = "choices" in event or "meta_info" in event or "delta" in event or "usage" in event
    return "" if is_output else sanitize(_message(event), 200)


def _message(error: object) -> str:
    """The words in an error of any shape; empty when it has none."""
    if isinstance(error, str):
        return error
    if isinstance(error, list):
        return "; ".join(words for each in error[:4] if (words := _message(each)))
    if not isinstance(error, dict):
        return ""
    for key in ERROR_KEYS:
        if words := _message(error.get(key)):
            return words
    return str(error["error"]) if error.get("error") else ""


def decode(body: bytes | bytearray) -> Any:
    """The JSON value, or None when it is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def client(headers: Mapping[str, str], *, verify: bool = True, transport: Any = None) -> httpx.AsyncClient:
    """A client for probes and scrapes. It goes straight to the server, past any proxy, as the load does.

    It asks for plain bytes: vLLM would compress its metrics page for each scrape, on the loop that serves the load.
    """
    import httpx

    plain = {"Accept-Encoding": "identity"}
    trust = ssl_context(verify=verify)
    return httpx.AsyncClient(headers=plain | dict(headers), verify=trust, trust_env=False, transport=transport)


async def fetch(
    http: httpx.AsyncClient,
    url: str,
    *,
    timeout_s: float,
    limit: int = MAX_BODY_BYTES,
    payload: Any = None,
) -> Answer:
    """GET `url`, or POST `payload` to it as JSON.

    Raises `httpx.HTTPError` or TimeoutError without a whole answer in `timeout_s`, TooLargeError above `limit`.
    """

    method = "GET" if payload is None else "POST"
    async with asyncio.timeout(timeout_s), http.stream(method, url, json=payload, timeout=timeout_s) as response:
        body = bytearray()
        async for piece in _plain_pieces(response):
            body += piece
            if len(body) > limit:
                raise TooLargeError(f"the answer is larger than {limit >> 20} MB")
        head = response.headers
        return Answer(
            response.status_code,
            head.get("content-type", ""),
            head.get("server", ""),
            bytes(body),
            head.get("location", ""),
        )


async def _plain_pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body, of which no piece is longer than a decoder allows, whatever the server compressed."""
    import httpx

    try:
        decode_piece = decoder(response.headers.get("content-encoding", ""))
        async for piece in response.aiter_bytes() if decode_piece is None else response.aiter_raw():
            yield piece if decode_piece is None else decode_piece(piece)
    except CodingError as error:
        raise httpx.DecodingError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Site:
    """A server's optional endpoints: one that is absent or broken gives an answer of status 0."""

    http: httpx.AsyncClient
    base: str
    timeout_s: float

    async def ask(self, path: str, payload: Any = None) -> Answer:
        """GET `path`, or POST `payload` to it."""
        import httpx

        try:
            return await fetch(self.http, self.base + path, timeout_s=self.timeout_s, payload=payload)
        except (httpx.HTTPError, TimeoutError, TooLargeError):
            return Answer(0, "", "", b"")


def base_url(url: str) -> str:
    """Scheme, host, port and path, without `/v1`, trailing slashes or credentials: safe to show.

    `127.0.0.1:8000` is read as http. UserError for any scheme but http and https, and for a URL without a host.
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


def redirected(status: int, location: str, base: str, path: str) -> str:
    """The base URL that an answer redirects to when the same path is there; empty: no redirect, or not to that."""
    if status not in REDIRECTS or not location:
        return ""
    url = urlsplit(urljoin(base + path, location.strip()))
    if url.scheme not in ("http", "https") or not url.hostname or not url.path.endswith(path):
        return ""
    return base_url(f"{url.scheme}://{url.netloc}{url.path.removesuffix(path)}")


def headers_for(headers: Mapping[str, str], base: str, target: str) -> dict[str, str]:
    """The headers that may follow a redirect: none to another host, nor from TLS to plain text; one may be a key."""
    old, new = urlsplit(base), urlsplit(target)
    same = old.hostname == new.hostname and (new.scheme == "https" or old.scheme == "http")
    return dict(headers) if same else {}


def request_headers(url: str, key: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Headers of every request: the key as a bearer token, else the URL's credentials; then the extra ones."""
    headers: dict[str, str] = {}
    credentials, at, _ = urlsplit(url.strip() if "://" in url else f"http://{url.strip()}").netloc.rpartition("@")
    if key:
        headers["Authorization"] = f"Bearer {key}"
    elif at:
        name, _, password = credentials.partition(":")
        pair = f"{unquote(name)}:{unquote(password)}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    return headers | dict(extra)
