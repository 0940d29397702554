"""The endpoints that load is sent to, and their paths behind a server's base URL."""

from collections.abc import Mapping
from typing import Final, Literal

Endpoint = Literal["completions", "chat", "generate"]
# `generate` is SGLang's own, which its bench client asks: the same work without an OpenAI front end.
PATHS: Final[Mapping[Endpoint, str]] = {
    "completions": "/v1/completions",
    "chat": "/v1/chat/completions",
    "generate": "/generate",
}
