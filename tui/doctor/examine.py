"""One lane examined before it is measured: everything that a comparison could fail on.

The official `openai` client reads the same stream, as an application would; prefix caches can be emptied, so that a
measurement begins without the prompts of the last one.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tui.engines.adapt import probe_and_adapt
from tui.engines.base import Engine, Request, Settings
from tui.engines.detect import DetectedServer, detect_lane
from tui.engines.probe import OUTPUT_TOKENS, StreamedAnswer
from tui.engines.readings import gauges_from, missing_gauges, renamed_prefix
from tui.engines.registry import get_engine
from tui.engines.settings import read_settings
from tui.engines.tokenizer import tokenize
from tui.model import gauges
from tui.model.profile import PATHS, LaneProfile, Profile
from tui.model.rows import Lane
from tui.model.text import UserError, sanitize
from tui.net.http import Site, base_url
from tui.net.socket import ssl_context
from tui.telemetry.gpus import gpu_reader
from tui.telemetry.processes import is_this_host
from tui.telemetry.server import ReadingError, reading


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


PROMPT = "The quick brown fox jumps over 13 lazy dogs; naïve façades, 東京 and λ-calculus follow. " * 4
TOKENIZER_TIMEOUT_S = 5.0


@dataclass(slots=True)
class LaneCheck:
    """What the examination of one lane showed."""

    lane: Lane
    url: str
    error: str = ""  # a sentence when it cannot be measured at all
    server: DetectedServer | None = None
    response_ms: float | None = None
    settings: Settings = field(default_factory=dict)
    tokens_served: float | None = None  # before we asked for any
    answer: StreamedAnswer | None = None
    prompt_tokens: int | None = None  # in PROMPT, as the server counts
    client_note: str = ""  # what the official client reads differently from us
    gauges: Collection[str] | None = None  # that its metrics page has after our requests; None: it has no page
    metrics_note: str = ""  # what is wrong with the page
    metrics_prefix: str = ""  # of the names on it, where they are not spelled as the engine does
    gpus: Mapping[int, str] = field(default_factory=dict)  # name by number
    gpu_note: str = ""
    dcgm: str = ""  # the exporter that numbers its GPUs; empty: this host's own NVML
    on_this_host: bool = False

    def comparable_settings(self) -> Settings:
        """Its settings by key, with those that only an examination shows."""
        settings = dict(self.settings)
        if self.server is not None:
            settings["endpoint"] = PATHS[self.server.info.endpoint]
        if self.prompt_tokens is not None:
            settings["prompt_tokens"] = self.prompt_tokens
        if self.gpus:
            names = sorted(self.gpus.values())
            settings["gpus"] = ", ".join(f"{names.count(name)} × {name}" for name in dict.fromkeys(names))
        return settings


async def examine_lane(lane: Lane, profile: LaneProfile, patience_s: float = 30) -> LaneCheck:
    """Ask one server everything; two requests of four tokens are all the work it gets."""
    check = LaneCheck(lane, "")
    began = time.monotonic()
    try:
        check.url = base_url(profile.url)  # what was typed may hold credentials
        server = check.server = await detect_lane(profile)
        check.url = server.info.url
        check.response_ms = (time.monotonic() - began) * 1e3
        check.on_this_host = await _is_here(server)
        check.tokens_served = await _tokens_served(server)
        check.settings = await read_settings(server)
        server, check.answer = await probe_and_adapt(server, prompt=PROMPT, timeout_s=patience_s)
        check.server = server
    except UserError as error:
        check.error = str(error)
        return check
    check.prompt_tokens = check.answer.prompt_tokens
    try:
        check.client_note = answer_differences(await client_answer(server, PROMPT), check.answer)
    except UserError as error:
        check.client_note = str(error)
    await _read_metrics(check, server)
    await _read_gpus(check, profile)
    return check


async def quick_check(lane: Lane, profile: LaneProfile, server: DetectedServer) -> LaneCheck:
    """The part of an examination of a detected server that generates nothing."""
    check = LaneCheck(lane, server.info.url, server=server, on_this_host=await _is_here(server))
    check.settings, check.prompt_tokens, _ = await asyncio.gather(
        read_settings(server), _tokenized(server), _read_gpus(check, profile)
    )
    return check


async def _is_here(server: DetectedServer) -> bool:
    return await asyncio.to_thread(is_this_host, urlsplit(server.info.url).hostname or "")


async def _tokenized(server: DetectedServer) -> int | None:
    """How many tokens PROMPT is to the server's tokenizer, None when it has none to ask."""
    async with server.client() as http:
        site = Site(http, server.info.url, TOKENIZER_TIMEOUT_S)
        return len(await tokenize(site, get_engine(server.info.engine), server.info.model, PROMPT)) or None


async def _read_gpus(check: LaneCheck, profile: LaneProfile) -> None:
    check.dcgm = profile.dcgm
    try:
        reader = gpu_reader(check.lane, url=check.url, server=profile)
        check.gpus = await reader.names()
        check.gpu_note = reader.note
    except ReadingError as error:
        check.gpu_note = str(error)


async def _read_metrics(check: LaneCheck, server: DetectedServer) -> None:
    """Whether the page holds what is shown live, now that requests have ended."""
    check.metrics_note = server.metrics_note
    if not server.metrics_url:
        return
    engine = get_engine(server.info.engine)
    try:
        page = await _page(server)
        check.gauges, check.metrics_prefix = gauges_from(engine, page), renamed_prefix(engine, page)
    except (ReadingError, ValueError) as error:
        check.gauges, check.metrics_note = (), f"the metrics cannot be read: {error}"
    else:
        check.metrics_note = missing_gauges(engine, check.gauges) or server.metrics_note


async def _page(server: DetectedServer) -> bytes:
    with reading(server.metrics_url, server.headers, verify_tls=server.verify_tls) as read:
        return await read()


async def _tokens_served(server: DetectedServer) -> float | None:
    """How many tokens the server has generated since its start; None when it does not report that."""
    if not server.metrics_url or server.metrics_note:  # a stand-in for the page has no counters
        return None
    try:
        counters = gauges_from(get_engine(server.info.engine), await _page(server))
    except (ReadingError, ValueError):
        return None
    # Some engines show their counters only after the first request.
    fallback = 0.0 if counters else None
    return counters.get(gauges.GENERATION_TOKENS_FINISHED, counters.get(gauges.GENERATION_TOKENS, fallback))


_ABSENT = (404, 501)
_MAX_SLOTS = 1024


async def reset_cache(server: DetectedServer, *, timeout_s: float = 10, transport: Any = None) -> str:
    """Empty the prefix cache. Returns an empty string, or one line that says why it was not emptied."""
    engine = get_engine(server.info.engine)
    if not engine.reset_path:
        return f"{engine.title} has no endpoint that empties its prefix cache; restart it"
    async with server.client(transport) as http:
        site = Site(http, server.info.url, timeout_s)
        for path in await _paths(site, engine):
            answer = await site.ask(path, {})
            if answer.status in _ABSENT:
                return f"{engine.title} empties its prefix cache only when {engine.reset_needs}"
            if answer.status != 200 or answer.json_object().get("success") is False:
                why = f"HTTP {answer.status}: {answer.error_message()}" if answer.status else "no answer"
                return f"{engine.title} did not empty its prefix cache ({why})"
    return ""


async def _paths(site: Site, engine: Engine) -> list[str]:
    """Where to post: once, or for each slot, where each holds a cache."""
    if engine.read_slots is None:
        return [engine.reset_path]
    slots = min(await engine.read_slots(site), _MAX_SLOTS)
    return [engine.reset_path.replace("{slot}", str(slot)) for slot in range(slots)]


async def empty_caches(profile: Profile) -> list[str]:
    """Empty the prefix cache of every lane's server; a line for each says whether that worked."""
    return list(await asyncio.gather(*(_empty(lane, server) for lane, server in profile.lanes.items())))


async def _empty(lane: Lane, profile: LaneProfile) -> str:
    try:
        why = await reset_cache(await detect_lane(profile))
    except UserError as error:
        why = str(error)
    return f"lane {lane.upper()}: {why or 'its prefix cache is empty now'}"
