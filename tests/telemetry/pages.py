"""Metrics pages captured from real vLLM, SGLang and llama.cpp servers, without most buckets."""

from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from tui.net.http import Answer
from tui.telemetry.server import OpenPage

CAPTURED = Path(__file__).parent / "captured"
PAGES = sorted(path.name for path in CAPTURED.glob("*.txt"))


def page(name: str) -> bytes:
    """The bytes of one captured page."""
    return (CAPTURED / name).read_bytes()


def kind(name: str) -> str:
    """The engine that a page came from."""
    return name.partition("-")[0]


def answered_by(handler: Callable[[httpx.Request], httpx.Response]) -> OpenPage:
    """Pages that no server is asked for."""

    class Handled:
        def __init__(self, url: str, headers: Mapping[str, str], *, verify_tls: bool, timeout_s: float) -> None:
            self.request = httpx.Request("GET", url, headers=headers)

        async def read(self) -> Answer:
            response = handler(self.request)
            return Answer(response.status_code, "", "", response.content)

        def close(self) -> None:
            pass

    return Handled
