"""The official `openai` client asks the same thing as we do: what an application would see of this server."""

from dataclasses import dataclass
from typing import Any

from tui.engines.base import Ask
from tui.engines.recognise import Found
from tui.engines.registry import engine
from tui.engines.streaming import OUTPUT_TOKENS, Streamed
from tui.records.text import clean

# Arguments of the client's own; every other field of a body travels in its `extra_body`.
_OFFICIAL = frozenset({
    "model", "prompt", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "presence_penalty",
    "frequency_penalty", "seed", "stream", "stream_options",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the official client saw of one streamed answer, or why it saw none."""

    text: str = ""
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    finish_reason: str = ""
    trouble: str = ""

    def against(self, ours: Streamed) -> str:
        """In what it differs from our own reading of the same request, or an empty string."""
        if self.trouble:
            return f"the openai client fails: {self.trouble}"
        pairs = {
            "prompt tokens": (self.prompt_tokens, ours.prompt_tokens),
            "output tokens": (self.output_tokens, ours.output_tokens),
            "finish reason": (self.finish_reason, ours.finish_reason),
            "text": (self.text, ours.text),
        }
        return ", ".join(f"another {name}" for name, (theirs, own) in pairs.items() if theirs != own)


async def ask(
    found: Found, prompt: str, *, output_tokens: int = OUTPUT_TOKENS, verify: bool = True, timeout_s: float = 30
) -> Opinion:
    """Stream a few tokens through the official client."""
    import openai

    info = found.info
    chat = info.endpoint == "chat"
    request = engine(info.engine).body(
        Ask("chat" if chat else "completions", info.model, prompt, output_tokens, 0.0, 0)
    )
    official = {name: value for name, value in request.items() if name in _OFFICIAL}
    extra = {name: value for name, value in request.items() if name not in _OFFICIAL}
    http = openai.DefaultAsyncHttpxClient(verify=verify, trust_env=False)
    async with openai.AsyncOpenAI(
        base_url=f"{info.url}/v1",
        api_key="none",
        default_headers=dict(found.headers),
        http_client=http,
        timeout=timeout_s,
        max_retries=0,
    ) as client:
        create: Any = client.chat.completions.create if chat else client.completions.create
        try:
            return await _read(await create(**official, extra_body=extra))
        except openai.OpenAIError as error:
            return Opinion(trouble=clean(error, 100))


async def _read(stream: Any) -> Opinion:
    text, finish, usage = "", "", None
    async for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            delta = getattr(choice, "delta", None)
            piece = getattr(choice, "text", None) if delta is None else delta.content
            reasoning = getattr(delta, "reasoning", None) or getattr(delta, "reasoning_content", None) or ""
            text += reasoning + (piece or "")
            finish = choice.finish_reason or finish
    if usage is None:
        return Opinion(text, finish_reason=finish)
    return Opinion(text, usage.prompt_tokens, usage.completion_tokens, finish)
