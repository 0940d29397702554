"""One tiny request that proves that a server streams."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tui.engines.base import Request
from tui.engines.detect import DetectedServer
from tui.engines.registry import get_engine
from tui.model.profile import PATHS
from tui.model.text import UserError, sanitize
from tui.net.http import Answer

if TYPE_CHECKING:
    import httpx


OUTPUT_TOKENS = 4
_ANSWER_LIMIT = 1 << 20
_PROMPT = "Count from one to ten."


@dataclass(slots=True)
class StreamedAnswer:
    """What one streamed answer held. None: not reported."""

    events: int = 0
    text: str = ""
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    finish_reason: str = ""


async def probe_stream(
    server: DetectedServer, *, prompt: str = "", timeout_s: float = 30, transport: Any = None
) -> StreamedAnswer:
    """Ask for four tokens and read the stream to its end; UserError when it is not one.

    Without a `prompt` it is made of token ids, where the server takes them.
    """
    import httpx

    info = server.info
    ids = [] if prompt else server.token_pool[:8]
    request = Request(info.endpoint, info.model, ids or prompt or _PROMPT, OUTPUT_TOKENS, 0.0, 0)
    url = info.url + PATHS[info.endpoint]
    body = get_engine(info.engine).body(request)
    try:
        async with (
            asyncio.timeout(timeout_s),
            server.client(transport) as http,
            http.stream("POST", url, json=body, timeout=timeout_s) as response,
        ):
            return await _read(response, url)
    except (httpx.TimeoutException, TimeoutError) as error:
        raise UserError(f"{url} gave no whole answer to a request of four tokens within {timeout_s:g} s") from error
    except httpx.HTTPError as error:
        raise UserError(f"{url} broke off while it answered: {sanitize(error, 100)}") from error


async def _read(response: httpx.Response, where: str) -> StreamedAnswer:
    raw = bytearray()
    async for piece in response.aiter_bytes():
        raw += piece
        if len(raw) > _ANSWER_LIMIT:
            raise UserError(f"{where} does not keep to the four tokens asked for")
    content_type = response.headers.get("content-type", "")
    answer = Answer(response.status_code, content_type, "", bytes(raw))
    if answer.status in (404, 405):
        raise UserError(f"{where} answers HTTP {answer.status}: {answer.error_message()}")
    if answer.status != 200:
        raise UserError(f"{where} refuses a small streaming request (HTTP {answer.status}): {answer.error_message()}")
    if not content_type.startswith("text/event-stream"):
        came = sanitize(content_type.partition(";")[0], 40) or "an answer without a type"
        raise UserError(f"{where} does not stream: asked for a stream, it sends {came}, and there is nothing to time")
    streamed = parse_stream(answer.body)
    if not streamed.events:
        raise UserError(f"{where} does not stream: its stream carries no text")
    return streamed


def parse_stream(raw: bytes) -> StreamedAnswer:
    """Read a whole SSE answer. UserError when an event carries an error."""
    answer = StreamedAnswer()
    for line in raw.replace(b"\r\n", b"\n").split(b"\n"):
        if not line.startswith(b"data:") or line[5:].strip() == b"[DONE]":
            continue
        data = Answer(200, "", "", line[5:])
        event = data.object()
        if event.get("error") or event.get("object") == "error":
            raise UserError(f"the server answers with an error in its stream: {data.error_message()}")
        if isinstance(counts := event.get("meta_info"), dict):
            _add_generated(answer, event, counts)
        else:
            _add(answer, event)
    return answer


def _add(answer: StreamedAnswer, event: dict[str, Any]) -> None:
    usage = event.get("usage")
    if isinstance(usage, dict):
        answer.prompt_tokens = usage.get("prompt_tokens", answer.prompt_tokens)
        answer.output_tokens = usage.get("completion_tokens", answer.output_tokens)
    choices = event.get("choices")
    for choice in choices if isinstance(choices, list) else []:
        if not isinstance(choice, dict):
            continue
        delta: Any = choice.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        pieces = (choice.get("text"), delta.get("reasoning"), delta.get("reasoning_content"), delta.get("content"))
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        answer.text += text
        answer.events += bool(text or delta.get("tool_calls"))
        answer.finish_reason = sanitize(choice.get("finish_reason") or answer.finish_reason, 40)


def _add_generated(answer: StreamedAnswer, event: dict[str, Any], counts: dict[str, Any]) -> None:
    """An event of `generate`: its text and its counts are those of the whole answer so far."""
    text, reason = event.get("text"), counts.get("finish_reason")
    if isinstance(text, str) and text:
        # A server that was started to stream increments sends just what is new.
        answer.text = text if text.startswith(answer.text) else answer.text + text
        answer.events += 1
    answer.prompt_tokens = counts.get("prompt_tokens", answer.prompt_tokens)
    answer.output_tokens = counts.get("completion_tokens", answer.output_tokens)
    if isinstance(reason, dict):
        answer.finish_reason = sanitize(reason.get("type") or answer.finish_reason, 40)
