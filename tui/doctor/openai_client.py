"""What the official `openai` client, and so an application, reads from a server's stream."""

import asyncio
import inspect
from typing import Any
from urllib.parse import parse_qsl

from tui.engines.base import Request
from tui.engines.detect import DetectedServer
from tui.engines.probe import OUTPUT_TOKENS, StreamedAnswer
from tui.model.text import UserError, sanitize
from tui.net.trust import ssl_context


async def client_answer(
    server: DetectedServer, prompt: str, *, output_tokens: int = OUTPUT_TOKENS, timeout_s: float = 30
) -> StreamedAnswer:
    """Stream a few tokens through the official client. UserError when it fails."""
    import openai

    info = server.info
    chat = info.endpoint == "chat"
    request = Request("chat" if chat else "completions", info.model, prompt, output_tokens, 0.0, 0)
    body = server.body(request)
    async with openai.AsyncOpenAI(
        base_url=info.url + info.api_path,
        default_query=dict(parse_qsl(server.query.removeprefix("?"))),
        api_key="none",
        default_headers=dict(server.headers),
        http_client=openai.DefaultAsyncHttpxClient(verify=ssl_context(verify=server.verify_tls), trust_env=False),
        timeout=timeout_s,
        max_retries=0,
    ) as client:
        create: Any = client.chat.completions.create if chat else client.completions.create
        known = inspect.signature(create).parameters
        extra = {name: body.pop(name) for name in body.keys() - known.keys()}
        try:
            async with asyncio.timeout(timeout_s):
                return await _read(await create(**body, extra_body=extra))
        except openai.OpenAIError as error:
            raise UserError(f"the openai client fails: {sanitize(error, 100)}") from error
        except Exception as error:  # of its parts, on an answer that they do not expect
            why = sanitize(f"{type(error).__name__}: {error}", 100)
            raise UserError(f"the openai client fails on this answer ({why})") from error


async def _read(stream: Any) -> StreamedAnswer:
    answer = StreamedAnswer()
    async with stream:
        async for chunk in stream:
            if chunk.usage is not None:
                answer.prompt_tokens, answer.output_tokens = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
            for choice in chunk.choices:
                delta = getattr(choice, "delta", None)
                piece = getattr(choice, "text", None) if delta is None else delta.content
                reasoning = getattr(delta, "reasoning", None) or getattr(delta, "reasoning_content", None) or ""
                answer.text += reasoning + (piece or "")
                answer.finish_reason = choice.finish_reason or answer.finish_reason
    return answer


def answer_differences(client: StreamedAnswer, ours: StreamedAnswer) -> str:
    """What the client reads differently from us in two answers to the same request; empty: nothing."""
    fields = ("prompt_tokens", "output_tokens", "finish_reason", "text")
    differing = [name for name in fields if getattr(client, name) != getattr(ours, name)]
    return ", ".join(f"different {name.replace('_', ' ')}" for name in differing)
