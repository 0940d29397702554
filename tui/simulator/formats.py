"""The events of a stream, in the engine's manner and built around the text so that a token costs little.

Shapes, key order and event order are those captured from vLLM 0.32.0 and SGLang 0.5.23. The simulator's words need no
JSON escapes, so an event is joined from ready pieces.
"""

import json
import time
from typing import Any, Protocol

from tui.simulator.asking import Asked

DONE = b"data: [DONE]\n\n"


class Events(Protocol):
    """Writes one request's answer; `number` counts its output tokens from 1."""

    def first(self) -> bytes:
        """What opens the stream, before any token: the role of a chat."""

    def token(self, text: str, number: int, *, last: bool) -> bytes:
        """One token."""

    def end(self, number: int) -> bytes:
        """What follows the last token, the end mark included."""

    def whole(self, text: str, number: int) -> dict[str, Any]:
        """The answer to a request that asked for no stream."""


def compact(value: object) -> str:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"))


def head(asked: Asked, request_id: str, *, stream: bool) -> dict[str, Any]:
    """The fields that open every event or answer."""
    kind = "text_completion" if not asked.chat else "chat.completion.chunk" if stream else "chat.completion"
    return {"id": request_id, "object": kind, "created": int(time.time()), "model": asked.model}


def counts_json(asked: Asked, number: int, more: str = "") -> str:
    """`counts` as JSON with `more` fields behind."""
    prompt_tokens = len(asked.prompt)
    total = prompt_tokens + number
    return f'{{"prompt_tokens":{prompt_tokens},"total_tokens":{total},"completion_tokens":{number}{more}}}'


def counts(asked: Asked, number: int) -> dict[str, int]:
    """The three fields of `usage` that every engine gives."""
    prompt_tokens = len(asked.prompt)
    return {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens + number, "completion_tokens": number}
