"""A server's URL as people type it becomes a base URL that can be shown, and headers that cannot."""

import base64
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from tui.records.errors import UserError
from tui.records.text import clean


def base_url(url: str) -> str:
    """Scheme, host, port and path, without `/v1`, trailing slashes or credentials.

    `127.0.0.1:8000` is taken as http. UserError for any scheme but http and https, and for a URL without a host.
    """
    text = url.strip()
    if "://" not in text:
        text = "http://" + text
    parts = urlsplit(text)
    host = parts.netloc.rpartition("@")[2]
    shown = clean(f"{parts.scheme}://{host}{parts.path}", 100)
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
