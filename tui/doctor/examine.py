"""One lane looked at before it is measured: everything that a comparison could fail on.

The official `openai` client asks the same thing as we do: what an application would see of this server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tui.engines.base import Ask, Settings
from tui.engines.detect import DetectedServer, detect_lane
from tui.engines.probe import OUTPUT_TOKENS, StreamedAnswer, probe_stream
from tui.engines.registry import engine
from tui.engines.settings import read_settings
from tui.engines.tokenizer import tokenize
from tui.model import gauges
from tui.model.profile import PATHS, LaneProfile
from tui.model.rows import Lane
from tui.model.text import UserError, sanitize
from tui.net.http import Site, base_url
from tui.telemetry.gpus import gpu_reader
from tui.telemetry.polling import ReadingError
from tui.telemetry.processes import is_this_host
from tui.telemetry.server import gauges_from, get_page

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

    def against(self, ours: StreamedAnswer) -> str:
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
    found: DetectedServer, prompt: str, *, output_tokens: int = OUTPUT_TOKENS, timeout_s: float = 30
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
    http = openai.DefaultAsyncHttpxClient(verify=found.verify_tls, trust_env=False)
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
            return Opinion(trouble=sanitize(error, 100))


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


PROMPT = "The quick brown fox jumps over 13 lazy dogs; naïve façades, 東京 and λ-calculus follow. " * 4
TOKENIZER_TIMEOUT_S = 5.0


@dataclass(slots=True)
class LaneCheck:
    """What one lane's examination found. `trouble` is a sentence when it cannot be measured at all."""

    lane: Lane
    url: str
    trouble: str = ""
    found: DetectedServer | None = None
    answer_ms: float | None = None
    settings: Settings = field(default_factory=dict)  # by key
    tokens_served: float | None = None  # before we asked for any
    streamed: StreamedAnswer | None = None
    prompt_tokens: int | None = None  # of PROMPT, as the server counts
    opinion: str = ""  # how the official client's reading differs from ours
    gpus: Mapping[int, str] = field(default_factory=dict)
    gpu_note: str = ""
    dcgm: str = ""  # the exporter that knows its GPUs; empty: this host's own NVML
    here: bool = False  # it runs on this host

    def comparable(self) -> dict[str, object]:
        """Its settings by the keys of `model.settings`, with what only an examination tells."""
        known = dict(self.settings)
        if self.found is not None:
            known["endpoint"] = PATHS[self.found.info.endpoint]
        if self.prompt_tokens is not None:
            known["prompt_tokens"] = self.prompt_tokens
        if self.gpus:
            kinds = sorted(self.gpus.values())
            known["gpus"] = ", ".join(f"{kinds.count(kind)} × {kind}" for kind in dict.fromkeys(kinds))
        return known


async def examine_lane(lane: Lane, server: LaneProfile) -> LaneCheck:
    """Ask one server everything; two requests of four tokens are all the work it gets."""
    result = LaneCheck(lane, "")
    began = time.monotonic()
    try:
        result.url = base_url(server.url)  # what was typed may hold credentials
        found = result.found = await detect_lane(server)
        result.here = await asyncio.to_thread(is_this_host, urlsplit(found.info.url).hostname or "")
        result.answer_ms = (time.monotonic() - began) * 1e3
        result.tokens_served = await _tokens_served(found)
        result.settings = await read_settings(found)
        streamed = await probe_stream(found, prompt=PROMPT)
    except UserError as error:
        result.trouble = str(error)
        return result
    result.streamed = streamed
    result.prompt_tokens = streamed.prompt_tokens
    result.opinion = (await ask(found, PROMPT)).against(streamed)
    await _look_at_gpus(result, server)
    return result


async def quick_check(lane: Lane, server: LaneProfile, found: DetectedServer) -> LaneCheck:
    """The part of an examination of a recognised server that generates nothing."""
    result = LaneCheck(lane, found.info.url, found=found)
    result.here = await asyncio.to_thread(is_this_host, urlsplit(found.info.url).hostname or "")
    result.settings, result.prompt_tokens, _ = await asyncio.gather(
        read_settings(found), _tokenized(found), _look_at_gpus(result, server)
    )
    return result


async def _tokenized(found: DetectedServer) -> int | None:
    """How many tokens PROMPT is to the server's tokenizer, None when it has none to ask."""
    async with found.client() as http:
        site = Site(http, found.info.url, TOKENIZER_TIMEOUT_S)
        return len(await tokenize(site, engine(found.info.engine), found.info.model, PROMPT)) or None


async def _look_at_gpus(result: LaneCheck, server: LaneProfile) -> None:
    result.dcgm = server.dcgm
    try:
        reader = gpu_reader(result.lane, url=result.url, dcgm_url=server.dcgm, gpus=server.gpus)
        result.gpus = await reader.names()
        result.gpu_note = reader.note
    except ReadingError as error:
        result.gpu_note = str(error)


async def _tokens_served(found: DetectedServer) -> float | None:
    """How many tokens the server has generated since its start; None when it does not tell."""
    if not found.metrics_url:
        return None
    async with found.client() as http:
        try:
            counted = gauges_from(engine(found.info.engine), await get_page(http, found.metrics_url))
        except (ReadingError, ValueError):
            return None
    # Some engines show their counters only after the first request.
    fallback = 0.0 if counted else None
    return counted.get(gauges.GENERATION_TOKENS_FINISHED, counted.get(gauges.GENERATION_TOKENS, fallback))
